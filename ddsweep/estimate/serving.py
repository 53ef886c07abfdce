"""The inside of a measuring process: it reads what to measure, and answers with one line of JSON for each kind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.estimate import work
from ddsweep.estimate.work import Finding
from ddsweep.estimate.workers import Order, in_order
from ddsweep.recipe import Recipe

if TYPE_CHECKING:
    from ddsweep.estimate.measure import Bench

STARTED = 1.0  # seconds that it took to start this process, up to ``serve``
LITTLE = 0.02  # of all seconds: what a kind may take once they are over


def bench(wanted: Sequence[work.Kind], order: Order) -> Bench:
    """Return the bench for these kinds."""
    from ddsweep.estimate.measure import Bench

    return Bench(order.device, _per_class(wanted))


def each(bench: Bench, wanted: Sequence[work.Kind], seconds: float) -> Iterator[Finding]:
    """Measure one kind after the other; each gets an equal share of the seconds that are left."""
    ends = time.perf_counter() + seconds
    for number, kind in enumerate(wanted):
        left = (ends - time.perf_counter()) / (len(wanted) - number)
        yield bench.measure(kind, max(LITTLE * seconds, left))


def _per_class(wanted: Sequence[work.Kind]) -> int:
    """Return the largest number of images per class that a step needs."""
    recipes = [kind.recipe for kind in wanted if isinstance(kind, work.Distilling | work.Evaluating)]
    return max(map(_images_of_a_class, recipes), default=1)


def _images_of_a_class(recipe: Recipe) -> int:
    """Return the number of images of one class that a step of a recipe needs; DREAM chooses among all of them."""
    every = data.info(recipe.dataset).smallest_class if recipe.select_every else 0
    return max(recipe.batch_real, recipe.decoded_ipc, every)


def serve(asked: IO[str], answers: IO[str]) -> None:
    """Run a measuring process: read the order and the kinds as JSON, and write each measurement as one line of JSON."""
    began = time.perf_counter() - STARTED
    said = json.load(asked)
    parent = said["order"].pop("parent")
    order, wanted = Order(**said["order"]), [work.kind_from_json(one) for one in said["kinds"]]
    from ddsweep import processes

    processes.end_with(parent)
    import torch

    if order.threads:
        torch.set_num_threads(order.threads)
    torch.zeros(1, device=order.device)
    from ddsweep.estimate import guesses

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=answers, flush=True)

    try:
        answer({"ready": True})
        measuring = bench(wanted, order)
        counted = {kind: finding for kind in wanted if (finding := measuring.operations(kind))}
        said = [work.finding_as_json(counted[kind]) if kind in counted else None for kind in wanted]
        answer({"operations": said, "rate": guesses.rate(order.device)})
        seconds = order.seconds - (time.perf_counter() - began)
        for finding in each(measuring, in_order(wanted, counted), seconds):
            answer(work.finding_as_json(finding))
    except UserError as error:
        answer({"error": str(error)})

"""Measurement under the conditions of agents: in separate processes, as many in parallel as share one device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.estimate import work
from ddsweep.estimate.work import Finding
from ddsweep.recipe import Recipe

Found = dict[work.Kind, Finding]
Tell = Callable[[int, str], None]
PATIENCE = 5.0  # seconds in which a terminated process must exit before it is killed


@dataclass(frozen=True)
class Order:
    """The settings of a measurement.

    Attributes:
        device: torch name of the device inside the processes.
        seconds: measuring time per kind of work.
        agents: number of processes that measure the same work in parallel; 0: measure in this process.
        threads: CPU threads of each process; 0: torch's default.
        environment: environment variables of the processes, in addition to those of this process.
    """

    device: str
    seconds: float
    agents: int = 0
    threads: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


def measure(wanted: Sequence[work.Kind], order: Order, tell: Tell = lambda index, title: None) -> tuple[Found, float]:
    """Return the measurement of each kind of work, and the seconds in which a process starts (0 if none was started).

    Args:
        wanted: kinds of work.
        order: the settings of the measurement.
        tell: called with the number of kinds measured so far and the title of a kind: the next one if processes were
            started, otherwise the last one.

    Raises:
        UserError: data cannot be read, or a process ended early; the message contains its last line.
    """
    if not order.agents:
        found: Found = {}
        for index, (kind, finding) in enumerate(each(wanted, order)):
            found[kind] = finding
            tell(index + 1, kind.title)
        return found, 0.0
    return _beside(wanted, order, tell)


def each(wanted: Sequence[work.Kind], order: Order) -> Any:
    """Return an iterator that measures one kind after the other in this process, as (kind, finding)."""
    from ddsweep.estimate.measure import Bench

    bench = Bench(order.device, order.seconds, _per_class(wanted))
    return ((kind, bench.measure(kind)) for kind in wanted)


def _per_class(wanted: Sequence[work.Kind]) -> int:
    """Return the largest number of images per class that a step needs."""
    recipes = [kind.recipe for kind in wanted if isinstance(kind, work.Distilling | work.Evaluating)]
    return max(map(_images_of_a_class, recipes), default=1)


def _images_of_a_class(recipe: Recipe) -> int:
    """Return the number of images of one class that a step of a recipe needs; DREAM chooses among all of them."""
    every = data.info(recipe.dataset).smallest_class if recipe.select_every else 0
    return max(recipe.batch_real, recipe.decoded_ipc, every)


def _beside(wanted: Sequence[work.Kind], order: Order, tell: Tell) -> tuple[Found, float]:
    began = time.perf_counter()
    crew = [_process(wanted, order) for _ in range(order.agents)]
    try:
        for one in crew:
            _read(one)
        start, found = time.perf_counter() - began, {}
        for index, kind in enumerate(wanted):
            tell(index, kind.title)
            found[kind] = work.mean([work.finding_from_json(_read(one)) for one in crew])
        return found, start
    finally:
        for one in crew:
            _end(one)


def _process(wanted: Sequence[work.Kind], order: Order) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ddsweep.estimate"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **order.environment},
    )
    said = {**asdict(order), "environment": {}, "agents": 0, "parent": os.getpid()}
    assert process.stdin is not None
    json.dump({"order": said, "kinds": [work.kind_as_json(kind) for kind in wanted]}, process.stdin)
    process.stdin.close()
    return process


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next answer of a process. Raises UserError if it reports an error or has ended."""
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    if not line:
        last = (process.stderr.read().strip().splitlines() or [f"status {process.wait()}"])[-1]
        raise UserError(f"estimate: measuring ended with: {last}")
    values = json.loads(line)
    if "error" in values:
        raise UserError(values["error"])
    return values


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def serve(asked: IO[str], answers: IO[str]) -> None:
    """Run a measuring process: read the order and the kinds as JSON, and write each measurement as one line of JSON."""
    said = json.load(asked)
    parent = said["order"].pop("parent")
    order, wanted = Order(**said["order"]), [work.kind_from_json(one) for one in said["kinds"]]
    from ddsweep import processes

    processes.end_with(parent)
    import torch

    if order.threads:
        torch.set_num_threads(order.threads)
    torch.zeros(1, device=order.device)

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=answers, flush=True)

    try:
        measured = each(wanted, order)
        answer({"ready": True})
        for _, finding in measured:
            answer(work.finding_as_json(finding))
    except UserError as error:
        answer({"error": str(error)})

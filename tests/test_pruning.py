"""A trial that is looked at on its way ends in the same bits; one that is ended there can be gone on with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import trial
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, State
from ddsweep.distill.state import Snapshot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.pruning import Pruned, Pruning, PruningSlot
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from tests import toys
from tests.test_trial import TINY

RECIPE = make(TINY | {"iterations": 6, "alpha": 5.0})
Seen = list[tuple[int, float]]


def run(runs: str, pruning: Pruning | None = None, checkpoints: Checkpoints | None = None) -> Result:
    return trial.run(RECIPE, Tracker(), "cpu", Path(runs), checkpoints=checkpoints, pruning=pruning)


def reporting(seen: Seen, until: int = 99) -> Pruning:
    """Notes what it is told; the trial ends after the look at step ``until``."""

    def report(step: int, accuracy: float) -> bool:
        seen.append((step, accuracy))
        return step < until

    return Pruning((2, 4), report)


def images(runs: str) -> torch.Tensor:
    return load_file(Path(runs, RECIPE.key(), "synthetic.safetensors"))["images"]


def test_a_trial_that_was_looked_at_ends_in_the_same_bits() -> None:
    seen: Seen = []
    plain, watched = run("plain"), run("watched", reporting(seen))
    assert watched.accuracies == plain.accuracies
    assert torch.equal(images("watched"), images("plain"))
    assert [step for step, _ in seen] == [2, 4]
    assert all(0 <= accuracy <= 1 for _, accuracy in seen)
    again: Seen = []
    run("again", reporting(again))
    assert again == seen, "a look depends on the recipe alone"
    logged = Path("watched", RECIPE.key(), "metrics.jsonl").read_text()
    assert f'{{"step": 2, "accuracy_so_far": {seen[0][1]}}}' in logged


def test_a_trial_that_was_pruned_has_no_result_and_goes_on_when_it_is_wanted() -> None:
    seen: Seen = []
    with pytest.raises(Pruned, match=r"pruned at step 2 with accuracy \d+\.\d %") as caught:
        run("runs", reporting(seen, until=2))
    assert [(caught.value.step, caught.value.accuracy)] == seen
    assert not Path("runs", RECIPE.key(), "result.json").exists()
    later: Seen = []
    result = run("runs", reporting(later))
    assert later[0] == seen[0], "what was found before is told again, not found again"
    assert result.accuracies == run("plain").accuracies
    assert torch.equal(images("runs"), images("plain"))
    assert not Path("runs", RECIPE.key(), "checkpoint").exists()


def test_a_trial_that_was_cut_off_reports_again_what_it_had_reported() -> None:
    seen: Seen = []
    leaving = Checkpoints(every=0, leave=lambda: len(seen) == 1)
    with pytest.raises(Interrupted):
        run("runs", reporting(seen), leaving)
    again: Seen = []
    run("runs", reporting(again))
    assert [step for step, _ in again] == [2, 4]
    assert again[0] == seen[0]


def test_a_finished_trial_is_not_looked_at() -> None:
    run("runs")
    seen: Seen = []
    run("runs", reporting(seen))
    assert seen == []


def test_a_look_waits_for_the_end_of_an_iteration(tmp_path: Path) -> None:
    measured: list[int] = []

    def measure(synthetic: Synthetic, step: int) -> float:
        measured.append(step)
        return 0.5

    def state(step: int, inside: int) -> State:
        return Snapshot({"images": torch.zeros(1)}, {"step": step, "inside": inside}, toys.synthetic)

    inner = FileSlot(tmp_path / "x.safetensors", {}, Checkpoints())
    pruning: Any = Pruning((2,), lambda step, accuracy: True)
    slot = PruningSlot(inner, pruning, measure, tmp_path / "looks.json")
    for step, inside in ((1, 0), (1, 3), (2, 1), (2, 0), (3, 0)):
        slot.offer(partial(state, step, inside))
    assert measured == [2]

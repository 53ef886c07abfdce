"""Cells that share end in the bits of cells that do not, whoever computed what, in which order, and when."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.recipe import Recipe, make
from ddsweep.results import result as stored_results
from ddsweep.results.result import Result
from ddsweep.shared import sets
from ddsweep.shared.opened import OpenSet
from ddsweep.shared.sharing import Sharing
from ddsweep.trackers import Tracker

TINY: dict[str, Any] = {
    "target": "digits", "ipc": 1, "width": 4, "iterations": 4, "batch_real": 8, "outer_loops": 1, "inner_epochs": 1,
    "alpha": 0.0, "ptm_train_epochs": 1, "ptm_batch": 512, "eval_nets": 1, "eval_epochs": 1,
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "dm": {"method": "dm"},
    "dm, batch norm": {"method": "dm", "arch": "convnet3-bn"},
    "dsa": {"method": "dsa"},
    "dc, three steps": {"method": "dc", "outer_loops": 3},
    "dc, batch norm": {"method": "dc", "arch": "convnet3-bn"},
}  # fmt: skip
KINDS = {"dm": "dm-means", "dc": "first-gradients", "dsa": "first-gradients"}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What each cell has read and computed, in turn."""
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)  # steps this small take less time than reading
    found: list[tuple[int, int]] = []
    close = Sharing.close

    def noted(self: Sharing) -> None:
        found.extend((one["read"], one["computed"]) for one in self.counts().values())
        close(self)

    monkeypatch.setattr(Sharing, "close", noted)
    return found


def recipe(case: str, **choices: Any) -> Recipe:
    return make({**TINY, **METHODS[case], **choices})


def images(one: Recipe, runs: Path, checkpoints: Checkpoints | None = None) -> Tensor:
    """Distill, and return the set."""
    trial.run(one, Tracker(), "cpu", runs, checkpoints=checkpoints)
    from safetensors.torch import load_file

    return load_file(runs / one.key() / "synthetic.safetensors")["images"]


def alone(one: Recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    with monkeypatch.context() as patch:
        patch.setenv("DDSWEEP_SHARE", "off")
        return images(one, folder / "alone")


@pytest.mark.parametrize("case", METHODS)
def test_cells_that_differ_in_alpha_share_the_real_branch(case, counts, tmp_path, monkeypatch):
    cells = [recipe(case, alpha=alpha) for alpha in (0.0, 3.0)]
    expected = [alone(one, tmp_path, monkeypatch) for one in cells]
    counts.clear()
    for one, right in zip(cells, expected, strict=True):
        assert torch.equal(images(one, tmp_path / "runs"), right)
    assert counts == [(0, 4), (4, 0)]
    assert not torch.equal(expected[0], expected[1])


@pytest.mark.parametrize("case", ["dm", "dm, batch norm", "dsa", "dc, batch norm"])
def test_a_cell_that_works_ahead_of_another_process_ends_in_the_same_bits(case, counts, tmp_path, monkeypatch):
    """Of every second record, another process seems to have the claim at first."""
    one = recipe(case, iterations=6)
    expected = alone(one, tmp_path, monkeypatch)
    counts.clear()
    claimed, asked = OpenSet.claimed, []

    @contextmanager
    def refused(self: OpenSet, key: bytes) -> Iterator[bool]:
        asked.append(key)
        with claimed(self, key) as mine:
            yield mine and len(asked) % 3 != 1

    monkeypatch.setattr(OpenSet, "claimed", refused)
    assert torch.equal(images(one, tmp_path / "runs"), expected)
    monkeypatch.undo()
    ahead = "dc" not in case  # a norm that is settled moves the draws of the next network
    assert (counts[0][0] > 0) == ahead
    assert torch.equal(images(recipe(case, iterations=6, eval_epochs=2), tmp_path / "runs"), expected)


def test_cells_of_dream_share_the_choice_of_real_images(counts, tmp_path, monkeypatch):
    """Two networks, two rounds each: 40 choices for ten classes, half of them with a network that was trained."""
    small = {"method": "dream", "iterations": 2, "outer_loops": 2, "select_every": 1, "net_images": 16, "init": "real"}
    cells = [make({**TINY, **small, "batch_real": 4, "lr_img": rate}) for rate in (0.1, 0.5)]
    expected = [alone(one, tmp_path, monkeypatch) for one in cells]
    counts.clear()
    assert all(torch.equal(images(one, tmp_path / "runs"), right) for one, right in zip(cells, expected, strict=True))
    assert counts == [(0, 40), (40, 0)]
    assert not torch.equal(*expected)


def test_without_training_in_between_other_ipc_share_too(counts, tmp_path, monkeypatch):
    cells = [recipe("dm", ipc=ipc, init=init) for ipc, init in ((1, "real"), (3, "real"), (2, "noise"))]
    expected = [alone(one, tmp_path, monkeypatch) for one in cells]
    counts.clear()
    assert all(torch.equal(images(one, tmp_path / "runs"), right) for one, right in zip(cells, expected, strict=True))
    assert counts == [(0, 4), (4, 0), (4, 0)]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"width": 5},
        {"arch": "convnet2"},
        {"batch_real": 9},
        {"dsa_strategy": "flip"},
        {"target": "shapes"},
    ],
)
def test_what_changes_the_real_branch_is_not_shared(other, counts, tmp_path):
    images(recipe("dm"), tmp_path / "runs")
    images(recipe("dm", **other), tmp_path / "runs")
    assert counts == [(0, 4), (0, 4)]
    assert len(sets.listed(sets.root())) == 2


def test_another_number_of_threads_is_not_shared(counts, tmp_path, monkeypatch):
    images(recipe("dm"), tmp_path / "runs")
    torch.set_num_threads(2)
    try:
        images(recipe("dm", lr_img=3.0), tmp_path / "runs")
    finally:
        torch.set_num_threads(1)
    assert counts == [(0, 4), (0, 4)]


def test_a_longer_cell_goes_on_where_the_records_end(counts, tmp_path, monkeypatch):
    long = recipe("dm", iterations=9)
    expected = alone(long, tmp_path, monkeypatch)
    counts.clear()
    images(recipe("dm"), tmp_path / "runs")
    assert torch.equal(images(long, tmp_path / "runs"), expected)
    assert counts == [(0, 4), (4, 5)]


@dataclass
class StopsAt(Checkpoints):
    """Asked to leave at a boundary between two steps."""

    boundary: int = 1
    asked: int = 0

    def __post_init__(self) -> None:
        self.leave = self._leave

    def _leave(self) -> bool:
        self.asked += 1
        return self.asked == self.boundary


@pytest.mark.parametrize("case", ["dm", "dc, three steps"])
@pytest.mark.parametrize("records", ["kept", "removed", "damaged"])
def test_a_resumed_cell_ends_in_the_same_bits(case, records, counts, tmp_path, monkeypatch):
    """It resumes from the middle, with the records of its first part and of another cell, or without any."""
    one = recipe(case, iterations=5, lr_img=3.0)
    expected = alone(one, tmp_path, monkeypatch)
    images(recipe(case, iterations=5), tmp_path / "runs")
    with pytest.raises(Interrupted):
        images(one, tmp_path / "runs", StopsAt(boundary=3))
    if records == "removed":
        shutil.rmtree(sets.root())
    if records == "damaged":
        (path,) = sets.root().glob("*/records.bin")
        content = bytearray(path.read_bytes())
        content[:: len(content) // 20] = bytes(len(content[:: len(content) // 20]))
        path.write_bytes(content)
    assert torch.equal(images(one, tmp_path / "runs"), expected)


def test_a_bad_limit_is_one_line(tmp_path, monkeypatch):
    from ddsweep.errors import UserError

    monkeypatch.setenv("DDSWEEP_SHARE", "plenty")
    with pytest.raises(UserError, match="DDSWEEP_SHARE: unknown value 'plenty'; write off, a size such as 20GB"):
        images(recipe("dm"), tmp_path / "runs")


def test_a_result_says_what_was_read_and_computed_over_all_attempts(counts, tmp_path):
    first, second = recipe("dm", alpha=0.0, iterations=6), recipe("dm", alpha=3.0, iterations=8)
    assert result(first, tmp_path).shared == {"dm-means": {"read": 0, "computed": 6}}
    asks = iter(range(1, 99))
    with pytest.raises(Interrupted):
        result(second, tmp_path, Checkpoints(leave=lambda: next(asks) == 5))
    assert result(second, tmp_path).shared == {"dm-means": {"read": 6, "computed": 2}}
    assert not (tmp_path / second.key() / "checkpoint").exists()


def test_a_cell_that_shares_nothing_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("DDSWEEP_SHARE", "off")
    assert result(recipe("dm"), tmp_path).shared == {"dm-means": {"read": 0, "computed": 4}}
    stored = stored_results.read(tmp_path / recipe("dm").key())
    assert stored is not None and stored.shared == {"dm-means": {"read": 0, "computed": 4}}


def result(one: Recipe, runs: Path, checkpoints: Checkpoints | None = None) -> Result:
    return trial.run(one, Tracker(), "cpu", runs, checkpoints=checkpoints)

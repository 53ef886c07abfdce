"""Numbers and images of a class stand at its name, also where runs have their classes in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import files, sweep
from ddsweep.errors import UserError
from ddsweep.results.plots import classes, images, tsne
from ddsweep.results.plots.class_order import places
from ddsweep.results.result import Result
from ddsweep.sweep import Cell
from tests.exchange.test_names import data_folder

RUNS = Path("runs")
ORDERS = (["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"])


@pytest.fixture
def ablation(tmp_path: Path) -> sweep.Sweep:
    """Three finished cells on one image folder, whose classes had another order each time.

    Class a has the accuracy and the gray value 0.1, b 0.2 and c 0.3.
    """
    dataset = data_folder(tmp_path / "data", ["a", "b", "c"])
    one = sweep.load("ablation-alpha", "demo", {"target": dataset.name, "alpha": [0, 1, 10], "ipc": 1, "size": 16})
    for cell, order in zip(one.cells, ORDERS, strict=True):
        values = [{"a": 0.1, "b": 0.2, "c": 0.3}[name] for name in order]
        keep(cell, order, values)
    return one


def keep(cell: Cell, order: list[str], values: list[float]) -> None:
    tensors = {"images": torch.tensor(values)[:, None, None, None].expand(3, 3, 16, 16), "labels": torch.arange(3)}
    facts = {"classes": "\n".join(order), "ipc": "1", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
    files.write_tensors(RUNS / cell.key / "synthetic.safetensors", tensors, facts)
    arch = cell.recipe.arch
    Result(cell.recipe, accuracies={arch: [0.2]}, class_accuracy={arch: values}).write(RUNS / cell.key)


def test_bars(ablation: sweep.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(classes, "draw_bars", lambda figure, panels, names: drawn.append((panels, names)))
    classes.class_accuracy(ablation, RUNS)
    ((panels, names),) = drawn
    assert list(names) == ["a", "b", "c"]
    assert [list(panel.values.values()) for panel in panels] == [[pytest.approx([0.1, 0.2, 0.3])]] * 3


def test_bars_of_a_run_whose_set_is_elsewhere(ablation: sweep.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets that are too large are not copied between hosts; the first run has the order of the names here."""
    drawn: list[Any] = []
    monkeypatch.setattr(classes, "draw_bars", lambda figure, panels, names: drawn.append((panels, names)))
    (RUNS / ablation.cells[0].key / "synthetic.safetensors").unlink()
    keep(ablation.cells[1], ORDERS[0], [0.2, 0.3, 0.1])
    keep(ablation.cells[2], ORDERS[0], [0.3, 0.1, 0.2])
    classes.class_accuracy(ablation, RUNS)
    ((panels, names),) = drawn
    assert list(names) == ["a", "b", "c"]
    assert [next(iter(panel.values.values())) for panel in panels] == [
        pytest.approx([0.1, 0.2, 0.3]), pytest.approx([0.2, 0.3, 0.1]), pytest.approx([0.3, 0.1, 0.2]),
    ]  # fmt: skip


def test_images(ablation: sweep.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Tensor, list[str]]] = []
    monkeypatch.setattr(images, "_grid", lambda path, shown, rows, columns, caption: drawn.append((shown, list(rows))))
    images.along_axis(ablation, RUNS)
    ((shown, rows),) = drawn
    assert rows == ["a", "b", "c"]
    expected = torch.tensor([0.1, 0.2, 0.3])[:, None].expand(3, 3)
    torch.testing.assert_close(shown[:, :, 0, 0, 0], expected)


def test_points(ablation: sweep.Sweep) -> None:
    for cell in ablation.cells:
        some, labels = tsne._synthetic(RUNS / cell.key / "synthetic.safetensors", ("a", "b", "c"))
        torch.testing.assert_close(some[:, 0, 0, 0], 0.1 * (labels + 1))


def test_other_classes_are_not_drawn_under_wrong_names(ablation: sweep.Sweep) -> None:
    key = ablation.cells[1].key
    keep(ablation.cells[1], ["a", "b", "d"], [0.1, 0.2, 0.3])
    for draw in (classes.class_accuracy, images.along_axis):
        with pytest.raises(UserError, match=f"{key}: its classes differ .*, for example 'd'"):
            draw(ablation, RUNS)
    with pytest.raises(UserError, match="its classes differ"):
        tsne._synthetic(RUNS / key / "synthetic.safetensors", ("a", "b", "c"))


def test_names_that_occur_twice_keep_their_order() -> None:
    assert places(["x", "x", "y"], ["x", "x", "y"], "run") == [0, 1, 2]
    with pytest.raises(UserError, match="for example its order"):
        places(["x", "y", "x"], ["x", "x", "y"], "run")

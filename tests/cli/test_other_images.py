"""Image folders that change under a sweep, or differ between hosts: a table has numbers of one set of images only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run

RUNS = Path("runs")
NAME = "mine@paper"
SWEEP = """\
method: grid
parameters:
  method: {value: dm}
  target: {value: "imagefolder:photos"}
  size: {value: 8}
  ipc: {values: [1, 2, 3]}
  alpha: {value: 0}
  iterations: {value: 1}
  width: {value: 4}
  batch_real: {value: 8}
  eval_nets: {value: 1}
  eval_epochs: {value: 40}
  init: {value: real}
x-ddsweep:
  title: Left or right?
  axis: [ipc]
"""


def photos(folder: str = "photos", swapped: bool = False) -> None:
    """Two classes of 12 training and 6 test images, bright in the left half (a) and in the right half (b)."""
    shutil.rmtree(folder, ignore_errors=True)
    noise = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        for name in ("a", "b"):
            for index in range(count):
                pixels = noise.integers(0, 60, (8, 8, 3), dtype=np.uint8)
                left = (name == "a") != (swapped and split == "train")
                pixels[:, slice(0, 4) if left else slice(4, 8)] += 180
                path = Path(folder, split, name, f"{index}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


@pytest.fixture
def launch(ddsweep: Run) -> Run:
    photos()
    Path("sweeps").mkdir()
    Path("sweeps/mine.yaml").write_text(SWEEP)

    def run(*more: str) -> object:
        return ddsweep("launch", "sweeps/mine.yaml", "--workers", "0", "--device", "cpu", *more)

    return run  # type: ignore[return-value]


def accuracies(ddsweep: Run, *more: str) -> tuple[list[float | None], str]:
    shown = ddsweep("results", NAME, "--format", "json", *more)
    assert shown.exit_code == 0, shown.stderr
    return [record["accuracy"] for record in json.loads(shown.stdout)], shown.stderr


def test_changed_images_leave_the_table_and_come_back(ddsweep: Run, launch: Run) -> None:
    assert launch("--set", "ipc=1,2").exit_code == 0
    before, told = accuracies(ddsweep)
    assert told == ""
    folders = sorted(path.parent for path in RUNS.glob("*/result.json"))
    old = {path: (path / "result.json").read_bytes() for path in folders}

    photos(swapped=True)
    unchanged, told = accuracies(ddsweep)
    assert unchanged == before, "all from the images at the launch"
    assert "its files were modified since the launch" in told

    third = launch()
    assert third.exit_code == 1, "two cells are left out"
    assert "2 results from other images" in third.stdout
    assert "ddsweep launch sweeps/mine.yaml --workers 0 --device cpu --recompute" in third.stdout
    now, told = accuracies(ddsweep)
    assert len([value for value in now if value is not None]) == 1, "only the third cell"
    assert "2 results from other images" in told
    for command in (["show", "sweeps/mine.yaml"], ["status", NAME], ["report", NAME], ["plot", NAME]):
        answer = ddsweep(*command)
        assert answer.exit_code == 0, answer.stderr
        assert "from other images" in answer.stdout + answer.stderr, command
    cells = json.loads(ddsweep("show", "sweeps/mine.yaml", "--json").stdout)["cells"]
    assert sorted(cell["state"] for cell in cells) == ["done", "from other images", "from other images"]
    (row,) = [one for one in json.loads(ddsweep("list", "--json").stdout) if one["name"] == "mine"]
    assert (row["done"], row["left_out"]) == (1, {"from other images": 2})
    (status,) = json.loads(ddsweep("status", NAME, "--json").stdout)
    assert set(status["left_out"]) == {folder.name for folder in folders}

    again = launch("--recompute")
    assert again.exit_code == 0, again.output
    assert "computed again: 2 finished cells from other images" in again.stdout
    swapped, told = accuracies(ddsweep)
    assert (len(swapped), None in swapped, told) == (3, False, "")
    numbers = [[value for value in values if value is not None] for values in (swapped, before)]
    assert max(numbers[0]) < min(numbers[1]), "what was left is right now"
    kept = {path.name.partition("-")[0]: (path / "result.json").read_bytes() for path in (RUNS / "replaced").iterdir()}
    assert kept == {path.name: content for path, content in old.items()}
    assert "runs that were computed again" in ddsweep("clean").stdout
    assert ddsweep("clean", "runs", "--yes").exit_code == 0
    assert not list((RUNS / "replaced").iterdir())


def test_images_that_are_restored_bring_their_numbers_back(ddsweep: Run, launch: Run) -> None:
    assert launch().exit_code == 0
    before, _ = accuracies(ddsweep)
    shutil.move("photos", "kept")
    photos(swapped=True)
    assert launch().exit_code == 1, "no cell counts"
    assert accuracies(ddsweep)[0] == [None] * 3
    shutil.rmtree("photos")
    shutil.move("kept", "photos")
    assert launch().exit_code == 0
    assert accuracies(ddsweep) == (before, "")


def test_touched_files_are_no_other_images(ddsweep: Run, launch: Run) -> None:
    """Copied to another disk: other times, a renamed file that keeps its place, the same pixels."""
    assert launch().exit_code == 0
    before, _ = accuracies(ddsweep)
    for path in Path("photos").rglob("*.png"):
        path.touch()
    again = launch()
    assert again.exit_code == 0
    assert "other images" not in again.output
    assert accuracies(ddsweep) == (before, "")


def test_a_host_with_other_images_refuses_and_spends_no_attempt(
    ddsweep: Run, launch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDSWEEP_STORAGE", f"sqlite:///{Path.cwd() / 'shared.db'}")
    assert launch("--set", "ipc=1").exit_code == 0
    from ddsweep.backends import connect
    from ddsweep.backends.values import Definition

    store = connect(f"sqlite:///{Path.cwd() / 'shared.db'}")
    known = store.load_definition(NAME)
    from dataclasses import replace

    from ddsweep import sweep

    whole = sweep.load("sweeps/mine.yaml")
    more = replace(whole, data=known.definition["data"])
    store.sweep(NAME).register(Definition.of(more))
    store.close()
    photos(swapped=True)  # what another host has under this path
    answer = ddsweep("agent", NAME, "--runs", "other")
    assert answer.exit_code not in (0, 1)
    (status,) = json.loads(ddsweep("status", NAME, "--json").stdout)
    assert [cell["state"] for cell in status["cells"]] == ["complete", "waiting", "waiting"]
    assert [cell["attempts"] for cell in status["cells"]] == [1, 0, 0]


def test_another_sweep_on_changed_images_computes_its_cells(ddsweep: Run, launch: Run) -> None:
    """It shares the cells of the first sweep, which keeps only what is from its own images."""
    assert launch().exit_code == 0
    photos(swapped=True)
    Path("second.yaml").write_text(SWEEP)
    done = ddsweep("launch", "second.yaml", "--workers", "0", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "done 3/3" in done.stdout
    values, told = accuracies(ddsweep)
    assert values == [None] * 3
    assert "3 results from other images" in told

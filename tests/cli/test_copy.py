"""``ddsweep copy``: a file to edit that shares its cells with the original."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.backends import Definition, connect
from tests.cli.conftest import Run

HERE = ["--workers", "0", "-d", "cpu"]


def modified(runs: str = "runs") -> dict[str, int]:
    """The modification time of each result, by key."""
    return {path.parent.name: path.stat().st_mtime_ns for path in Path(runs).glob("*/result.json")}


def test_after_an_edit_only_the_new_cells_run(ddsweep: Run, tiny: list[str]) -> None:
    words = ["ablation-alpha", "-p", "demo", "--set", "alpha=0", "--set", "seed=0", *tiny]
    assert ddsweep("launch", *words, *HERE).exit_code == 0
    before = modified()
    result = ddsweep("copy", "ablation-alpha", "mine.yaml", *words[1:])
    assert result.exit_code == 0, result.output
    assert "1 cell, 1 finished in runs" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last == "ddsweep launch mine.yaml"
    text = Path("mine.yaml").read_text()
    assert "seed: {value: 0}" in text
    Path("mine.yaml").write_text(text.replace("seed: {value: 0}", "seed: {values: [0, 1]}"))
    assert ddsweep(*last.split()[1:], *HERE).exit_code == 0
    after = modified()
    assert len(after) == 2
    assert {key: after[key] for key in before} == before
    status = ddsweep("status").stdout
    assert "ablation-alpha@demo" in status and "done 1/1" in status  # the original has not changed
    assert "mine@paper" in status and "done 2/2" in status


def test_the_name_of_the_copy(ddsweep: Run) -> None:
    result = ddsweep("copy", "table5")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "ddsweep launch my-table5.yaml"
    assert sweep.load("my-table5.yaml").axis == ("ptm_archs",)
    Path("folder").mkdir()
    assert ddsweep("copy", "ablation-alpha@demo", "folder").exit_code == 0
    assert ddsweep("copy", "ablation-alpha", "without").stdout.splitlines()[-1] == "ddsweep launch without.yaml"
    written = {path.name for path in Path().rglob("*.yaml")}
    assert written == {"my-table5.yaml", "my-ablation-alpha.yaml", "without.yaml"}


def test_a_path_with_a_space_is_quoted(ddsweep: Run) -> None:
    result = ddsweep("copy", "ablation-alpha", "my file.yaml", "--runs", "other")
    assert result.stdout.splitlines()[-1] == "ddsweep launch 'my file.yaml' --runs other"


def refused(result, line: str) -> None:
    assert result.exit_code == 2, result.output
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_is_overwritten_only_with_force(ddsweep: Run) -> None:
    Path("mine.yaml").write_text("precious")
    refused(ddsweep("copy", "ablation-alpha", "mine.yaml"), "copy: mine.yaml exists")
    assert Path("mine.yaml").read_text() == "precious"
    assert ddsweep("copy", "ablation-alpha", "mine.yaml", "--force").exit_code == 0
    assert sweep.load("mine.yaml").cells


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ablation-alpha", "ablation-alpha.yaml"], "copy: ablation-alpha is the name of a sweep"),
        (["ablation-alpha", "table1.yaml", "--force"], "copy: table1 is the name of a sweep"),
        (["ablation-alpha", "a@demo.yaml"], "a sweep's name cannot contain @"),
        (["ablation-alpa"], "unknown sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        (["ablation-alpha", "-p", "dem"], "unknown profile 'dem'"),
        (["ablation-alpha", "--set", "alhpa=1"], "alhpa: unknown parameter"),
        (["ablation-alpha", "file/mine.yaml"], "cannot write file/mine.yaml"),
    ],
)
def test_one_line(ddsweep: Run, words: list[str], line: str) -> None:
    Path("file").write_text("")
    refused(ddsweep("copy", *words), line)
    assert not list(Path().glob("*.yaml"))
    assert not Path("runs").exists()


def test_a_launched_sweep_is_not_replaced(ddsweep: Run) -> None:
    ddsweep("copy", "ablation-alpha", "mine.yaml", "-p", "demo", "--set", "alpha=0,1")
    store = connect(Path("runs/ddsweep.db"))
    store.sweep("mine@paper").register(Definition.of(sweep.load("mine.yaml")))
    store.close()
    Path("mine.yaml").rename("away.yaml")
    refused(ddsweep("copy", "ablation-alpha", "mine.yaml"), "would replace the sweep mine@paper, which was launched")
    result = ddsweep("copy", "mine@paper", "again.yaml")  # without its file, from the storage
    assert result.exit_code == 0, result.output
    assert {cell.key for cell in sweep.load("again.yaml").cells} == {cell.key for cell in sweep.load("away.yaml").cells}
    one = ddsweep("copy", "mine", "third.yaml", "--set", "alpha=0")
    assert one.exit_code == 0, one.output
    assert {cell.recipe.alpha for cell in sweep.load("third.yaml").cells} == {0}
    line = "no cell is the baseline (alpha: 0), so this cannot be a file; leave it in"
    refused(ddsweep("copy", "mine", "fourth.yaml", "--set", "alpha=1"), line)
    refused(ddsweep("copy", "mine", "fourth.yaml", "--set", "ipc=1"), "ipc: mine@paper has no file")


def test_the_copy_of_a_sweep_that_was_launched_twice_has_the_last_launch(ddsweep: Run) -> None:
    store, wide = connect(Path("runs/ddsweep.db"), artifacts=Path("runs/artifacts")), Path("gone.yaml")
    ddsweep("copy", "ablation-alpha", "gone.yaml", "-p", "demo", "--set", "alpha=0,1,5")
    first = sweep.load("gone.yaml")
    text = wide.read_text()
    backend = store.sweep(first.full_name)
    backend.register(Definition.of(first))
    claim = backend.claim("agent")
    assert claim is not None
    with claim:
        claim.complete(0.5, {})
    wide.write_text(text.replace("ipc: {value: 5}", "ipc: {value: 6}"))
    second = sweep.load("gone.yaml")
    assert second.cells[0].recipe.ipc == 6
    backend.register(Definition.of(second))
    store.close()
    wide.unlink()
    result = ddsweep("copy", "gone@paper", "back.yaml")
    assert result.exit_code == 0, result.output
    assert "without the 1 cell that only earlier launches have" in result.stderr
    assert {cell.key for cell in sweep.load("back.yaml").cells} == {cell.key for cell in second.cells}

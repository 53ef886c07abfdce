"""Files that are read again: what is damaged is named, left out, and computed again, with the same numbers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ddsweep import checked_files, files, launches
from ddsweep.backends import Definition
from ddsweep.backends.local import FolderStore
from ddsweep.cli.requeue import requeue
from ddsweep.pretrained import spec
from tests.cli.conftest import Run

NAME = "ablation-alpha@demo"
RUNS = Path("runs")


@pytest.fixture
def again(ddsweep: Run, tiny: list[str]) -> Run:
    """Launch a sweep of three cells, two of them guided by the same PTM: ``again("--recompute")``."""

    def launch(*more: str) -> object:
        return ddsweep("launch", NAME, *tiny, "--set", "alpha=0,1,10", "--workers", "0",
                       "--device", "cpu", *more)  # fmt: skip

    return launch  # type: ignore[return-value]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves the files of the finished sweep for the others."""
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def finished(again: Run, ddsweep: Run, template: Path) -> list[dict[str, object]]:
    """The records of the finished sweep."""
    pairs = ((RUNS, template / "runs"), (files.cache_dir(), template / "cache"))
    if (template / "runs").is_dir():
        for path, copy in pairs:
            shutil.copytree(copy, path, dirs_exist_ok=True)
    else:
        assert again().exit_code == 0
        for path, copy in pairs:
            shutil.copytree(path, copy)
    return records(ddsweep)


def records(ddsweep: Run) -> list[dict[str, object]]:
    shown = ddsweep("results", NAME, "--format", "json")
    assert shown.exit_code == 0
    return json.loads(shown.stdout)


def folder_of(alpha: float) -> Path:
    (found,) = (
        path.parent for path in RUNS.glob("*/result.json") if json.loads(path.read_text())["recipe"]["alpha"] == alpha
    )
    return found


def content(path: Path) -> tuple[dict[str, object], dict[str, str]]:
    """The values and the metadata of a safetensors file."""
    tensors, metadata = checked_files.read_tensors(path)
    return {name: value.tolist() for name, value in tensors.items()}, metadata


def flip(path: Path, offset: int | None = None) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if offset is None else offset] ^= 4
    path.write_bytes(content)


def change_digit(path: Path) -> None:
    """Change the first digit of the first accuracy, as a damaged disk or an editor would."""
    text = path.read_text()
    changed = re.sub(r'("accuracies": \{\s*"convnet3": \[\s*0\.)(\d)', lambda m: f"{m[1]}{(int(m[2]) + 8) % 10}", text)
    assert changed != text
    path.write_text(changed)


DAMAGE = {
    "a digit": change_digit,
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
    "no JSON object": lambda path: path.write_text("[]"),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_left_out_and_computed_again(
    ddsweep: Run, again: Run, finished: list[dict[str, object]], damage: str
) -> None:
    folder = folder_of(10)
    DAMAGE[damage](folder / "result.json")
    shown = ddsweep("results", NAME, "--format", "json")
    assert shown.exit_code == 0
    kept = [record for record in json.loads(shown.stdout) if record["accuracy"] is not None]
    assert kept == [record for record in finished if record["alpha"] != 10]
    assert f"ddsweep launch {NAME}" in shown.stderr
    assert damage == "missing" or str(folder) in shown.stderr
    again_with = "--runs ./runs" if damage == "missing" else "--recompute --runs ./runs"
    hint = f"ddsweep launch {NAME} --set alpha=0,1,10 {again_with}"  # without --set, it would add cells
    assert hint in ddsweep("results", NAME, "--runs", "./runs").stderr
    for command in (["show", NAME], ["status", NAME], ["list"], ["report", NAME], ["plot", NAME]):
        assert ddsweep(*command).exit_code == 0, command
    done = again()
    assert done.exit_code == 0, done.output
    assert "computed again: 1 finished cell" in done.stdout
    assert records(ddsweep) == finished
    second = again()
    assert "computed again" not in second.stdout


def test_old_results_without_a_checksum_are_read_unless_they_contradict_themselves(
    ddsweep: Run, finished: list[dict[str, object]]
) -> None:
    for path in RUNS.glob("*/result.json"):
        values = json.loads(path.read_text())
        for name in ("checksum", "files", "classes"):
            del values[name]
        path.write_text(json.dumps(values))
    assert records(ddsweep) == finished
    change_digit(folder_of(1) / "result.json")
    shown = ddsweep("results", NAME, "--format", "json")
    assert "its accuracy is not the mean of its accuracies" in shown.stderr
    assert [record["accuracy"] for record in json.loads(shown.stdout) if record["alpha"] == 1] == [None]


def test_a_damaged_set_is_named_by_all_that_read_it(
    ddsweep: Run, again: Run, finished: list[dict[str, object]]
) -> None:
    path = folder_of(10) / "synthetic.safetensors"
    before = content(path)
    intact = path.read_bytes()
    for offset in (40, -5, None):  # in the header, in the labels, in the images
        path.write_bytes(intact)
        flip(path, offset)
        assert ddsweep("evaluate", str(path)).exit_code == 2
    for command in (["export", f"{NAME}:alpha=10", "--to", "pt", "-o", "out.pt"], ["evaluate", str(path)]):
        answer = ddsweep(*command)
        assert answer.exit_code == 2, command
        assert str(path) in answer.stderr and "damaged" in answer.stderr
        assert answer.stderr.count("\n") == 1
    assert not Path("out.pt").exists()
    for command in (["plot", NAME, "--kind", "grid"], ["report", NAME]):
        answer = ddsweep(*command)
        assert answer.exit_code == 0, answer.stderr
        assert str(path) in answer.stderr and "--recompute" in answer.stderr
    assert records(ddsweep) == finished, "the numbers are intact"
    done = again("--recompute")
    assert done.exit_code == 0, done.output
    assert content(path) == before
    assert records(ddsweep) == finished


def test_damaged_weights_are_trained_again_and_give_the_same_numbers(
    ddsweep: Run, again: Run, finished: list[dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    (weights,) = spec.pool_dir().rglob("epoch*.safetensors")
    before = content(weights)
    flip(weights)
    for path in RUNS.glob("*/result.json"):
        path.unlink()
    assert again().exit_code == 0
    assert records(ddsweep) == finished
    assert content(weights) == before
    assert f"{weights} is damaged" in caplog.text


def test_damaged_metrics_do_not_reach_the_report(ddsweep: Run, finished: list[dict[str, object]]) -> None:
    path = folder_of(10) / "metrics.jsonl"
    path.write_text(re.sub(r"\d\.\d", "7.7", path.read_text(), count=1))
    answer = ddsweep("report", NAME)
    assert answer.exit_code == 0
    assert str(path) in answer.stderr


def test_another_sweep_that_shares_a_damaged_cell_computes_it(
    ddsweep: Run, tiny: list[str], finished: list[dict[str, object]]
) -> None:
    flip(folder_of(0) / "result.json")
    Path("mine.yaml").write_text((Path(__file__).parents[2] / "sweeps" / "ablation-alpha.yaml").read_text())
    done = ddsweep("launch", "mine.yaml", "-p", "demo", *tiny, "--set", "alpha=0", "--set", "ipc=5",
                   "--set", "method=dm",
                   "--workers", "0", "--device", "cpu")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(ddsweep("status", "mine,ipc=5@demo", "--json").stdout)[0]["cells"][0]["attempts"] == 1
    assert records(ddsweep) == finished


def test_where_points_are_not_repeated_nothing_is_moved(finished: list[dict[str, object]]) -> None:
    """W&B never repeats a point: the number stays until its cell is computed again on this machine."""
    one, store = launches.load(NAME, None, RUNS, None), FolderStore(RUNS)
    store.remember(Definition.of(one))
    folder = folder_of(10)
    flip(folder / "synthetic.safetensors")
    (line,) = requeue(store, store.sweep(NAME), one, RUNS, recompute=True)
    assert line.startswith("1 finished cell damaged: W&B does not repeat them")
    assert "alpha=10" in line and line.endswith("--recompute")
    assert (folder / "result.json").is_file()
    assert not (RUNS / "replaced").exists()

"""A set whose classes have another order, other names or none, by the front door."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import ddsweep as library
from ddsweep.data import Dataset
from tests.cli.conftest import Run
from tests.exchange.test_names import TWELVE, data_folder, folder_set, pair, pixels_of

FAST = ["--arch", "convnet1", "--nets", "1", "--device", "cpu", "--set", "width=16", "--set", "eval_epochs=60"]
PLAIN = [*FAST, "--set", "eval_strategy=none"]  # the place of the patch is the class: it must not move


@pytest.fixture
def twelve(tmp_path: Path) -> Dataset:
    return data_folder(tmp_path / "data", TWELVE)


def test_folders_with_numbers_are_classes(ddsweep: Run, twelve: Dataset, tmp_path: Path) -> None:
    """The finding, with real networks: 1.0 when labels are matched, hardly above chance when they are not."""
    path = folder_set(tmp_path / "set", TWELVE)
    told = ddsweep("evaluate", str(path), "--dataset", twelve.name, *PLAIN, "--json")
    record = json.loads(told.stdout)
    assert record["networks"][0]["accuracy"] > 0.95
    assert record["remarks"][0] == "classes matched by name"
    assert min(record["networks"][0]["class_accuracy"]) > 0.4
    loaded = library.load_set(path, dataset=twelve.name)
    (evaluation,) = library.evaluate(
        loaded, dataset=twelve.name, arch="convnet1", nets=1, device="cpu", width=16, eval_epochs=60,
        eval_strategy="none",
    ).values()  # fmt: skip
    assert evaluation.mean == record["networks"][0]["accuracy"]


def test_labels_without_names_and_the_way_to_name_them(ddsweep: Run, twelve: Dataset, tmp_path: Path) -> None:
    path = pair(tmp_path / "set", pixels_of(range(12)), torch.arange(12))
    words = ["evaluate", str(path), "--dataset", twelve.name, *PLAIN]
    told = ddsweep(*words)
    assert told.stderr.startswith("warning: label 2 is taken for class '10'; if it is another one, --classes")
    assert f"labels 0…11 are taken in the order of {twelve.name}: 0, 1, 10, 11, 2, …" in told.stdout.replace("\n", " ")
    assert json.loads(ddsweep(*words, "--json").stdout)["networks"][0]["accuracy"] < 0.5
    named = ddsweep(*words, "--json", "--classes", ",".join(TWELVE))
    assert json.loads(named.stdout)["networks"][0]["accuracy"] > 0.95
    assert json.loads(named.stdout)["warnings"] == []
    (evaluation,) = library.evaluate(
        path, dataset=twelve.name, classes=TWELVE, arch="convnet1", nets=1, device="cpu", width=16, eval_epochs=60,
        eval_strategy="none",
    ).values()  # fmt: skip
    assert evaluation.mean == json.loads(named.stdout)["networks"][0]["accuracy"]


def refused(ddsweep: Run, *words: str) -> str:
    result = ddsweep(*words)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


def test_classes_of_a_cell_and_of_its_folder_today(
    ddsweep: Run, tiny: list[str], twelve: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Exported in every format; the folder then gets other images, another class, or another name for one."""
    setting = ["--set", f"target={twelve.name}", "--set", "size=16", "--set", "alpha=0", "--set", "ipc=2"]
    assert ddsweep("launch", "ablation-alpha", "-p", "demo", *tiny, *setting, "--workers", "0").exit_code == 0
    (run,) = (path.parent for path in Path("runs").glob("*/result.json"))
    then = json.loads((run / "result.json").read_text())
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    by_name = dict(zip(sorted(TWELVE), then["class_accuracy"]["convnet3"], strict=True))
    assert {name: last[f"class_accuracy/{name}"] for name in TWELVE} == by_name
    for to in ("pt", "vico", "folder", "hf"):
        path = ddsweep("export", run.name, "--to", to, "-o", to).stdout.strip()
        assert list(library.load_set(path).classes) == sorted(TWELVE)
        judged = json.loads(ddsweep("evaluate", path, "--json", "--device", "cpu").stdout)
        if to in ("pt", "vico"):
            assert {one["arch"]: one["accuracies"] for one in judged["networks"]} == then["accuracies"]

    for place in (str(run), "pt"):
        assert json.loads(ddsweep("evaluate", place, "--json", "--device", "cpu").stdout)["warnings"] == []
    first = tmp_path / "data" / "test" / "3" / "0.png"
    kept = first.read_bytes()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(first)
    for place in (str(run), "pt"):
        (warning,) = json.loads(ddsweep("evaluate", place, "--json", "--device", "cpu").stdout)["warnings"]
        assert warning.startswith(f"the images of {twelve.name} have changed since the set was distilled")
    caplog.clear()
    library.evaluate(run, device="cpu")
    assert "have changed since the set was distilled" in caplog.text
    first.write_bytes(kept)

    shutil.copytree(tmp_path / "data", tmp_path / "other")
    for part in ("train", "test"):
        (tmp_path / "other" / part / "7").rename(tmp_path / "other" / part / "07b")
    other = f"imagefolder:{tmp_path}/other"
    for path in (str(run), "pt", "hf", "folder"):
        line = refused(ddsweep, "evaluate", path, "--dataset", other)
        assert f"{other} has no class '7' of the set (did you mean '07b'?), and the set has no class '07b'" in line
    for part in ("train", "test"):
        (tmp_path / "other" / part / "07b").rename(tmp_path / "other" / part / "7")
        (tmp_path / "other" / part / "more").mkdir()
        for number in range(3):
            Image.new("RGB", (16, 16)).save(tmp_path / "other" / part / "more" / f"{number}.png")
    assert "the set has no class 'more' of imagefolder" in refused(ddsweep, "evaluate", str(run), "--dataset", other)

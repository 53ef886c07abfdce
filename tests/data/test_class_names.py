"""The names of the classes of a run: those it was computed with, not those that the folder has today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from ddsweep import checked_files, data, files
from ddsweep.data import class_names, paths
from ddsweep.registry.datasets import info
from tests.exchange.test_names import data_folder


def saved_set(folder: Path, classes: list[str]) -> Path:
    files.write_tensors(folder / "synthetic.safetensors", {"images": torch.zeros(1)}, {"classes": "\n".join(classes)})
    return folder


def test_a_run_keeps_its_names(tmp_path: Path) -> None:
    dataset = data_folder(tmp_path / "data", ["b", "a"])
    run = saved_set(tmp_path / "run", ["a", "b"])
    assert class_names.of_run(run, dataset.name) == ("a", "b")
    (tmp_path / "data" / "train" / "b").rename(tmp_path / "data" / "train" / "0")
    (tmp_path / "data" / "test" / "b").rename(tmp_path / "data" / "test" / "0")
    assert data.load(dataset.name, 16).classes == ("0", "a")
    assert class_names.of_run(run, dataset.name) == ("a", "b")
    shutil.rmtree(tmp_path / "data")
    assert class_names.of_run(run, dataset.name) == ("a", "b")


def test_a_run_whose_set_stayed_on_another_host(tmp_path: Path) -> None:
    dataset = data_folder(tmp_path / "data", ["a", "b"])
    recorded = {"classes": ["b", "a"]}
    checked_files.write_json(tmp_path / "run" / "result.json", recorded)
    assert class_names.of_run(tmp_path / "run", dataset.name) == ("b", "a")
    files.write_json(tmp_path / "run" / "result.json", recorded | {"checksum": "0"})
    assert class_names.of_run(tmp_path / "run", dataset.name) == ("a", "b"), "a damaged result is not believed"


def test_a_run_without_a_set(tmp_path: Path) -> None:
    assert class_names.of_run(tmp_path / "run", "digits") == tuple("0123456789")
    assert class_names.of_run(tmp_path / "run", f"imagefolder:{tmp_path}/gone") == ()
    assert class_names.of_set(tmp_path / "gone") == ()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "synthetic.safetensors").write_bytes(b"damaged")
    assert class_names.of_run(tmp_path / "run", "digits") == tuple("0123456789")


def test_names_that_come_with_the_archive(tmp_path: Path) -> None:
    """The table calls the classes of Tiny ImageNet 1 … 200; its decoded images have their names."""
    run, row = tmp_path / "run", info("tinyimagenet")
    assert class_names.of_run(run, "tinyimagenet")[0] == "1"
    words = [f"word {number}" for number in range(200)]
    files.write_tensors(paths.decoded(row), {"images": torch.zeros(1)}, {"classes": json.dumps(words)})
    assert class_names.of_run(run, "tinyimagenet") == tuple(words)

"""Accuracy by group at the front door: evaluate, run, launch, results, and the Python functions."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ddsweep as library
from ddsweep.data import Dataset
from tests.cli.conftest import TINY, Run

SPEC = "cdigits:align=0.95,severity=2"
QUICK = ["--nets", "2", "--set", "eval_epochs=4", "--set", "width=4", "--device", "cpu"]


def real_images(dataset: Dataset, per_class: int = 2) -> str:
    """A file of another project: the first real images of each class."""
    chosen = torch.cat([indices[:per_class] for indices in dataset.per_class])
    torch.save(dataset.images[chosen], "images_best.pt")
    torch.save(dataset.labels[chosen], "labels_best.pt")
    return "images_best.pt"


def weighted(groups: dict[str, float], aligned: int, all_images: int) -> float:
    """The accuracy on all test images that follows from those on the two kinds."""
    return (groups["aligned"] * aligned + groups["conflicting"] * (all_images - aligned)) / all_images


def test_a_file_on_colored_digits(ddsweep: Run) -> None:
    data = library.load_dataset(SPEC)
    assert data.test_attributes is not None
    aligned = int((data.test_attributes == data.test_labels).sum())
    file = real_images(data)
    (network,) = json.loads(ddsweep("evaluate", file, "--dataset", SPEC, *QUICK, "--json").stdout)["networks"]
    groups = network["group_accuracy"]
    assert weighted(groups, aligned, len(data.test_labels)) == pytest.approx(network["accuracy"])
    assert groups["worst_group"] <= min(network["class_accuracy"])
    text = ddsweep("evaluate", file, "--dataset", SPEC, *QUICK).stdout
    head, numbers = next(
        (line, after)
        for line, after in zip(text.splitlines(), text.splitlines()[1:], strict=False)
        if "aligned" in line and "accuracy" in line
    )
    assert head.split() == ["network", "accuracy", "networks", "aligned", "conflicting", "worst", "group"]
    assert numbers.split()[-3:] == [f"{100 * value:.1f}" for value in groups.values()]
    assert "conflicting: all others" in text
    again = library.evaluate(file, dataset=SPEC, nets=2, eval_epochs=4, width=4, device="cpu")
    assert again["convnet3"].group_accuracy == groups


def test_plain_digits_have_no_groups(ddsweep: Run) -> None:
    file = real_images(library.load_dataset("digits"))
    assert "aligned" not in ddsweep("evaluate", file, "--dataset", "digits", *QUICK).stdout


def photo(path: Path, label: int, background: int, number: int) -> None:
    """A bright square at the place of the class, on a background of one of three colors."""
    pixels = np.full((16, 16, 3), [(90, 20, 20), (20, 90, 20), (20, 20, 90)][background], np.uint8)
    pixels[4 * label : 4 * label + 4, number % 4 : number % 4 + 8] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_folder_with_a_side_file(ddsweep: Run) -> None:
    """The attribute of a class is the most frequent one of its training images: sea for owls, land for jays."""
    train = {"owl": ["sea"] * 6 + ["land"] * 2, "jay": ["land"] * 5 + ["sky"] * 3}
    test = {"owl": ["sea", "land", "sky", "land"], "jay": ["land", "land", "sea"]}
    lines = ["file,attribute"]
    names = ["sea", "land", "sky"]
    for split, classes in (("train", train), ("test", test)):
        for label, (name, attributes) in enumerate(classes.items()):
            for number, attribute in enumerate(attributes):
                path = Path(split, name, f"{number}.png")
                photo("birds" / path, label, names.index(attribute), number)
                lines.append(f"{path.as_posix()},{attribute}")
    Path("birds/attributes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = f"imagefolder:{Path('birds').absolute()}"
    file = real_images(library.load_dataset(spec))
    found = ddsweep("evaluate", file, "--dataset", spec, *QUICK, "--json")
    (network,) = json.loads(found.stdout)["networks"]
    own = {name: Counter(attributes).most_common(1)[0][0] for name, attributes in train.items()}
    aligned = sum(attribute == own[name] for name, attributes in test.items() for attribute in attributes)
    assert aligned == 3
    assert weighted(network["group_accuracy"], aligned, 7) == pytest.approx(network["accuracy"])


def test_a_biased_sweep_shows_them_without_being_asked(ddsweep: Run, tiny: list[str]) -> None:
    cells = ["--set", "align=0.5,0.95"]
    launched = ddsweep("launch", "ablation-bias", "-p", "demo", *cells, *small(), "--workers", "0", "-d", "cpu")
    assert launched.exit_code == 0, launched.output
    name = next(line for line in launched.stdout.splitlines() if line.startswith("ablation-bias")).split()[0]
    shown = ddsweep("results", name).stdout
    for text in (launched.stdout, shown):
        for said in ("conflicting", "worst group", "accuracy by group in percent"):
            assert said in text
    rows = list(csv.DictReader(io.StringIO(ddsweep("results", name, "--format", "csv").stdout)))
    assert len(rows) == 4
    results = {path.parent.name: json.loads(path.read_text()) for path in Path("runs").glob("*/result.json")}
    for row in rows:
        (one,) = [
            result for result in results.values()
            if (result["recipe"]["align"], result["recipe"]["regularizer"]) == (float(row["align"]), row["regularizer"])
        ]  # fmt: skip
        groups = one["group_accuracy"]["convnet3"]
        assert {name: float(row[name]) for name in groups} == groups
        assert weighted(groups, 60, 596) == pytest.approx(one["accuracy"], abs=1e-9)
    said = ddsweep("run", name, "align=0.95", "regularizer=none", "-d", "cpu").stdout  # finished: its result is read
    numbers = [f"{100 * float(row[one]):.1f}" for row in rows[:2] for one in ("aligned", "conflicting", "worst_group")]
    assert "groups    aligned {}, conflicting {}, worst group {}".format(*numbers[3:]) in said
    listed = ddsweep("results", name, "--cells", "--format", "json").stdout
    assert all(line["worst_group"] is not None for line in json.loads(listed))
    frame = library.results(name)
    assert list(frame["conflicting"]) == [float(row["conflicting"]) for row in rows]


def small() -> list[str]:
    return [
        word
        for setting in TINY
        if setting.partition("=")[0] in ("iterations", "eval_epochs")
        for word in ("--set", setting)
    ]

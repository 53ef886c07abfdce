"""Files that cannot be used: each is refused in one line that names the file and what is wrong with it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddsweep import device, exchange
from ddsweep.characters import one_line
from ddsweep.data import Dataset
from ddsweep.errors import UserError
from ddsweep.exchange import ImageSet, hf
from ddsweep.exchange.prepare import Choices, prepare
from tests import hostile as hostile_names
from tests.exchange.conftest import draw, labels, pixels, saved


def refused(path: Path, dataset: Dataset, choices: Choices | None = None) -> str:
    with pytest.raises(UserError) as error:
        prepare(exchange.read(path), dataset, path, choices or Choices())
    assert "\n" not in str(error.value)
    return str(error.value)


def images(*shape: int, value: float = 0.0) -> torch.Tensor:
    return torch.full(shape or (20, 1, 16, 16), value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (images(value=float("nan")), "20 of 20 images have values that are NaN or infinite"),
        (images(value=float("inf")), "NaN or infinite"),
        (images().long(), "images are int64 (allowed: float32 and other floats, uint8)"),
        (images().to(torch.complex64), "images are complex64"),
        (images().to_sparse(), "images are sparse float32"),
        (images(20, 2, 16, 16), "images are 20x2x16x16, not n x 1 or 3 channels x size x size"),
        (images(20, 1, 16, 8), "20x1x16x8"),
        (images(0, 1, 16, 16), "needed: at least one image, of at least 4 pixels"),
        (images(20, 16, 16), "holds a tensor of 20x16x16; images are n x channels x height x width"),
        (images(20, 3, 16, 16, value=-3.0), "images of 3 channels cannot have the statistics of digits"),
        (images(21, 1, 16, 16), "has no labels, and 21 images is not a multiple of 10 classes"),
        (torch.zeros(1).expand(10**6, 3, 10**3, 10**3), "GiB; with the memory of this machine, at most"),
        ({"model": 1, "epoch": 2}, "holds a dictionary of epoch, model, which is not a known format: "),
        ({"data": []}, "its 'data' is not a list of [images, labels]"),
        ({"data": [[1, 2]]}, "its 'data' is not a list of [images, labels]"),
    ],
)  # fmt: skip
def test_images(content: object, line: str, place: Path, digits: Dataset) -> None:
    if isinstance(content, torch.Tensor) and content.dtype is torch.float32 and content.dense_dim() == 4:
        content = content - 1 if content.shape[1] == 3 and len(content) == 20 else content  # no pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of sparse tensors while it saves and loads them
        assert line in refused(saved(place / "images.pt", content), digits)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (labels()[:-1], "20 images, but labels for 19"),
        (labels() + 1, "labels are 1 to 10, but the dataset has 10 classes, 0 to 9"),
        (labels() - 1, "labels are -1 to 8"),
        (labels().clamp(max=8), "class 8 (8) has 4 images, others 2"),
        (labels().float(), "labels are float32 of 1 axes, not whole numbers of classes"),
        (draw(20, 10), "labels are learned class weights, on which ddsweep does not train networks; --hard-labels"),
        (draw(20, 7), "labels are weights of 7 classes, but the dataset has 10"),
        ("text", "holds no tensor but a str"),
    ],
)
def test_labels(content: object, line: str, place: Path, digits: Dataset) -> None:
    saved(place / "labels.pt", content)
    assert line in refused(saved(place / "images.pt", pixels(20)), digits)


def test_learned_labels_can_be_hardened(place: Path, digits: Dataset) -> None:
    weights = 0.3 * torch.eye(10).repeat_interleave(2, 0) + 0.01 * draw(20, 10)
    saved(place / "labels.pt", weights)
    path = saved(place / "images.pt", pixels(20))
    found = prepare(exchange.read(path), digits, path, Choices(hard=True))
    assert torch.equal(found.synthetic.labels, labels())


@pytest.mark.parametrize("name", ["images.pt", "set.npz", "synthetic.safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x80\x02garbage", bytes(100)])
def test_damaged(name: str, content: bytes, place: Path, digits: Dataset) -> None:
    path = place / name
    path.write_bytes(content)
    assert "damaged" in refused(path, digits)


def test_a_file_that_fills_the_memory(place: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "memory", lambda: 2**14)
    path = place / "set.npz"
    np.savez_compressed(path, images=np.zeros((20, 1, 16, 16)), labels=np.zeros(20))
    assert path.stat().st_size < 2**13  # it is the unpacked size that counts
    assert "with the memory of this machine, at most" in refused(path, digits)


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        (Choices(ipc=3), "has 2 images per class, not 3"),
        (Choices(space="cifar"), "space: unknown statistics 'cifar'; did you mean cifar10?"),
        (Choices(space="cifar10"), "space: cifar10 has statistics of 3 channels, the images have 1"),
    ],
)
def test_choices(choices: Choices, line: str, place: Path, digits: Dataset) -> None:
    assert line in refused(saved(place / "images.pt", draw(20, 1, 16, 16)), digits, choices)


def test_idc_has_to_say_its_factor(place: Path, digits: Dataset) -> None:
    path = saved(place / "data.pt", [pixels(10), torch.arange(10)])
    assert refused(path, digits).startswith(f"factor: {path} does not say how many images an image holds; --factor 2")


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"zca": True}, "is whitened (ZCA)"),
        ({"mean": "0.5"}, "mean is '0.5', which ddsweep export does not write"),
        ({"std": ["a"]}, "std has a value that is not a number"),
        ({"space": "lab"}, "space: 'lab' (allowed: pixels, normalised)"),
    ],
)
def test_notes(record: dict[str, object], line: str, place: Path, digits: Dataset) -> None:
    path = saved(place / "images.pt", draw(20, 1, 16, 16))
    note = {"ddsweep-set": 1, "file": "images.pt", "factor": 1, **record}
    (place / "ddsweep.json").write_text(json.dumps(note))
    assert line in refused(path, digits)


def test_folders(place: Path, digits: Dataset) -> None:
    assert "no class folders with images" in refused(place, digits)
    for label, size in enumerate((16, 16, 8)):
        (place / f"{label}").mkdir()
        Image.new("L", (size, size)).save(place / f"{label}" / "a.png")
    assert "2/a.png: is 8x8, the first image 16x16" in refused(place, digits)
    (place / "2" / "a.png").write_bytes(b"no image")
    assert "2/a.png: cannot be read as an image" in refused(place, digits)
    (place / "2" / "a.png").unlink()
    assert "2: has no images" in refused(place, digits)


def test_rows_that_lead_outside(place: Path, digits: Dataset) -> None:
    (place / "train").mkdir()
    row = json.dumps({"file_name": "../../secret.png", "label": 0})
    (place / "train" / "metadata.jsonl").write_text(row + "\n")
    assert "line 1: file_name leads outside" in refused(place, digits)


def test_several_in_a_folder(place: Path, digits: Dataset) -> None:
    for name in ("a_images.pt", "b_images.pt"):
        saved(place / name, pixels(20))
    assert "holds a_images.pt, b_images.pt …; name one of them" in refused(place, digits)


@pytest.mark.parametrize(
    ("name", "images", "choices", "warning"),
    [
        ("images.pt", pixels(20), Choices(space="normalized"), "are hardly all in [0, 1]; if they are pixels"),
        ("images.pt", 3 * draw(20, 1, 16, 16), Choices(), "% lie outside of what digits can be when normalized"),
        ("images.pt", draw(20, 1, 16, 16), Choices(space="unit"), "are no pixels in [0, 1]; if they are normalized"),
        ("images.pt", pixels(20), Choices(), ""),
        ("images.pt", 0.5 * draw(20, 1, 16, 16), Choices(), ""),
        ("images.pt", (255 * pixels(20)).byte(), Choices(), ""),
    ],
)  # fmt: skip
def test_what_cannot_be_is_doubted(
    name: str, images: torch.Tensor, choices: Choices, warning: str, place: Path, digits: Dataset
) -> None:
    content = {"data": [[images, labels()]]} if name.startswith("res") else images
    path = saved(place / name, content)
    found = prepare(exchange.read(path), digits, path, choices).warnings
    assert len(found) == bool(warning)
    assert not warning or warning in found[0]


def test_names_in_a_dataset_card_are_not_markup(one: ImageSet, tmp_path: Path) -> None:
    classes = (*hostile_names.CLASSES, "x---", "---")
    odd = replace(one, facts=replace(one.facts, dataset=hostile_names.TITLE, classes=classes))
    path = tmp_path / "README.md"
    path.write_text(hf.card(odd), encoding="utf-8")
    assert hf.names_in_card(path) == classes
    page = hostile_names.rendered(path.read_text(encoding="utf-8").split("\n---\n", 1)[1])
    assert all(one_line(name) in page.text for name in classes)
    assert not {"script", "b", "br", "em", "a", "img"} & set(page.tags)
    assert not hostile_names.CONTROL.search(page.text)

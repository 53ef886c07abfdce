"""The value space of files that do not state it: every format, by values as people save them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ddsweep as library
from ddsweep import data, exchange
from ddsweep.data import Dataset
from ddsweep.errors import UserError
from ddsweep.exchange.prepare import Choices, prepare
from tests.exchange.conftest import draw, labels, saved

SAVED = {
    "unit": lambda pixels, mean, std: pixels,
    "symmetric": lambda pixels, mean, std: 2 * pixels - 1,
    "bytes": lambda pixels, mean, std: 255 * pixels,
    "normalized": lambda pixels, mean, std: (pixels - mean) / std,
}
SAID = {
    "unit": "pixels in [0, 1]", "symmetric": "pixels in [-1, 1]", "bytes": "pixels in [0, 255]",
    "normalized": "normalized with the statistics of ",
}  # fmt: skip


def pair(place: Path, images: Tensor) -> Path:
    saved(place / "labels.pt", labels())
    return saved(place / "images.pt", images)


def kip(place: Path, images: Tensor) -> Path:
    np.savez(place / "set.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=labels().numpy())
    return place / "set.npz"


def vico(place: Path, images: Tensor) -> Path:
    return saved(place / "res_DM_X_ConvNet_2ipc.pt", {"data": [[images, labels()]]})


def idc(place: Path, images: Tensor) -> Path:
    return saved(place / "data.pt", [images, labels()])


FORMS = {"pt": pair, "kip": kip, "vico": vico, "idc": idc}


@dataclass(frozen=True)
class Found:
    """Pixels that networks would see, the name of the space, and everything that is said."""

    pixels: Tensor
    space: str
    said: str


def found(path: Path, dataset: Dataset, space: str = "") -> Found:
    ready = prepare(exchange.read(path), dataset, path, Choices(space, factor=1))
    images = ready.synthetic.images.double() * column(dataset.std) + column(dataset.mean)
    return Found(images, ready.space.name, "\n".join([*ready.remarks, *ready.warnings]))


def column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


def real(dataset: Dataset) -> Tensor:
    """Two real images of each class, as pixels in [0, 1]."""
    places = torch.cat([(dataset.labels == label).nonzero()[:2, 0] for label in range(10)])
    return dataset.images[places].double() * column(dataset.std) + column(dataset.mean)


def learned(dataset: Dataset) -> Tensor:
    """Real images with noise as optimization adds it, clipped: not on the grid of 8 bits."""
    return (real(dataset) + 0.1 * draw(20, dataset.channels, dataset.size, dataset.size)).clamp(0, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("space", SAVED)
@pytest.mark.parametrize("make", [real, learned])
@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_the_space_is_found_and_said(form: str, space: str, make: Any, name: str, place: Path) -> None:
    dataset = data.load(name)
    pixels = make(dataset)
    path = FORMS[form](place, SAVED[space](pixels, column(dataset.mean), column(dataset.std)).float())
    one = found(path, dataset)
    assert one.space == (name if space == "normalized" else space)
    torch.testing.assert_close(one.pixels, pixels, rtol=0, atol=1e-5)
    assert f"assumed to be {SAID[space]}" in one.said
    assert "if they are not: --space normalized|unit|symmetric|bytes|zca|DATASET" in one.said
    asked = found(path, dataset, space)
    torch.testing.assert_close(asked.pixels, pixels, rtol=0, atol=1e-5)
    assert "assumed" not in asked.said


@pytest.mark.parametrize("contrast", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.3])
def test_learned_pixels_that_leave_the_range_are_normalized(
    contrast: float, shift: float, place: Path, digits: Dataset
) -> None:
    """As DC and DM learn them: without clipping, with other contrast and brightness than real images."""
    images = contrast * draw(20, 1, 16, 16) + shift
    for form in ("pt", "vico"):
        one = found(FORMS[form](place, images), digits)
        assert one.space == "digits"
        torch.testing.assert_close(
            one.pixels, images * digits.std[0] + digits.mean[0], rtol=0, atol=1e-4, check_dtype=False
        )


def test_two_equally_likely_spaces_are_refused_or_decided_by_the_format(place: Path, digits: Dataset) -> None:
    """Values from -0.8 to 0.8 can be blurred normalized images, or images in [-1, 1] without black and white."""
    images = (0.35 * draw(20, 1, 16, 16)).clamp(-0.8, 0.8)
    path = pair(place, images)
    with pytest.raises(UserError) as error:
        found(path, digits)
    line = str(error.value)
    assert line.startswith(f"space: {path} has values from -0.80 to 0.80, which can be ")
    assert {"--space symmetric", "--space normalized"} <= {f"--space {w.split()[0]}" for w in line.split("--space ")}
    assert "\n" not in line
    assert found(vico(place, images), digits).space == "digits"
    assert found(path, digits, "symmetric").space == "symmetric"
    assert found(path, digits, "normalized").space == "digits"


@pytest.mark.parametrize("images", [torch.full((20, 1, 16, 16), 7.0), draw(20, 1, 16, 16).abs() * 1e-4 + 3])
def test_values_that_fit_no_space_are_refused(images: Tensor, place: Path, digits: Dataset) -> None:
    with pytest.raises(UserError, match="not like pixels of digits in any usual space; choose one: --space normalized"):
        found(pair(place, images), digits)


def test_8_bit_images_are_bytes(place: Path, digits: Dataset) -> None:
    images = (255 * real(digits)).round().byte()
    path = pair(place, images)
    assert found(path, digits).space == found(path, digits, "bytes").space == "bytes"
    torch.testing.assert_close(found(path, digits).pixels, real(digits), rtol=0, atol=1e-6)
    with pytest.raises(UserError, match=r"space: symmetric: 8-bit images are pixels in \[0, 255\] \(allowed: bytes\)"):
        found(path, digits, "symmetric")


def test_gray_files_for_a_dataset_in_color(place: Path) -> None:
    dataset = data.load("shapes")
    gray = learned(dataset).mean(1, keepdim=True)
    gray = (gray - gray.min()) / (gray.max() - gray.min())
    assert found(pair(place, (2 * gray - 1).float()), dataset).space == "symmetric"
    assert found(pair(place, gray.float()), dataset).space == "unit"


def test_in_python(place: Path, digits: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    path = pair(place, (2 * learned(digits) - 1).float())
    with caplog.at_level(logging.WARNING):
        guessed = library.load_set(path, dataset="digits")
    assert "assumed to be pixels in [-1, 1]" in caplog.text
    assert any("assumed to be pixels in [-1, 1]" in remark for remark in guessed.remarks)
    caplog.clear()
    asked = library.load_set(path, dataset="digits", space="symmetric")
    assert torch.equal(guessed.images, asked.images)
    assert caplog.text == ""
    wrong = library.load_set(path, dataset="digits", space="normalized")
    assert not torch.allclose(wrong.images, asked.images)
    small: Any = {"dataset": "digits", "arch": "convnet1", "nets": 1, "eval_epochs": 1, "width": 4, "device": "cpu"}
    assert library.evaluate(path, space="symmetric", **small) == library.evaluate(asked, **small)
    with pytest.raises(UserError, match="space: 'unit' is for files; this set is loaded"):
        library.evaluate(asked, space="unit", **small)


@pytest.mark.parametrize("space", ["unit", "symmetric", "bytes", "mnist"])
def test_our_files_say_their_space(space: str, one: exchange.ImageSet, place: Path) -> None:
    """Whatever they were exported in, nothing is guessed."""
    from ddsweep.exchange import space as spaces

    if space == "mnist" and one.facts.dataset != "digits":
        return
    given = spaces.restated(one, spaces.named(space, one.images.shape[1]))
    dataset = data.load(one.facts.dataset)
    expected = one.images.double() * column(dataset.std) + column(dataset.mean)
    for form in ("pt", "vico"):
        path = exchange.WRITERS[form].write(given, place / form)
        seen = found(path, dataset)
        torch.testing.assert_close(seen.pixels, expected, rtol=0, atol=1e-4)
        assert "assumed" not in seen.said

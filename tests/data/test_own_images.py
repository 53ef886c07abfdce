"""What is wrong with the images of a plugin's dataset is one line when they are decoded, not an accuracy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ddsweep import data, files
from ddsweep.data.decoders import decode
from ddsweep.errors import UserError
from ddsweep.recipe import make
from ddsweep.registry.datasets import at_size
from ddsweep.registry.own_datasets import dataset
from ddsweep.results import image_checksums
from tests.docs.extending import EXAMPLES
from tests.docs.page import page
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
NOISE = """
import random, time
import ddsweep, numpy as np, torch

@ddsweep.dataset("noise", classes=("a", "b", "c"), size=8, smallest_class=4)
def noise(row, paths):
    return images(12), np.arange(12) % 3, images(6), np.arange(6) % 3

def images(n):
    return np.random.default_rng(n).integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
"""
RETURN = "return images(12), np.arange(12) % 3, images(6), np.arange(6) % 3"


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("images(12), np.arange(12) % 3", "images(12), np.arange(12) % 2", "it has no training images of c"),
        ("images(6), np.arange(6) % 3", "images(6), np.ones(6, int)", "it has no test images of a"),
        ("smallest_class=4", "smallest_class=5", "it has 4 training images in its smallest class; its row says 5"),
        ("smallest_class=4", "smallest_class=3", "it has 4 training images in its smallest class; its row says 3"),
        ("smallest_class=4", "smallest_class=4, images=(12, 7)", "it has 12 and 6 images; its row says 12 and 7"),
        ("np.arange(12) % 3", "np.arange(12) % 4", "its training labels are not those of 3 classes"),
        ("np.arange(6) % 3", "np.arange(6) % 3 - 1", "its test labels are not those of 3 classes"),
        ("np.arange(12) % 3", "np.arange(12) % 3 / 1", "its training labels are float64 [12]; needed: whole"),
        (
            "np.arange(12) % 3",
            "np.eye(3)[np.arange(12) % 3] > 0",
            "its training labels are bool [12, 3]; needed",
        ),
        ("np.arange(12) % 3", "np.eye(3, dtype=int)[np.arange(12) % 3]", "it has 12 training images and 36 labels"),
        ("images(6),", "images(6)[:, :, :7],", "its test images are 7 pixels high and 8 wide; needed: square images"),
        ("(n, 3, 8, 8)", "(n, 3, 9, 9)", "its training images have 9×9 pixels; needed: 8×8, which is the size of its"),
        ("images(6),", "images(6).repeat(2, 2).repeat(2, 3),", "its test images have 16×16 pixels; needed: 8×8"),
        (
            "images(12),",
            "[one[:, : 8 - (i > 5), : 8 - (i > 5)] for i, one in enumerate(images(12))],",
            "its training images have different shapes, as [3, 7, 7] and [3, 8, 8]",
        ),
        ("images(12),", "images(12) / 255,", "its training images are float64 [12, 3, 8, 8]; needed: uint8"),
        ("images(12),", "images(12) * np.nan,", "its training images are float64 [12, 3, 8, 8]; needed: uint8"),
        ("images(12),", "(images(12) / 255).round().astype(np.uint8),", "have only the values 0 and 1; black is 0"),
        ("images(12),", "images(12)[:1].repeat(12, 0),", "it has only equal images"),
        ("size=8,", "size=8, mean=(0.2,) * 3, std=(0.29,) * 3,", "it has a mean of (0."),
        ("return images(12)", "return [][0], images(12)", "IndexError: list index out of range (mine.py line 7)"),
        ("return images(12)", "raise SystemExit(3)\n    return images(12)", "calls sys.exit(3) (mine.py line 7)"),
        (
            RETURN,
            "from ddsweep.data.raw import Raw\n    t = [torch.as_tensor(one) for one in (images(12), "
            "np.arange(12) % 3, images(6), np.arange(6) % 3)]\n    return Raw(('a', 'c', 'b'), *t)",
            "its classes are a, c, b; its row says a, b, c",
        ),
    ],
)
def test_what_is_not_as_the_row_says_is_refused_when_decoded(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=NOISE.replace(good, bad))
    with pytest.raises(UserError) as error:
        data.load("noise")
    assert str(error.value).startswith("noise of the plugin mine: ")
    assert line in str(error.value)
    assert not list((files.cache_dir() / "data").glob("noise*.safetensors")), "nothing is kept"


def test_images_of_the_native_or_of_the_requested_size_are_taken(plug: Plug) -> None:
    plug(mine=NOISE, other=NOISE.replace('"noise"', '"sized"').replace("images(n)", "images(n, s=8)").replace(
        "8, 8)", "s, s)").replace("(12)", "(12, row.size)", 1).replace("images(6)", "images(6, row.size)"))  # fmt: skip
    for name in ("noise", "sized"):
        assert data.load(name).size == 8
        assert data.load(name, 16).size == 16
    resized = decode(at_size(data.info("noise"), 16)).images.float().mean((2, 3))
    native = decode(data.info("noise")).images.float().mean((2, 3))
    assert np.allclose(resized, native, atol=8.0), "the whole image, enlarged"


def test_what_a_function_prints_and_sets_reaches_nobody(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    plug(
        mine=NOISE.replace(
            "    return images(12)", "    print('hello')\n    torch.set_grad_enabled(False)\n    return images(12)"
        )
    )
    data.load("noise")
    assert torch.is_grad_enabled()
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == ("", "hello")


def test_training_and_test_images_may_be_parts_of_one_tensor(plug: Plug) -> None:
    plug(mine=NOISE.replace(RETURN, "all = torch.as_tensor(images(18))\n    " + RETURN.replace("images(12)", "all[:12]")
                            .replace("images(6)", "all[12:]")))  # fmt: skip
    found = data.load("noise")
    assert (len(found.images), len(found.test_images)) == (12, 6)


@pytest.mark.parametrize("draw", ["np.random", "torch", "random"])
def test_a_function_that_draws_from_a_global_generator_draws_the_same_everywhere(
    draw: str, plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {
        "np.random": "np.random.randint(0, 256, (n, 3, 8, 8)).astype(np.uint8)",
        "torch": "torch.randint(256, (n, 3, 8, 8)).to(torch.uint8)",
        "random": "np.array([random.randrange(256) for _ in range(n * 192)], np.uint8).reshape(n, 3, 8, 8)",
    }[draw]
    plug(mine=NOISE.replace("np.random.default_rng(n).integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)", numbers))
    sums = []
    for host in ("one", "two"):
        monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / host))
        sums.append(data.load("noise").checksum)
    assert sums[0] == sums[1]


def test_a_host_whose_function_draws_other_images_computes_nothing(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launch registers the checksums of its images; an agent of another host compares them before it computes."""
    plug(mine=NOISE.replace("default_rng(n)", "default_rng(time.time_ns())"))
    recipe = make({"target": "noise", "ipc": 1, "alpha": 0, "arch": "convnet1"})
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "launch"))
    registered = image_checksums.compute([recipe])
    assert image_checksums.refusal(recipe, registered) == ""
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "agent"))
    line = image_checksums.refusal(recipe, registered)
    assert line.startswith("noise: the images on ")
    assert "its function must return the same images on every host; python -c " in line


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"classes": "abc"}, "classes: 'abc' is not a tuple of class names"),
        ({"classes": ("a", "b", "a")}, "classes: 'a' is listed twice"),
        ({"classes": (0, 1)}, "classes: (0, 1) is not a tuple of class names"),
        ({"smallest_class": 0}, "smallest_class: 0 is not a number of images, at least 1"),
        ({"smallest_class": 2.5}, "smallest_class: 2.5 is not a number of images"),
        ({"strategy": "crop_flop"}, "strategy: unknown operation 'flop'; did you mean flip?"),
        ({"mean": (0.5,) * 3}, "mean, std: state both, or none"),
        (
            {"mean": (127.0,) * 3, "std": (60.0,) * 3},
            "mean: (127.0, 127.0, 127.0) is not a tuple of 3 numbers",
        ),
        ({"mean": (0.5,), "std": (0.2,)}, "mean: (0.5,) is not a tuple of 3 numbers"),
        ({"mean": (0.5,) * 3, "std": (0.0,) * 3}, "std: (0.0, 0.0, 0.0) is not a tuple of 3 numbers"),
        ({"images": 12}, "images: 12 is not a pair"),
        ({"archives": "data.zip"}, "archives: not a tuple of Archive"),
        ({"size": 2}, "at least 4 pixels"),
    ],
)
def test_a_row_that_is_impossible_is_refused_by_the_decorator(facts: dict, line: str) -> None:
    own = {"classes": ("a", "b"), "size": 8, "smallest_class": 4, **facts}
    with pytest.raises(UserError) as error:
        dataset("impossible", **own)(lambda row, paths: None)
    assert str(error.value).startswith("plugins: dataset 'impossible': ")
    assert line in str(error.value)


def test_the_line_of_the_page_is_the_one_that_is_said(plug: Plug) -> None:
    (line,) = re.findall(r"^error: (.*)$", page("docs/extending/datasets.md").text, re.MULTILINE)
    plug(stripes=EXAMPLES["stripes"].replace("smallest_class=60", "smallest_class=50"))
    with pytest.raises(UserError) as error:
        data.load("stripes")
    assert str(error.value) == line

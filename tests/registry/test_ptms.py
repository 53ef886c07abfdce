"""The table of PTMs that ddsweep does not train, and the decorator that adds a row."""

from __future__ import annotations

import re

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import loading
from ddsweep.registry import networks, ptms
from ddsweep.registry.ptms import PTMS
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
PTM = "import ddsweep\n@ddsweep.ptm({arguments})\ndef make(): ...\n"


def test_a_ptm_of_ones_own_has_a_row(plug: Plug) -> None:
    plug(
        plain=PTM.format(arguments='"plain"'),
        full=PTM.format(
            arguments='"full", paper="Full", domain="Scans", size=64, mean=(0.2,), std=0.3, channels=1, '
            'classes="digits"'
        ),
    )
    row = PTMS["plain"]
    assert (row.name, row.source, row.paper, row.domain) == ("plain", "plain", "plain", "plain")
    assert (row.size, row.mean, row.std, row.channels, row.class_names()) == (0, (0.0,) * 3, (1.0,) * 3, 3, ())
    row = PTMS["full"]
    assert (row.paper, row.domain, row.size, row.mean, row.std) == ("Full", "Scans", 64, (0.2,), (0.3,))
    assert row.class_names() == tuple("0123456789")
    assert [row.classifies(target) for target in ("digits", "mnist", "shapes")] == [True, True, False]
    assert not PTMS["plain"].classifies("digits")
    assert (networks.paper_name("full"), ptms.domain("full"), ptms.domain("cifar10")) == ("Full", "Scans", "")
    assert networks.all_names()[-2:] == ["full", "plain"]


def test_the_classes_of_an_image_folder_are_not_known_without_it(plug: Plug) -> None:
    plug(mine=PTM.format(arguments='"mine", classes=("a", "b")'))
    assert not PTMS["mine"].classifies("imagefolder:somewhere")


@pytest.mark.parametrize("source", ["", "target", "digits", "imagenet", "imagefolder:x", "cdigits:align=0.5", None, 3])
def test_what_is_known_without_plugins_loads_none(source: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load", lambda: pytest.fail("loads plugins"))
    found = ptms.find(source)
    assert (found and found.name) == ("resnet18-imagenet" if source == "imagenet" else None)


def test_another_source_is_looked_for_among_plugins(plug: Plug) -> None:
    plug(mine=PTM.format(arguments='"mine"'))
    found = ptms.find("mine")
    assert found is not None
    assert (found.title, ptms.describe(found)) == ("mine, of a plugin", "mine:make")
    assert ptms.find("nobodys") is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('"target"', "PTM 'target': is the name of a dataset, or stands for the target; choose another name"),
        ('"digits"', "PTM 'digits': is the name of a dataset"),
        ('"imagenet"', "PTM 'imagenet' is ddsweep's own; choose another name"),
        ('"x", channels=2', "PTM 'x': needs 1 or 3 channels and a size of at least 0; it has 2 and 0"),
        ('"x", size=-1', "PTM 'x': needs 1 or 3 channels and a size of at least 0; it has 3 and -1"),
        ('"x", std=0', "PTM 'x': std: 0 is out of range; more than 0, up to 1, as images are in [0, 1]"),
        ('"x", mean=127.5, std=64', "PTM 'x': mean: 127.5 is out of range; 0 to 1, as images are in [0, 1]"),
        ('"x", mean=(0.5, 0.5, -0.1)', "PTM 'x': mean: (0.5, 0.5, -0.1) is out of range; 0 to 1"),
        ('"x", std=(1, 1, 64)', "PTM 'x': std: (1, 1, 64) is out of range; more than 0, up to 1, as"),
        ('"x", std=float("nan")', "PTM 'x': std: nan is out of range"),
        ('"x", mean=(0.5, 0.5)', "PTM 'x': mean: 2 numbers for 3 channels"),
    ],
)
def test_what_does_not_fit_is_one_line(plug: Plug, arguments: str, said: str) -> None:
    path = plug(mine=PTM.format(arguments=arguments))
    with pytest.raises(UserError, match=rf"^plugins: {re.escape(str(path))}: .*{re.escape(said)}"):
        list(PTMS)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("def make(width): ...", "missing a required argument: 'width'"),
        ("def make(*, depth, width=3): ...", "missing a required argument: 'depth'"),
        ("class Net:\n    def __init__(self, maps): ...", "missing a required argument: 'maps'"),
        ("def make(width=4, *more, **others): ...", ""),
    ],
)
def test_its_function_is_called_without_arguments(plug: Plug, function: str, said: str) -> None:
    path = plug(mine=PTM.format(arguments='"mine"').replace("def make(): ...", function))
    if not said:
        assert "mine" in PTMS
        return
    line = f"plugins: {path}: PTM 'mine': its function is called without arguments: {said}"
    with pytest.raises(UserError, match=rf"^{re.escape(line)}"):
        list(PTMS)

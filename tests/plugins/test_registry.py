"""A table: its order, and which part may have which name."""

from __future__ import annotations

import itertools

import pytest

from ddsweep import nn
from ddsweep.errors import UserError
from ddsweep.plugins.registry import Registry
from ddsweep.registry import networks
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
NETWORK = 'import ddsweep\n@ddsweep.network("{name}", paper="{name}!")\ndef body(channels, size, width): ...\n'


def of(module: str) -> str:
    """The source of a part of a plugin; a module of the standard library stands for the plugin."""
    return f"{module}:name"


@pytest.mark.parametrize("order", list(itertools.permutations(["zebra", "ant", "moth"])))
def test_the_order_does_not_depend_on_which_plugin_is_loaded_first(order: tuple[str, ...]) -> None:
    table: Registry[int] = Registry("thing")
    for name in ("own2", "own1"):
        table.add(name, 0, of("ddsweep.nn"))
    for name in order:
        table.add(name, 0, of("json"))
    assert list(table) == ["own2", "own1", "ant", "moth", "zebra"]


def test_the_spelling_of_a_set_of_networks(plug: Plug) -> None:
    plug(b=NETWORK.format(name="aaa"), a=NETWORK.format(name="zzz"))
    assert networks.join(["zzz", "resnet18", "aaa", "convnet3"]) == "convnet3+resnet18+aaa+zzz"
    assert nn.names()[-2:] == ["aaa", "zzz"]
    assert networks.paper_name("zzz") == "zzz!"


def test_only_the_same_source_may_register_a_name_again() -> None:
    table: Registry[int] = Registry("thing")
    table.add("one", 1, of("json"))
    table.add("one", 2, of("json"))
    assert table["one"] == 2
    with pytest.raises(UserError, match=r"csv:name: thing 'one' is already registered by json \(.*json\); choose"):
        table.add("one", 3, of("csv"))


def test_an_unknown_name_suggests_the_closest() -> None:
    table: Registry[int] = Registry("thing")
    table.add("convnet", 1, of("ddsweep.nn"))
    with pytest.raises(UserError, match=r"^unknown thing 'convnt'; did you mean convnet\? \(allowed: convnet, other\)"):
        table.take("convnt", also=["other"])

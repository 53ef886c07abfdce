"""A recipe with parts of a plugin: their defaults, and a key with the digest of the plugin's source."""

from __future__ import annotations

import json

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import make
from ddsweep.registry.methods import LOOPS
from ddsweep.sweep import wandb as configurations
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]


TAKES = "    def __init__(self, net, *, batch_real=6,"

NETWORK = 'import ddsweep\n@ddsweep.network("mine", paper="Mine")\ndef body(channels, size, width): ...\n'

STRIPES = (
    'import ddsweep\n@ddsweep.dataset("stripes", classes=("a", "b"), size=8, smallest_class=9)\n'
    "def d(row, paths): ...\n"
)


def test_fields_that_a_method_does_not_take_have_no_effect(plug: Plug) -> None:
    plug(mine=HALF)
    recipe = half()
    assert (recipe.batch_real, recipe.lr_img, recipe.iterations, recipe.init, recipe.alpha) == (6, 2.0, 1000, "real", 7)
    assert (recipe.dsa_strategy, recipe.outer_loops, recipe.inner_epochs, recipe.distance) == ("none", 1, 0, "none")
    for ignored in ({"dsa_strategy": "crop"}, {"outer_loops": 3}, {"distance": "cos"}, {"lr_net": 0.5}):
        assert half(**ignored).key() == recipe.key()
    assert half(batch_real=7).key() != recipe.key()


def test_a_method_that_takes_the_loops_has_their_published_defaults(plug: Plug) -> None:
    plug(mine=HALF.replace(TAKES, f"{TAKES} outer_loops, inner_epochs=3, lr_net,"))
    recipe = half(ipc=10)
    assert (recipe.outer_loops, recipe.inner_epochs, recipe.lr_net) == (LOOPS[10][0], 3, 0.01)
    with pytest.raises(UserError, match=r"^outer_loops: has no published default"):
        half(ipc=15)


def test_a_method_without_a_default_alpha_needs_one(plug: Plug) -> None:
    plug(mine=HALF.replace(", alpha=7.0", ""))
    with pytest.raises(
        UserError, match=r"^alpha: has no default for this method and guidance; set it \(0: no guidance\)$"
    ):
        half()
    assert half(alpha=0).regularizer == "none"


def test_the_plugin_of_every_part_is_recorded(plug: Plug) -> None:
    plug(mine=HALF, nets=NETWORK, pictures=STRIPES)
    named = {
        "method": {"method": "half"},
        "arch": {"arch": "mine", "ptm_archs": "convnet3", "eval_archs": "convnet3"},
        "ptm_archs": {"ptm_archs": "convnet3+mine"},
        "eval_archs": {"eval_archs": "mine+alexnet"},
        "target": {"target": "stripes"},
        "source": {"source": "stripes"},
    }
    for field, choices in named.items():
        base = {"method": "dm", "ipc": 1, "target": "digits"}
        (name,) = (pin.partition("@")[0] for pin in make(base | choices).plugins.split("+"))
        assert name == {"method": "mine", "target": "pictures", "source": "pictures"}.get(field, "nets")


def test_a_ptm_of_a_plugin_is_another_ptm(plug: Plug) -> None:
    plain = make({"target": "digits", "ipc": 1})
    ((before,),) = spec.of(plain)
    assert "plugins" not in before.settings
    plug(mine=HALF, nets=NETWORK)
    ((same,),) = spec.of(half())
    assert same == before, "the method does not affect the training of a PTM"
    ((other,),) = spec.of(make({"target": "digits", "ipc": 1, "ptm_archs": "mine"}))
    assert other.plugins == other.settings["plugins"] == make({"arch": "mine", "target": "digits"}).plugins


def test_a_sweep_carries_its_plugins(plug: Plug) -> None:
    plug(mine=HALF)
    loaded = sweep.load("ablation-alpha", "demo", {"method": ["dm", "half"], "alpha": [0, 5]})
    assert loaded.parameters["plugins"] == (half().plugins,)
    restored = sweep.Sweep.from_definition(json.loads(json.dumps(loaded.definition())))
    assert [cell.key for cell in restored.cells] == [cell.key for cell in loaded.cells]
    assert {cell.recipe.method: cell.recipe.plugins for cell in restored.cells} == {"dm": "", "half": half().plugins}
    document = configurations.configuration(loaded)
    assert document["parameters"]["plugins"] == {"value": half().plugins}
    assert "plugins" not in sweep.load("ablation-alpha", "demo").parameters

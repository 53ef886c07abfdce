"""A recipe with a plugin's parts: its defaults, its options, and a key that knows the code."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.plugins import loading, resolve
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make, verify
from ddsweep.registry.methods import LOOPS, METHODS, Method, signature
from ddsweep.sweep import wandb as configurations
from tests.plugins.plugged import METHOD, Plug, plug

__all__ = ["plug"]
HALF = METHOD.format(name="half")
TAKES = "    def __init__(self, net, *, batch_real=6,"
NETWORK = 'import ddsweep\n@ddsweep.network("mine", paper="Mine")\ndef body(channels, size, width): ...\n'
STRIPES = (
    'import ddsweep\n@ddsweep.dataset("stripes", classes="ab", size=16, smallest_class=9)\ndef d(row, paths): ...\n'
)


def half(**choices: Any) -> Recipe:
    return make({"method": "half", "ipc": 1, "target": "digits", **choices})


@pytest.mark.parametrize(
    "choices", [{}, {"method": "dc", "ipc": 1}, {"method": "dsa", "ipc": 10, "source": "cifar100"}, {"alpha": 0}]
)
def test_recipes_of_our_own_parts_keep_the_keys_that_they_had(choices: dict[str, Any]) -> None:
    """From before there were plugins: the hash of all fields but these two."""
    recipe = make(choices)
    fields = {name: value for name, value in recipe.model_dump().items() if name not in ("options", "plugins")}
    text = json.dumps({"schema": 1, **fields}, sort_keys=True)
    assert recipe.key() == hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    assert (recipe.options, recipe.plugins) == ("", "")


def test_keys_that_name_folders_on_peoples_disks() -> None:
    assert make({}).key() == "2f99d15a30edf66b"
    assert sweep.load("ablation-alpha", "demo").cells[0].key == "076d30d120ddb928"


def test_what_a_method_does_not_take_has_no_effect(plug: Plug) -> None:
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


def test_a_method_without_a_default_for_alpha_wants_it_said(plug: Plug) -> None:
    plug(mine=HALF.replace(", alpha=7.0", ""))
    with pytest.raises(UserError, match=r"^alpha: the method has no published default; set it \(0: no guidance\)$"):
        half()
    assert half(alpha=0).regularizer == "none"


def test_options_have_one_spelling_and_are_in_the_key(plug: Plug) -> None:
    plug(mine=HALF)
    recipe = half()
    assert recipe.options == "exact:false+kind:plain+rate:0.5+steps:2"
    assert (
        recipe.title()
        == "half · exact false, kind plain, rate 0.5, steps 2 · ipc 1 · α 7 · convnet3 · N_m 1 · epoch 150 · seed 0"
    )
    assert half(options="rate:5e-1").key() == half(options="steps:2+exact:FALSE").key() == recipe.key()
    assert len({half(options=text).key() for text in ("rate:2", "steps:3", "exact:true", "kind:other", "")}) == 5
    assert half(options="rate:1e22").options.endswith("rate:1e22+steps:2"), "no plus sign inside a number"
    assert make(recipe.model_dump()) == recipe
    assert recipe.numbers == {"batch_real": 6, "rate": 0.5, "steps": 2, "exact": False, "kind": "plain"}
    assert make({"options": "rate:3"}).key() == make({}).key(), "those of another method of the sweep"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("rat:1", "options: the method has no option 'rat'; did you mean rate? (allowed: exact, kind, rate, steps)"),
        ("rate:fast", "options: 'fast' is not a number, as rate has to be"),
        ("steps:2.5", "options: '2.5' is not a whole number, as steps has to be"),
        ("exact:1", "options: '1' is not true or false, as exact has to be"),
        ("rate", "options: 'rate': write NAME:VALUE"),
        ("rate:1+rate:2", "options: 'rate:2': write NAME:VALUE, each name once"),
        ("rate:nan", "options: 'nan' is not a number"),
    ],
)
def test_a_wrong_option_is_one_line(options: str, line: str, plug: Plug) -> None:
    plug(mine=HALF)
    with pytest.raises(UserError) as error:
        half(options=options)
    assert line in str(error.value)


def test_other_code_is_another_cell_and_a_pinned_one_stays(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=HALF)
    recipe = half()
    assert recipe.plugins == METHODS.code("half").pin  # type: ignore[union-attr]
    verify([recipe, make({})])
    other = f"{recipe.plugins[:-1]}{'0' if recipe.plugins[-1] != '0' else '1'}"
    pinned = half(plugins=other)
    assert pinned.plugins == other
    assert pinned.key() != recipe.key()
    assert make(pinned.model_dump()).key() == pinned.key(), "an old result stays readable"
    with pytest.raises(
        UserError, match=rf"mine\.py is {recipe.plugins} on this host, and the cell wants {other}; bring"
    ):
        verify([pinned])
    assert make({"plugins": other}).plugins == "", "a recipe that uses nothing of it"


def test_a_host_without_the_plugin_says_so(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^plugins: a, b are not on this host; name the file in \$DDSWEEP_PLUGINS, or"):
        make({"plugins": "b@0123456789ab+a@0123456789ab"})


def test_every_part_of_a_recipe_counts(plug: Plug) -> None:
    plug(mine=HALF, nets=NETWORK, pictures=STRIPES)
    named = {
        "method": {"method": "half"}, "arch": {"arch": "mine", "archs": "convnet3", "eval_archs": "convnet3"},
        "archs": {"archs": "convnet3+mine"}, "eval_archs": {"eval_archs": "mine+alexnet"},
        "target": {"target": "stripes"}, "source": {"source": "stripes"},
    }  # fmt: skip
    for field, choices in named.items():
        base = {"method": "dm", "ipc": 1, "target": "digits"}
        (name,) = (pin.partition("@")[0] for pin in make(base | choices).plugins.split("+"))
        assert name == {"method": "mine", "target": "pictures", "source": "pictures"}.get(field, "nets")


def test_a_ptm_of_other_code_is_another_ptm(plug: Plug) -> None:
    plain = make({"target": "digits", "ipc": 1})
    ((before,),) = spec.of(plain)
    assert "plugins" not in before.settings
    plug(mine=HALF, nets=NETWORK)
    ((same,),) = spec.of(half())
    assert same == before, "the method has no say in the training of a PTM"
    ((other,),) = spec.of(make({"target": "digits", "ipc": 1, "archs": "mine"}))
    assert other.plugins == other.settings["plugins"] == make({"arch": "mine", "target": "digits"}).plugins


def test_a_sweep_names_its_plugins_wherever_it_goes(plug: Plug) -> None:
    plug(mine=HALF)
    one = sweep.load("ablation-alpha", "demo", {"method": ["dm", "half"], "alpha": [0, 5]})
    assert one.parameters["plugins"] == (half().plugins,)
    there = sweep.Sweep.from_definition(json.loads(json.dumps(one.definition())))
    assert [cell.key for cell in there.cells] == [cell.key for cell in one.cells]
    assert {cell.recipe.method: cell.recipe.plugins for cell in there.cells} == {"dm": "", "half": half().plugins}
    document = configurations.configuration(one)
    assert document["parameters"]["plugins"] == {"value": half().plugins}
    assert "plugins" not in sweep.load("ablation-alpha", "demo").parameters


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS.code(name) is None])
def test_our_own_rows_agree_with_what_makes_the_losses(name: str) -> None:
    """The rows are read without torch, so they repeat what the signature says."""
    row: Method = METHODS[name]
    takes, options, defaulted = signature(name, resolve(row.source))
    assert set(takes) - set(defaulted) <= set(row.takes) <= set(takes)
    assert options == row.options == {}


def test_the_variable_is_the_one_of_the_documentation() -> None:
    assert loading.VARIABLE == "DDSWEEP_PLUGINS"

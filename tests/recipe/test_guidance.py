"""Guidance and PTMs of plugins in a recipe: defaults, options, checks, and the code in the key."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
GUIDE = """
import ddsweep
@ddsweep.guidance("mine", paper="Mine", alpha=lambda target, ipc: 5.0 * ipc if target == "digits" else None)
def guide(ptm, synthetic, real, *, power=1.0, mean=True, steps=3): ...
"""
LOGITS = """
import ddsweep
@ddsweep.guidance("logits", alpha=3, logits=True)
def guide(ptm, synthetic): ...
"""
PTM = """
import ddsweep
@ddsweep.ptm("backbone", paper="Backbone", size=64, {classes})
def backbone(): ...
"""


def digits(**choices: Any) -> Recipe:
    return make({"target": "digits", "ipc": 2, **choices})


def test_the_defaults_of_a_guidance(plug: Plug) -> None:
    plug(mine=GUIDE, logits=LOGITS)
    one = digits(regularizer="mine")
    assert (one.alpha, one.cclom_batch, one.source, one.ptm_archs) == (10.0, 8196, "target", "convnet3")
    assert one.guidance_options == "mean:true+power:1.0+steps:3"
    assert one.guidance_numbers == {"mean": True, "power": 1.0, "steps": 3}
    assert [pin.partition("@")[0] for pin in one.plugins.split("+")] == ["mine"]
    other = digits(regularizer="logits", cclom_batch=5)
    assert (other.alpha, other.cclom_batch, other.guidance_options) == (3.0, 0, "")


def test_a_default_alpha_may_not_exist(plug: Plug) -> None:
    plug(mine=GUIDE)
    with pytest.raises(UserError, match=r"^alpha: has no default for this method and guidance; set it \(0: "):
        make({"target": "shapes", "ipc": 2, "regularizer": "mine"})
    assert make({"target": "shapes", "ipc": 2, "regularizer": "mine", "alpha": 7}).alpha == 7


def test_options_have_one_spelling_and_change_the_key(plug: Plug) -> None:
    plug(mine=GUIDE, logits=LOGITS)
    plain = digits(regularizer="mine")
    same = digits(regularizer="mine", guidance_options="steps:3+power:1")
    assert (same.guidance_options, same.key()) == (plain.guidance_options, plain.key())
    assert digits(regularizer="mine", guidance_options="power:2").key() != plain.key()
    # those of another guidance of a sweep, and without guidance, have no effect
    assert digits(guidance_options="power:2").key() == digits().key()
    assert digits(regularizer="logits", guidance_options="power:2").guidance_options == ""
    baseline = digits(regularizer="mine", guidance_options="power:2", alpha=0)
    assert (baseline.key(), baseline.plugins, baseline.guidance_numbers) == (digits(alpha=0).key(), "", {})


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"guidance_options": "powr:2"}, "guidance_options: the guidance has no option 'powr'; did you mean power?"),
        ({"guidance_options": "power:x"}, "guidance_options: power must be a number, not 'x'"),
        ({"guidance_options": "power"}, "guidance_options: 'power': write NAME:VALUE, each name once, joined by +"),
        ({"cclom_batch": 0}, "cclom_batch: 0 is out of range; at least 1"),
        ({"regularizer": "min"}, "regularizer: unknown guidance 'min'; did you mean mine? (allowed: cclom, "),
        ({"regularizer": 3}, "regularizer: 3 is not allowed; "),
        (
            {"regularizer": "logits", "source": "shapes"},
            "regularizer: logits needs PTMs with the labels of digits, but",
        ),
        ({"regularizer": "logits", "source": "backbone"}, "regularizer: logits needs PTMs with the labels of digits"),
        ({"source": "backbone", "ptm_archs": "convnet3"}, "ptm_archs: convnet3 is not the PTM of backbone (allowed: b"),
        ({"source": "backbon"}, "source: unknown dataset 'backbon'; did you mean backbone? (allowed: backbone, "),
    ],
)
def test_what_does_not_fit_is_one_line(plug: Plug, choices: dict[str, Any], said: str) -> None:
    plug(mine=GUIDE, logits=LOGITS, backbone=PTM.format(classes='classes=("a", "b")'))
    with pytest.raises(UserError) as error:
        digits(**{"regularizer": "mine", **choices})
    assert str(error.value).startswith(said)


def test_a_ptm_of_ones_own_is_used_as_it_is(plug: Plug) -> None:
    plug(backbone=PTM.format(classes=""))
    one = digits(source="backbone", n_models=4, ptm_train_epochs=9)
    assert (one.regularizer, one.alpha, one.ptm_archs, one.cclom_batch) == ("cclom", 1000.0, "backbone", 8196)
    assert (one.n_models, one.ptm_epoch, one.ptm_train_epochs, one.ptm_statistics) == (1, 0, 0, "source")
    assert [pin.partition("@")[0] for pin in one.plugins.split("+")] == ["backbone"]
    ((found,),) = spec.of(one)
    assert (found.title, found.saved(), spec.datasets([one])) == ("backbone, of a plugin", set(), [("digits", 16)])
    assert digits(source="backbone", alpha_by_arch="backbone:7").alpha == 7


def test_a_ptm_with_the_classes_of_the_target_is_used_for_clom(plug: Plug) -> None:
    plug(backbone=PTM.format(classes='classes="digits"'), mine=GUIDE)
    one = digits(source="backbone")
    assert (one.regularizer, one.cclom_batch, one.alpha) == ("clom", 0, digits().alpha)
    assert digits(source="backbone", regularizer="mine").regularizer == "mine"
    assert make({"target": "shapes", "ipc": 2, "source": "backbone"}).regularizer == "cclom"


def test_the_code_of_a_guidance_and_of_a_ptm_is_in_the_key(plug: Plug) -> None:
    plug(backbone=PTM.format(classes=""), mine=GUIDE)
    one = digits(source="backbone", regularizer="mine")
    names, digests = zip(*(pin.split("@") for pin in one.plugins.split("+")), strict=True)
    assert names == ("backbone", "mine")
    for index in range(2):
        changed = [("0" * 12 if place == index else digest) for place, digest in enumerate(digests)]
        pins = "+".join(f"{name}@{digest}" for name, digest in zip(names, changed, strict=True))
        assert make(one.model_dump() | {"plugins": pins}).key() != one.key()


def test_the_title_names_a_guidance_of_ones_own(plug: Plug) -> None:
    plug(mine=GUIDE)
    one = digits(regularizer="mine")
    assert one.title().startswith("dm · ipc 2 · mine · mean true, power 1.0, steps 3 · α 10 · convnet3 · N_m 1 ")
    assert one.title(["regularizer"]).count("mine") == 1
    assert digits().title().startswith(f"dm · ipc 2 · α {digits().alpha:g} · convnet3 ")

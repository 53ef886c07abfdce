"""Fields that hold several values: α by architecture, and the options of a method."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import make
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]

FOUR = "convnet3+alexnet+vgg11+resnet18"


@pytest.mark.parametrize(
    ("ptm_archs", "alpha", "given", "alphas", "spelt"),
    [
        (FOUR, 5000, "alexnet:100", [5000, 100, 5000, 5000], "alexnet:100"),
        (FOUR, 5000, "vgg11:1e1+alexnet:100.0", [5000, 100, 10, 5000], "alexnet:100+vgg11:10"),
        (FOUR, 5000, "alexnet:0", [5000, 0, 5000, 5000], "alexnet:0"),
        (FOUR, 5000, "alexnet:5000", [5000, 5000, 5000, 5000], ""),
        ("convnet3+vgg11", 5000, "alexnet:100", [5000, 5000], ""),  # no such PTM
        ("convnet3", 5000, "alexnet:100+convnet3:7", [7], ""),  # 5000 has no effect
        ("convnet3+alexnet", 5000, "alexnet:100+convnet3:0", [0, 100], "convnet3:0"),
        ("convnet3+alexnet", 5000, "alexnet:2e22", [5000, 2e22], "alexnet:2e22"),
    ],
)
def test_alpha_by_architecture(ptm_archs: str, alpha: float, given: str, alphas: list[float], spelt: str) -> None:
    recipe = make({"ptm_archs": ptm_archs, "alpha": alpha, "alpha_by_arch": given})
    order = [arch for arch in FOUR.split("+") if arch in ptm_archs]
    assert [recipe.ptm_alphas[arch] for arch in order] == alphas
    assert recipe.alpha_by_arch == spelt
    assert make(recipe.model_dump()) == recipe


def test_equivalent_spellings_of_alpha_by_architecture() -> None:
    assert make({"alpha_by_arch": "convnet3:7"}).key() == make({"alpha": 7}).key()
    assert make({"alpha_by_arch": "convnet3:0"}).key() == make({"alpha": 0}).key()
    assert make({"alpha_by_arch": "alexnet:7", "alpha": 0, "ptm_archs": FOUR}).key() == make({"alpha": 0}).key()
    assert make({"ptm_archs": FOUR, "alpha": 5000, "alpha_by_arch": "alexnet:100"}).title() == (
        "dm · ipc 50 · α 5000 (alexnet 100) · convnet3+alexnet+vgg11+resnet18 · N_m 1 · epoch 150 · seed 0"
    )


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"alpha_by_arch": "alexnt:5"}, "alpha_by_arch: unknown network 'alexnt'; did you mean alexnet?"),
        ({"alpha_by_arch": "alexnet"}, "alpha_by_arch: invalid weight '' for alexnet; write ARCH:NUMBER"),
        ({"alpha_by_arch": "alexnet:-1"}, "alpha_by_arch: invalid weight '-1' for alexnet"),
        ({"alpha_by_arch": "alexnet:nan"}, "alpha_by_arch: invalid weight 'nan' for alexnet"),
        ({"alpha_by_arch": "alexnet:5+alexnet:6"}, "alpha_by_arch: alexnet is listed twice"),
    ],
)
def test_a_mistake_in_alpha_by_architecture_is_one_line(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make(choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


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
    assert half(options="rate:1e22").options.endswith("rate:1e22+steps:2"), "without a plus sign in a number"
    assert make(recipe.model_dump()) == recipe
    assert recipe.numbers == {"batch_real": 6, "rate": 0.5, "steps": 2, "exact": False, "kind": "plain"}
    assert make({"options": "rate:3"}).key() == make({}).key(), "options of another method of the sweep"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("rat:1", "options: the method has no option 'rat'; did you mean rate? (allowed: exact, kind, rate, steps)"),
        ("rate:fast", "options: rate must be a number, not 'fast'"),
        ("steps:2.5", "options: steps must be a whole number, not '2.5'"),
        ("exact:1", "options: exact must be true or false, not '1'"),
        ("rate", "options: 'rate': write NAME:VALUE"),
        ("rate:1+rate:2", "options: 'rate:2': write NAME:VALUE, each name once"),
        ("rate:nan", "options: rate must be a number, not 'nan'"),
    ],
)
def test_a_mistake_in_options_is_one_line(options: str, line: str, plug: Plug) -> None:
    plug(mine=HALF)
    with pytest.raises(UserError) as error:
        half(options=options)
    assert line in str(error.value)

"""Options by name, their text, and what decorators refuse."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.registry import options
from ddsweep.registry.methods import LOOP, TAKEN
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]
OTHER = (
    HALF.replace('"half"', '"other"')
    .replace("rate=0.5, steps=2", "rate=1.5, depth=3")
    .replace("alpha=7.0", "alpha=1.0")
)


def test_an_option_by_name_is_the_option_of_the_text(plug: Plug) -> None:
    plug(mine=HALF)
    by_text = half(options="rate:0.25+exact:true")
    for one in (
        half(rate=0.25, exact=True),
        half(**{"half.rate": 0.25}, exact=True),
        half(options="exact:true", rate=0.25),
        half(options="exact:true+rate:0.25", rate=0.25),
        half(rate=9.0, exact=True, **{"half.rate": 0.25}),
        Recipe(method="half", ipc=1, target="digits", rate=0.25, exact=True),  # type: ignore[call-arg]
    ):
        assert one == by_text
        assert one.key() == by_text.key()
    assert by_text.options == "exact:true+kind:plain+rate:0.25+steps:2", "the text keeps its spelling"
    assert half(rate=1) == half(rate=1.0) == half(options="rate:1"), "a whole number is a number"
    assert half(rate=None) == half(), "nothing is the default"


def test_values_are_read_back_by_name(plug: Plug) -> None:
    plug(mine=HALF)
    recipe = half(kind="5", steps=7)
    expected = {"rate": 0.5, "steps": 7, "exact": False, "kind": "5", "half.kind": "5", "ipc": 1, "n_archs": 1}
    assert {name: recipe.value(name) for name in expected} == expected
    assert recipe.value("other.rate") is recipe.value("nothing") is make({}).value("rate") is None
    assert recipe.option_names == ["exact", "kind", "rate", "steps"]


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"rate": "fast"}, "rate: must be a number, not 'fast'"),
        ({"rate": True}, "rate: must be a number, not True"),
        ({"steps": 1.5}, "steps: must be a whole number, not 1.5"),
        ({"exact": 1}, "exact: must be true or false, not 1"),
        ({"kind": 5}, "kind: must be text, not 5; write '5' in a sweep file"),
        ({"rate": 0.25, "options": "rate:0.1"}, r"rate: is given twice, as 0\.25 and in options \(rate:0\.1\)"),
        ({"ratte": 1.0}, "ratte: unknown parameter; did you mean rate.*; half has rate, steps, exact, kind"),
        ({"half.ratte": 1.0}, "half.ratte: unknown parameter"),
        ({"archs": "vgg11"}, "archs: renamed to ptm_archs"),
    ],
)  # fmt: skip
def test_wrong_options_by_name_are_refused(plug: Plug, choices: dict[str, Any], line: str) -> None:
    plug(mine=HALF)
    with pytest.raises(UserError, match=line):
        half(**choices)


def test_the_option_of_another_method_is_refused_unless_it_is_in_the_sweep(plug: Plug) -> None:
    plug(mine=HALF, second=OTHER)
    with pytest.raises(UserError, match="steps: unknown parameter"):
        make({"method": "dm", "steps": 3})
    with pytest.raises(UserError, match="depth: unknown parameter"):
        half(depth=3)
    assert make({"method": "dm", "steps": 3}, among=["half", "dm"]) == make({"method": "dm"})
    assert make({"method": "dm", "half.steps": 3}) == make({"method": "dm"}), "it says itself whose option it is"
    assert make({"method": "other", "rate": 2.0, "half.rate": 3.0}).value("rate") == 2.0


@pytest.mark.parametrize(
    ("signature", "line"),
    [
        ("rate=float('inf')", "the default of rate is inf, not a finite number"),
        ("kind='a\\nb'", "the default of kind has a line break"),
        ("rates=(1, 2)", "the default of rates is not a number, string or boolean"),
        ("eval_nets=3", "the option eval_nets has the name of a setting of recipes; rename it"),
        ("plugins=''", "the option plugins has the name of a setting"),
    ],
)  # fmt: skip
def test_decorators_refuse_options_that_no_cell_could_have(plug: Plug, signature: str, line: str) -> None:
    plug(
        mine=HALF.replace('rate=0.5, steps=2, exact=False, kind="plain"', signature).replace(
            "= batch_real, rate", "= batch_real, 1"
        )
    )
    with pytest.raises(UserError, match=f"plugins: .*mine.py: method 'half': {line}"):
        half()


def test_no_option_can_have_the_name_of_a_field() -> None:
    assert set(Recipe.model_fields) <= {*options.OTHERS, *TAKEN, *LOOP}


def test_a_default_with_a_plus_is_quoted(plug: Plug) -> None:
    plug(mine=HALF.replace('kind="plain"', 'kind="a+b:c"'))
    recipe = half()
    assert recipe.options == 'exact:false+kind:"a+b:c"+rate:0.5+steps:2'
    assert recipe.value("kind") == recipe.numbers["kind"] == "a+b:c"
    assert make(recipe.model_dump()) == recipe
    assert half(kind='"', rate=0.25).value("kind") == '"'


TEXTS = st.text(string.ascii_letters + '+:"\\ ,=0é', max_size=8)
VALUES = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)


@given(st.dictionaries(st.text(string.ascii_lowercase + "_", min_size=1), VALUES, max_size=4))
def test_every_value_is_read_as_it_was_spelled(values: dict[str, Any]) -> None:
    text = options.spell(values)
    found = options.parse(text, {name: type(value)() for name, value in values.items()})
    assert found == values
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in values.items()}
    assert {name: options.value_of(written, values[name]) for name, written in options.written(text).items()} == values


GUIDE = """
from ddsweep.registry.guidance import guidance

@guidance("near", alpha=2.0)
def near(ptm, synthetic, *, scale=1.0, rate=0.5):
    return scale * rate * ptm.embed(synthetic.images).square().mean()
"""


def test_options_of_a_guidance_are_given_by_name_too(plug: Plug) -> None:
    plug(mine=HALF, guide=GUIDE)
    recipe = half(regularizer="near", scale=3)
    assert recipe == half(regularizer="near", guidance_options="scale:3")
    assert recipe.guidance_options == "rate:0.5+scale:3.0"
    assert (recipe.value("scale"), recipe.value("near.rate"), recipe.value("half.rate")) == (3.0, 0.5, 0.5)
    assert half(alpha=0, regularizer="near", scale=3) == half(alpha=0), "without guidance, its options have no effect"
    assert make({"method": "dm", "regularizer": "none", "scale": 3.0}, ["none", "near"]) == make({"alpha": 0})
    with pytest.raises(UserError, match="scale: unknown parameter"):
        make({"method": "dm", "scale": 3.0})
    both = r"rate: is an option of half \(half\.rate\) and of near \(near\.rate\); write one of the names in brackets"
    with pytest.raises(UserError, match=both):
        half(regularizer="near", rate=1.0)
    assert half(regularizer="near", **{"near.rate": 1.0}).guidance_options == "rate:1.0+scale:1.0"

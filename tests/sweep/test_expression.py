"""Conditions: they mean what they mean in Python, and no other Python is accepted."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.errors import UserError
from ddsweep.sweep.expression import MAX_DEPTH, MAX_LENGTH, Expression

CHOICES: dict[str, Any] = {"alpha": 0.5, "n_models": 10, "method": "dm", "ptm_archs": "convnet3+vgg11", "done": True}


def holds(text: str, **changes: Any) -> bool:
    return Expression.parse(text, CHOICES).holds(CHOICES | changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha == 0.5 and n_models > 1", True),
        ("alpha == 0 or n_models > 1", True),
        ("alpha == 0 and n_models > 1", False),
        ("not alpha == 0", True),
        ("0 < alpha <= 0.5 < n_models", True),
        ("0 < alpha < 0.5", False),
        ("method in ['dc', 'dm']", True),
        ("method not in ('dc', 'dsa')", True),
        ("n_models in {1, 10}", True),
        ("n_models in []", False),
        ("alpha > -1 and -alpha < 0", True),
        ("alpha in [-1, 0.5]", True),
        ("method == 'd' 'm'", True),
        ("'dm' == method", True),
        ("done", True),
        ("done == False", False),
        ("(alpha > 1) == (n_models > 10)", True),
        ("  alpha != 1\n", True),
        ("alpha == 0 or n_models == 10 and method == 'dc'", False),
    ],
)
def test_a_condition(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_none_is_unequal_to_everything_and_in_no_order() -> None:
    for text in ("alpha == 0", "alpha < 9", "alpha >= 9", "-alpha > 0", "0 < alpha"):
        assert not holds(text, alpha=None)
    assert holds("alpha != 0", alpha=None)
    assert [holds(text, alpha=None) for text in ("alpha in [0]", "alpha not in [0]")] == [False, True]


def test_the_fields_of_a_condition() -> None:
    assert Expression.parse("alpha == 0 and method in ['dc']", CHOICES).fields == {"alpha", "method"}


COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
numbers = st.integers(-5, 5) | st.floats(-5, 5)
texts = st.text(st.characters(codec="utf-8"), max_size=5)


@given(st.one_of(st.tuples(numbers, numbers), st.tuples(texts, texts)), st.sampled_from(sorted(COMPARE)))
def test_comparisons_are_pythons(pair: tuple[Any, Any], sign: str) -> None:
    left, right = pair
    assert Expression.parse(f"x {sign} {right!r}", ["x"]).holds({"x": left}) is COMPARE[sign](left, right)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_precedence_is_pythons(values: list[bool]) -> None:
    a, b, c = values
    named = {"a": a, "b": b, "c": c}
    assert Expression.parse("a or not b and c", named).holds(named) is (a or (not b and c))


PROGRAMS = [
    "__import__('os').system('touch pwned')", "open('x')", "alpha.real == 0", "method[0] == 'd'", "(lambda: 1)() == 1",
    "[x for x in [1]] == 1", "alpha ** 9999 > 1", "alpha + 1 == 2", "f'{alpha}' == 'x'", "alpha if done else 1",
    "(y := 1) == 1", "method is 'dm'",
    "alpha == None", "alpha == b'x'", "alpha == 1j", "alpha == ...", "~n_models == 1",
    "+n_models == 1", "alpha == [1]", "[1] == alpha", "alpha in [n_models]", "alpha in [[1]]", "alpha in [not done]",
    "*alpha", "await alpha", "yield", "alpha == (1,)", "{'a': 1} == alpha", "{**{}} == 1", "alpha in [1, *ptm_archs]",
    "alpha in [0.5] in [True]", "alpha in [0.5] == True", "alpha < [1] in [True]",
]  # fmt: skip


@pytest.mark.parametrize("text", PROGRAMS)
def test_a_program_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is (not allowed here|not a list); write|cannot be parsed") as error:
        Expression.parse(text, CHOICES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("alhpa == 0", "'alhpa == 0': unknown field 'alhpa'; did you mean alpha? (allowed: alpha, done, "),
        ("alpha = 0", "'alpha = 0': cannot be parsed at '= 0'; write fields, numbers"),
        ("alpha ==", "'alpha ==': cannot be parsed at 'alpha =='; write"),
        ("", "'': cannot be parsed at 'its end'; write"),
        ("alpha == 0 and exit()", "'exit()' is not allowed here; write"),
        ("alpha in 'abc'", "\"'abc'\" is not a list; write in [a, b]"),
        ("alpha in ptm_archs", "'ptm_archs' is not a list; write in [a, b]"),
        ("a" * (MAX_LENGTH + 1), f"is longer than {MAX_LENGTH} characters"),
        ("not " * MAX_DEPTH + "done", f"is nested more than {MAX_DEPTH} levels deep"),
        ("-" * 900 + "1 == alpha", f"is nested more than {MAX_DEPTH} levels deep"),
        ("(" * 400 + "done" + ")" * 400, "cannot be parsed"),
        ("alpha == 0\0", "cannot be parsed"),
    ],
)  # fmt: skip
def test_an_invalid_condition_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        Expression.parse(text, CHOICES)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("method > 1", "'method > 1': method is a string, 1 is a number; they cannot be compared"),
        ("alpha == 'strong'", "alpha is a number, 'strong' is a string; they cannot be compared"),
        ("n_models == True", "n_models is a number, True is a truth value; they cannot be compared"),
        ("method in ['dc', 1]", "method is a string, 1 is a number; they cannot be compared"),
        ("alpha == 0 and n_models", "n_models is a number, not a truth value; compare it"),
        ("-method == 1", "method is a string and cannot be negated"),
        ("-done == 1", "done is a truth value and cannot be negated"),
    ],
)
def test_a_comparison_of_two_kinds_is_one_line_wherever_it_stands(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        holds(text)
    assert line in str(error.value)
    with pytest.raises(UserError):
        holds(f"done == False and ({text})")


@given(st.text(max_size=40) | st.sampled_from(PROGRAMS).flatmap(lambda text: st.permutations(text).map("".join)))
def test_any_text_is_a_condition_or_one_line(text: str) -> None:
    try:
        Expression.parse(text, CHOICES).holds(CHOICES)
    except UserError as error:
        assert "\n" not in str(error)

"""Conditions: they mean what Python would mean, and nothing but conditions is one."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.errors import UserError
from ddsweep.expression import DEEPEST, LONGEST, Expression

CHOICES: dict[str, Any] = {"alpha": 0.5, "n_models": 10, "method": "dm", "archs": "convnet3+vgg11", "done": True}


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
def test_what_a_condition_says(text: str, expected: bool) -> None:
    assert holds(text) is expected


def test_what_is_not_known_is_unequal_and_in_no_order() -> None:
    for text in ("alpha == 0", "alpha < 9", "alpha >= 9", "-alpha > 0", "0 < alpha"):
        assert not holds(text, alpha=None)
    assert holds("alpha != 0", alpha=None)
    assert [holds(text, alpha=None) for text in ("alpha in [0]", "alpha not in [0]")] == [False, True]


def test_the_fields_are_named() -> None:
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
    "*alpha", "await alpha", "yield", "alpha == (1,)", "{'a': 1} == alpha", "{**{}} == 1", "alpha in [1, *archs]",
    "alpha in [0.5] in [True]", "alpha in [0.5] == True", "alpha < [1] in [True]",
]  # fmt: skip


@pytest.mark.parametrize("text", PROGRAMS)
def test_a_program_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is (not allowed here|no list); write|cannot be read") as error:
        Expression.parse(text, CHOICES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("alhpa == 0", "'alhpa == 0': unknown field 'alhpa'; did you mean alpha? (allowed: alpha, archs, done, "),
        ("alpha = 0", "'alpha = 0': cannot be read from '= 0' on; write fields, numbers"),
        ("alpha ==", "'alpha ==': cannot be read from 'alpha ==' on; write"),
        ("", "'': cannot be read from 'its end' on; write"),
        ("alpha == 0 and exit()", "'exit()' is not allowed here; write"),
        ("alpha in 'abc'", "\"'abc'\" is no list; write in [a, b]"),
        ("alpha in archs", "'archs' is no list; write in [a, b]"),
        ("a" * (LONGEST + 1), f"is longer than {LONGEST} characters"),
        ("not " * DEEPEST + "done", f"is nested more than {DEEPEST} levels deep"),
        ("-" * 900 + "1 == alpha", f"is nested more than {DEEPEST} levels deep"),
        ("(" * 400 + "done" + ")" * 400, "cannot be read"),
        ("alpha == 0\0", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        Expression.parse(text, CHOICES)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("method > 1", "'method > 1': method is a text, 1 is a number; they cannot be compared"),
        ("alpha == 'strong'", "alpha is a number, 'strong' is a text; they cannot be compared"),
        ("n_models == True", "n_models is a number, True is true or false; they cannot be compared"),
        ("method in ['dc', 1]", "method is a text, 1 is a number; they cannot be compared"),
        ("alpha == 0 and n_models", "n_models is a number, not true or false; compare it"),
        ("-method == 1", "method is a text, and has no minus"),
        ("-done == 1", "done is true or false, and has no minus"),
    ],
)
def test_what_cannot_be_compared_is_one_line_wherever_it_stands(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        holds(text)
    assert line in str(error.value)
    with pytest.raises(UserError):
        holds(f"done == False and ({text})")


@given(st.text(max_size=40) | st.sampled_from(PROGRAMS).flatmap(lambda text: st.permutations(text).map("".join)))
def test_whatever_is_written_is_a_condition_or_one_line(text: str) -> None:
    try:
        Expression.parse(text, CHOICES).holds(CHOICES)
    except UserError as error:
        assert "\n" not in str(error)

"""The table of guidance, and the decorator that adds a row."""

from __future__ import annotations

import re

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import resolve
from ddsweep.registry.guidance import GUIDANCE, paper_name, signature
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
HEAD = "import ddsweep\n@ddsweep.guidance({arguments})\n"


@pytest.mark.parametrize("name", [name for name in GUIDANCE if GUIDANCE.code(name) is None])
def test_the_rows_agree_with_the_signatures_of_the_guides(name: str) -> None:
    """The rows are read without torch, so they repeat the signatures."""
    row = GUIDANCE[name]
    assert signature(name, resolve(row.source)) == (row.real, row.options)


def test_a_function_and_a_class_say_what_they_take(plug: Plug) -> None:
    plug(
        plain=HEAD.format(arguments='"plain"') + "def guide(ptm, synthetic): ...\n",
        optioned=HEAD.format(arguments='"optioned", paper="Optioned", alpha=3.0, logits=True')
        + "def guide(ptm, synthetic, real, *, power=2, mean=True): ...\n",
        stateful=HEAD.format(arguments='"stateful", alpha=lambda target, ipc: ipc if target == "digits" else None')
        + "class Guide:\n"
        "    def __init__(self, dataset, *, kind='a'): ...\n"
        "    def __call__(self, ptm, synthetic, real): ...\n",
    )
    plain, optioned, stateful = (GUIDANCE[name] for name in ("plain", "optioned", "stateful"))
    assert (plain.real, plain.logits, plain.options, plain.default_alpha("digits", 1)) == (False, False, {}, None)
    assert (optioned.real, optioned.logits, optioned.options) == (True, True, {"power": 2, "mean": True})
    assert (optioned.default_alpha("digits", 1), paper_name("optioned"), paper_name("plain")) == (
        3,
        "Optioned",
        "plain",
    )
    assert (stateful.real, stateful.options) == (True, {"kind": "a"})
    assert (stateful.default_alpha("digits", 7), stateful.default_alpha("shapes", 7)) == (7, None)


@pytest.mark.parametrize(
    ("arguments", "guide", "said"),
    [
        ('"none"', "def guide(ptm, synthetic): ...", "guidance 'none': stands for no guidance; choose another name"),
        (
            '"clom"',
            "def guide(ptm, synthetic): ...",
            "guidance 'clom' is ddsweep's own; choose another name",
        ),
        ('"a+b"', "def guide(ptm, synthetic): ...", "guidance 'a+b': invalid name"),
        ('"x"', "def guide(ptm): ...", "guidance 'x': mine:guide must take ptm, synthetic first"),
        ('"x"', "def guide(*images): ...", "guidance 'x': mine:guide must take ptm, synthetic first"),
        ('"x"', "class Guide: ...", "guidance 'x': mine:Guide must take ptm, synthetic first"),
        ('"x"', "def guide(ptm, synthetic, power): ...", "guidance 'x': takes power, which has no default"),
        ('"x"', "def guide(ptm, synthetic, **more): ...", "guidance 'x': takes **more, which has no default"),
        (
            '"x"',
            "def guide(ptm, synthetic, *, w=(1, 2)): ...",
            "guidance 'x': the default of w is not a number, string",
        ),
        (
            '"x"',
            "class Guide:\n    def __call__(self, ptm, synthetic, power=2): ...",
            "guidance 'x': takes power=2 when it is called; make it one of __init__",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(plug: Plug, arguments: str, guide: str, said: str) -> None:
    path = plug(mine=HEAD.format(arguments=arguments) + guide + "\n")
    with pytest.raises(UserError, match=rf"^plugins: {re.escape(str(path))}: .*{re.escape(said)}"):
        list(GUIDANCE)

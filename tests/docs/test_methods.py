"""``docs/methods.md``: the settings of every method are those of its recipes."""

from __future__ import annotations

import re

import pytest

from ddsweep.recipe import make
from ddsweep.registry.methods import METHODS, TAKEN
from ddsweep.registry.rules import RULES
from ddsweep.results.tables.naming import exactly
from tests.docs.page import ROOT

TEXT = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## [^\n]* \{ #(\w+) \}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("method", ["dc", "dsa", "dm", "idc", "dream", "tm", "dim"])
def test_the_defaults_of_a_method(method: str) -> None:
    lines = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", SECTIONS[method], re.MULTILINE)
    recipes = [make({"method": method, "ipc": ipc}) for ipc in (10, 50)]
    taken = [name for name in TAKEN if name in METHODS[method].takes]
    assert {name for name, *_ in lines} == {"init", "iterations", "lr_img", "alpha", *taken}
    for name, *values in lines:
        assert values == [exactly(getattr(recipe, name)) for recipe in recipes], name


def test_every_method_and_rule_is_described() -> None:
    assert set(SECTIONS) >= {"dc", "dsa", "dm", "idc", "dream", "tm", "dim", "rules", "sets"}
    rules = re.findall(r"^\| ((?:`\w+` ?)+) *\|.*\| ([^|]*?) *\|$", SECTIONS["rules"], re.MULTILINE)
    named = {name: counts for names, counts in rules for name in re.findall(r"`(\w+)`", names)}
    assert {name: counts for name, counts in named.items() if name in RULES} == {
        name: info.counts for name, info in RULES.items()
    }

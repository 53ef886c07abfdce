"""docs/extending is executed: its files are written, its commands run in their order, agents as processes."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from ddsweep.plugins import loading, pins
from tests import forked
from tests.cli.conftest import TINY, Run, ddsweep
from tests.docs.extending import EXAMPLES, PAGES, files
from tests.docs.page import Page, page
from tests.docs.smaller import profile, smaller
from tests.plugins.plugged import Plug, plug

__all__ = ["ddsweep", "plug"]
INDEX = page("docs/extending/index.md")
LINES = 72  # of a file


def test_each_example_fits_on_a_page() -> None:
    assert EXAMPLES.keys() >= {"mtt_lite", "stripes", "mixer"}
    assert {name for name, text in EXAMPLES.items() if len(text.splitlines()) > LINES} == set()


def test_one_trial_with_three_parts_of_ones_own(plug: Plug, ddsweep: Run) -> None:
    used = ("mixer", "mtt_lite", "stripes")
    plug(**{name: EXAMPLES[name] for name in used})
    choices = ["method=mtt-lite", "target=stripes", "arch=mixer2", "alpha=100", "ipc=1", *TINY]
    done = ddsweep("run", "ablation-alpha", *choices, "--profile", "demo", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [pin.partition("@")[0] for pin in found["recipe"]["plugins"].split("+")] == list(used)
    assert set(found["data"]) == {"stripes"}
    assert set(found["accuracies"]) == {"mixer2"}


def test_the_entry_point_of_the_page_is_the_one_that_is_looked_for() -> None:
    (text,) = (block.text for block in INDEX.blocks if block.language == "toml")
    (group,) = tomllib.loads(text)["project"]["entry-points"]
    assert group == loading.GROUP


def test_the_line_of_the_page_is_the_one_that_is_said() -> None:
    (line,) = re.findall(r"^error: (plugins: .*)$", INDEX.text, re.MULTILINE)
    assert line == f"plugins: mtt_lite is not available on this host; {pins.HINT}"


@pytest.mark.slow
@pytest.mark.parametrize("one", [one for one in PAGES if one.commands], ids=lambda one: one.name)
def test_every_command(one: Page) -> None:
    for name, text in files(one).items():
        Path(name).write_text(text, encoding="utf-8")
    profile()
    there = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in one.commands:
        line = command.line.replace("$PWD", str(Path.cwd()))
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            there[name] = value
            continue
        words = command.words
        if words[0] == "ddsweep":
            # agents are processes of their own, which have to find the plugins
            agents = ["--workers=1"] if words[1] == "launch" else []
            words = ["-m", "ddsweep", *smaller(words[1:]), *agents]
        else:
            assert words[0] == "python", line
            words = words[1:]
        done = forked.run(*words, environment=there)
        assert done.returncode == 0, f"{command.where}: {line}\n{done.stdout}\n{done.stderr}"

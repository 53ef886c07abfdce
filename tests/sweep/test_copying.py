"""A copy of a sweep file says the same, with its comments, at every scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.sweep import Sweep, copying

SETTINGS = {"seed": [0, 1], "eval_nets": 1}
CHECKED = [(name, profile) for profile in ("demo", "quick") for name in sweep.names()]


def copy(one: Sweep, said: str = "said") -> tuple[str, Sweep]:
    """The text of a copy called mine.yaml, and what it says when it is launched."""
    path = Path("mine.yaml")
    path.write_text(copying.copied(sweep.find(one.name), one, path, said), encoding="utf-8")
    return path.read_text(encoding="utf-8"), sweep.load("mine.yaml")


@pytest.mark.parametrize(("name", "profile"), CHECKED, ids=lambda word: word)
def test_every_sweep_at_every_scale(name: str, profile: str) -> None:
    one = sweep.load(name, profile, SETTINGS)
    text, mine = copy(one)
    assert mine.full_name == "mine@paper"
    assert {cell.key for cell in mine.cells} == {cell.key for cell in one.cells}
    assert mine.definition() | {"name": name, "profile": profile} == one.definition()
    comments = [line for line in sweep.find(name).read_text().splitlines() if line.lstrip().startswith("#")][1:]
    kept = [line for line in comments if "profiles" not in line and not line.startswith("    ")]
    assert all(line in text for line in kept)


def test_without_a_scale_the_text_stays_as_it_is() -> None:
    text, mine = copy(sweep.load("table4"), said="")
    before = sweep.find("table4").read_text()
    assert text == before.replace("launch table4", "launch mine.yaml").replace("table4@paper", "mine@paper")
    assert mine.definition() | {"name": "table4"} == sweep.load("table4").definition()


def test_only_what_changes_is_changed() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/own.yaml").write_text(OWN)
    text, _ = copy(sweep.load("own", "paper", {"alpha": [1, 2], "seed": 7}))
    assert text == OWN_COPIED


def test_a_file_with_aliases_is_written_anew() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/own.yaml").write_text(OWN.replace("values: [1]", "values: &one [1]").replace("[1.5]", "*one"))
    one = sweep.load("own", "paper", {"ipc": [2, 3]})
    text, mine = copy(one)
    assert "# how many" not in text
    assert {cell.key for cell in mine.cells} == {cell.key for cell in one.cells}


@pytest.mark.parametrize("name", ["table1", "figureA1", "search-alpha"])
def test_what_was_launched_elsewhere_has_no_file(name: str) -> None:
    one = sweep.load(name, "demo")
    Path("mine.yaml").write_text(copying.written(one, Path("mine.yaml"), "said"))
    assert sweep.load("mine.yaml").definition() | {"name": name, "profile": "demo"} == one.definition()


def test_what_no_file_can_say_is_refused() -> None:
    one = replace(sweep.load("ablation-alpha", "demo"), exclude=("alpha > ",))
    with pytest.raises(UserError, match="cannot be written as a file"):
        copying.written(one, Path("mine.yaml"), "said")


OWN = """\
# ddsweep launch own
method: grid
parameters:
  target: {value: digits}   # bundled
  method: {value: dm}
  ipc:   # how many
    values: [1]
  width:
    values:
      - 4
      - 8   # the wider one
  # two of them
  alpha: {values: [0, 5]}
  lr_img: {values: [1.5]}

# the end
command: ["${env}", ddsweep, trial, own@paper, "${args_json}"]
x-ddsweep:
  axis: [alpha]   # columns
  profiles:
    demo: {alpha: [0]}
  title: Own
"""
OWN_COPIED = """\
# ddsweep launch mine.yaml
# said: its values stand below, so launch it without --profile
method: grid
parameters:
  target: {value: digits}   # bundled
  method: {value: dm}
  ipc:   # how many
    values: [1]
  width:
    values:
      - 4
      - 8   # the wider one
  # two of them
  alpha: {values: [1, 2]}
  lr_img: {values: [1.5]}
  seed: {value: 7}

# the end
command: ["${env}", ddsweep, trial, mine@paper, "${args_json}"]
x-ddsweep:
  axis: [alpha]   # columns
  title: Own
"""

"""Copies of sweep files: the same sweep with its comments, at every scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.sweep import Sweep, copying

SETTINGS = {"seed": [0, 1], "eval_nets": 1}
CHECKED = [(name, profile) for profile in ("demo", "quick") for name in sweep.names()]


def copy(original: Sweep, note: str = "note") -> tuple[str, Sweep]:
    """The text of a copy called mine.yaml, and the sweep that it is when it is launched."""
    path = Path("mine.yaml")
    assert original.origin is not None
    path.write_text(copying.copied(original.origin.path, original, path, note), encoding="utf-8")
    return path.read_text(encoding="utf-8"), sweep.load("mine.yaml")


def own(text: str) -> None:
    """A sweep file of the user's own, called own.yaml."""
    Path("sweeps").mkdir(exist_ok=True)
    Path("sweeps/own.yaml").write_bytes(text.encode())


@pytest.mark.parametrize(("name", "profile"), CHECKED, ids=lambda word: word)
def test_every_sweep_at_every_scale(name: str, profile: str) -> None:
    original = sweep.load(name, profile, SETTINGS)
    text, mine = copy(original)
    assert mine.full_name == "mine@paper"
    assert {cell.key for cell in mine.cells} == {cell.key for cell in original.cells}
    assert said(mine) | {"name": original.name, "profile": profile} == said(original)
    comments = [line for line in sweep.find(name).read_text().splitlines() if line.lstrip().startswith("#")][1:]
    kept = [line for line in comments if "profiles" not in line and not line.startswith("    ")]
    assert all(line in text for line in kept)


@pytest.mark.parametrize("name", sweep.names())
def test_without_a_profile_the_text_stays_as_it_is(name: str) -> None:
    text, mine = copy(sweep.load(name), note="")
    for profile in sweep.profiles():  # what a profile replaces in a sweep that ships is written into the copy
        as_shipped = sweep.load(name, profile)
        assert said(sweep.load("mine.yaml", profile)) | {"name": name} == said(as_shipped)
    text = "".join(line for line in text.splitlines(True) if not _is_of_profiles(line))
    header, body = sweep.find(name).read_text().split("\n", 1)
    assert header.startswith(f"# ddsweep launch {name}")
    kept = "" if header == f"# ddsweep launch {name}" else f"{header}\n"
    body = "".join(line for line in body.splitlines(True) if not _is_of_profiles(line))
    assert text == f"# ddsweep launch mine.yaml\n{kept}{body}".replace(f"{name}@paper", "mine@paper")
    assert said(mine) | {"name": name} == said(sweep.load(name))


def said(one: sweep.Sweep) -> dict[str, Any]:
    """What a sweep asks, whichever file it is from."""
    return replace(one, source={}).definition()


def _is_of_profiles(line: str) -> bool:
    return "profiles:" in line or line.strip().startswith(("demo:", "quick:", "target: [", "ipc: ["))


def test_only_the_changed_lines_change() -> None:
    own(OWN)
    text, _ = copy(sweep.load("own", "paper", {"alpha": [1, 2], "seed": 7}))
    assert text == OWN_COPIED


def test_the_layout_of_the_file_is_kept() -> None:
    """What ruamel.yaml alone would normalize or drop: spaces, quotes, escapes, comments inside lists in brackets."""
    own(ODD)
    text, mine = copy(sweep.load("own", "paper", {"lr_img": 1e-5, "seed": [0, 1], "width": [16], "batch_real": 4}))
    assert text == ODD_COPIED
    assert mine.parameters["lr_img"] == (1e-5,)
    assert mine.parameters["ipc"] == (8,)


def test_an_unchanged_value_keeps_its_comments_whatever_its_layout() -> None:
    own(ODD)
    text, _ = copy(sweep.load("own"), note="")
    assert text == ODD.replace("launch own", "launch mine.yaml").replace("own@paper", "mine@paper")


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", ["parameters", "x-ddsweep"])
def test_a_file_whose_last_line_has_no_end(last: str, end: str) -> None:
    parameters = "parameters:\n  target: {value: digits}\n  method: {value: dm}\n  alpha: {values: [0, 1]} # weight"
    extra = "x-ddsweep:\n  axis: [alpha]\n  profiles:\n    demo: {alpha: [0]}"
    first, second = (extra, parameters) if last == "parameters" else (parameters, extra)
    own(f"method: grid\n{first}\n{second}".replace("\n", end))
    text, _ = copy(sweep.load("own", "paper", {"seed": 3}))
    assert "\r" not in text
    assert text.splitlines()[2:] == [
        "method: grid",
        *(["x-ddsweep:", "  axis: [alpha]"] if last == "parameters" else []),
        *parameters.splitlines(),
        "  seed: {value: 3}",
        *(["x-ddsweep:", "  axis: [alpha]"] if last == "x-ddsweep" else []),
    ]


@pytest.mark.parametrize(
    "indented",
    [
        pytest.param(lambda line: " " * (len(line) - len(line.lstrip())) + line, id="four spaces"),
        pytest.param(lambda line: line.replace("      - ", "    - "), id="lists not indented"),
    ],
)
def test_the_indentation_is_kept(indented: Callable[[str], str]) -> None:
    def changed(text: str) -> str:
        return "".join(map(indented, text.splitlines(keepends=True)))

    own(changed(OWN))
    text, _ = copy(sweep.load("own", "paper", {"alpha": [1, 2], "seed": 7}))
    assert text == changed(OWN_COPIED)


def test_indentation_that_differs_between_blocks_loses_no_comment() -> None:
    head, extra = OWN.split("x-ddsweep:\n")
    own(f"{head}x-ddsweep:\n" + "".join(f"  {line}" for line in extra.splitlines(keepends=True)))
    text, mine = copy(sweep.load("own", "paper", {"alpha": [1, 2], "seed": 7, "width": [16, 32]}))
    assert mine.parameters["width"] == (16, 32)
    assert all(comment in text for comment in ("# bundled", "# how many", "# two of them", "# the end", "# columns"))


def test_aliases() -> None:
    text = OWN.replace("values: [1]", "values: &list [1]").replace("[1.5]", "*list")
    own(text.replace("{value: dm}", "&dm {value: dm}"))
    original = sweep.load("own", "paper", {"ipc": [2, 3]})
    text, mine = copy(original)
    assert "  ipc:   # how many\n    values: [2, 3]\n" in text
    assert mine.parameters["lr_img"] == (1,)
    assert {cell.key for cell in mine.cells} == {cell.key for cell in original.cells}


def test_an_alias_of_a_changed_entry_keeps_its_value() -> None:
    own(OWN.replace("{values: [0, 5]}", "&both\n    values: [1, 5]").replace("{values: [1.5]}", "*both"))
    text, mine = copy(sweep.load("own", "paper", {"alpha": [3, 4]}))
    assert mine.parameters["alpha"] == (3, 4)
    assert mine.parameters["lr_img"] == (1, 5)
    assert "# two of them" in text


def test_merged_keys() -> None:
    merged = "description: &text note\n".join(OWN.split("method: grid\n"))
    own(f"method: grid\n{merged}".replace("title: Own", "<<: {title: *text, paper: Table 9, profiles: {}}"))
    text, mine = copy(sweep.load("own", "paper", {"alpha": [3, 4]}))
    assert "<<: {title: *text, paper: Table 9, profiles: {}}" in text
    assert (mine.title, mine.paper) == ("note", "Table 9")


@pytest.mark.parametrize(
    "word", ["none", "yes", "0x1F", "1e3", "1:30", "2024-01-01", "~", "08", "-_", "#", "a: b", "α 日本"]
)
def test_quoted_words_stay_words(word: str) -> None:
    own(OWN.replace("title: Own", f'title: "{word}"').replace("axis", f"paper: '{word}'\n  axis"))
    text, mine = copy(sweep.load("own", "paper", {"alpha": [3]}))
    assert (mine.title, mine.paper) == (word, word)
    assert f'  title: "{word}"\n' in text
    assert f"  paper: '{word}'\n" in text


@pytest.mark.parametrize("word", ["1e3", "yes", "2024-01-01", "none"])
def test_a_new_file_quotes_what_a_parser_would_convert(word: str) -> None:
    original = replace(sweep.load("table4"), title=word)
    text = copying.written(original, Path("mine.yaml"), "")
    assert ("title: none\n" if word == "none" else f"title: '{word}'\n") in text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("title: Own", "title: Own\n  title: Twice"), 'line 23: cannot be copied (found duplicate key "title")'),
        (
            ("  ipc:", "  seed: {value: 1}\n  seed: {value: 2}\n  ipc:"),
            'line 7: cannot be copied (found duplicate key "seed")',
        ),
    ],
)
def test_one_line_for_what_cannot_be_copied(change: tuple[str, str], line: str) -> None:
    own(OWN)
    original = sweep.load("own")
    own(OWN.replace(*change))
    for note in ("", "note"):
        with pytest.raises(UserError) as error:
            copying.copied(sweep.find("own"), original, Path("mine.yaml"), note)
        assert str(error.value).startswith("sweeps/own.yaml, line")
        assert line in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["table1", "figureA1", "search-alpha"])
def test_a_sweep_launched_elsewhere_has_no_file(name: str) -> None:
    original = sweep.load(name, "demo")
    Path("mine.yaml").write_text(copying.written(original, Path("mine.yaml"), "note"))
    assert said(sweep.load("mine.yaml")) | {"name": name, "profile": "demo"} == said(original)


def test_a_sweep_that_no_file_describes_is_refused() -> None:
    original = replace(sweep.load("ablation-alpha", "demo"), exclude=("alpha > ",))
    with pytest.raises(UserError, match="cannot be written as a sweep file"):
        copying.written(original, Path("mine.yaml"), "note")


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
# note: its values are written below, so launch it without --profile
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
ODD = """\
# ddsweep launch own

# α, 日本
---
"method":   'grid'
parameters:
  target:   { value: "digits" }    # bundled, in quotes
  method:   { value: 'dm' }
  ipc:      { value: 8 }           # few
  # above the list
  alpha:
    values: [
      0,    # none
      # between
      1.0e+1,
      +5.0e+1,
    ]
  batch_real: {value: 90}     # fewer
  lr_img: {values: [1.50, .5]}
  regularizer: {values: ['none', clom]}   # the baseline first
  width:
    values:

    - 4    # narrow
    - 8
    # below the list

  # below the parameters
x-ddsweep:
  axis: [alpha, regularizer]
  title: "caf\\u00e9,
    on two lines"
  paper: '2024-01-01'
  # of the profiles
  profiles:   # smaller
    # first
    demo: {alpha: [0]}   # α

    # last
    quick:
      seed: [1]
  # of the baseline
  baseline: {regularizer: 'none'}
  # below the block

command: ["${env}", 'ddsweep', trial, "own@paper", "${args_json}"]
...
# below the end
"""
ODD_COPIED = """\
# ddsweep launch mine.yaml
# note: its values are written below, so launch it without --profile

# α, 日本
---
"method":   'grid'
parameters:
  target:   { value: "digits" }    # bundled, in quotes
  method:   { value: 'dm' }
  ipc:      { value: 8 }           # few
  # above the list
  alpha:
    values: [
      0,    # none
      # between
      1.0e+1,
      +5.0e+1,
    ]
  batch_real: {value: 4}      # fewer
  lr_img: {values: [1.0e-05]}
  regularizer: {values: ['none', clom]}   # the baseline first
  width:
    values:

    - 16
  seed: {values: [0, 1]}
    # below the list

  # below the parameters
x-ddsweep:
  axis: [alpha, regularizer]
  title: "caf\\u00e9,
    on two lines"
  paper: '2024-01-01'
  # of the baseline
  baseline: {regularizer: 'none'}
  # below the block

command: ["${env}", 'ddsweep', trial, "mine@paper", "${args_json}"]
...
# below the end
"""

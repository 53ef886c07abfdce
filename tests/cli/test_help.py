"""``--help`` of every command: panels, complete sentences, and paragraphs that use the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from ddsweep.cli import app
from ddsweep.cli.commands import PANELS, SUMMARIES

INTERNAL = {"agent", "trial"}
ROOT: Any = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words that name it, command) of the program and of every command, the hidden ones included."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


COMMANDS = dict(commands())
PATHS = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def screen(path: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", width)
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The paragraphs of text between the usage and the first panel, each as its lines on the screen."""
    text = lines[: next(index for index, line in enumerate(lines) if line.startswith("╭"))]
    paragraph: list[str] = []
    for line in [*text, ""]:
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            if not paragraph[0].startswith("Usage:"):
                yield paragraph
            paragraph = []


@pytest.mark.parametrize("width", [80, 100, 160])
@PATHS
def test_paragraphs_wrap_only_at_the_edge(path: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = screen(path, width, monkeypatch)
    assert max(map(cell_len, lines)) <= width
    found = list(paragraphs(lines))
    assert found
    for paragraph in found:
        for line, after in pairwise(paragraph):
            word = after.split()[0]
            assert cell_len(line) + 1 + cell_len(word) > width - 2, f"{word!r} fits behind {line!r}"


@PATHS
def test_every_paragraph_is_made_of_sentences(path: tuple[str, ...]) -> None:
    for paragraph in COMMANDS[path].help.split("\n\n"):
        assert "\n" not in paragraph.strip()
        assert paragraph[0].isupper() or paragraph[0] == "`", paragraph
        assert paragraph[-1] in ".`]", paragraph


@PATHS
def test_every_parameter_is_explained_by_a_sentence(path: tuple[str, ...]) -> None:
    for parameter in COMMANDS[path].params:
        text = parameter.help
        assert text, f"{parameter.name} has no help"
        assert text[0].isupper() and text.endswith("."), f"{parameter.name}: {text!r}"


def test_every_command_is_in_a_panel() -> None:
    commands = {path[0]: command for path, command in COMMANDS.items() if len(path) == 1}
    panels = {name: command.rich_help_panel for name, command in commands.items() if not command.hidden}
    assert {name for name, command in commands.items() if command.hidden} == INTERNAL
    assert set(panels.values()) == set(PANELS) == {"Run", "Inspect", "Data and PTMs", "W&B", "Maintenance"}


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_help_screen_has_the_summary_of_each_command(name: str) -> None:
    assert SUMMARIES[name] == COMMANDS[name,].help.split("\n\n")[0]


def test_panels_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = screen((), 100, monkeypatch)
    heads = [line.strip("╭╮─ ") for line in lines if line.startswith("╭")]
    assert heads == ["Options", *PANELS]
    shown = {line.split()[1] for line in lines if line.startswith("│")}
    assert {"launch", "list", "data", "sync", "doctor"} <= shown
    assert not INTERNAL & shown


@pytest.mark.parametrize(("option", "text"), [("--version", "Show the version and exit."),
                                              ("--help", "Show this message and exit.")])  # fmt: skip
def test_options_of_the_program(option: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = [line for line in screen((), 100, monkeypatch) if option in line]
    assert text in line

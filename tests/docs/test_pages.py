"""What holds on every page: its commands are understood, its files are valid, its links lead somewhere."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
import yaml
from PIL import Image

from ddsweep import __version__, sweep
from ddsweep.cli import app
from ddsweep.recipe import Recipe
from ddsweep.sweep.document import Extra, Profile, SweepFile, validate
from tests.docs import hooks
from tests.docs.extending import EXAMPLES
from tests.docs.page import ROOT, Block, Command, Page, page, pages
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]

PAGES = pages()
BLOCKS = [block for one in PAGES for block in one.blocks]
COMMANDS = [command for one in PAGES for command in one.commands]
LANGUAGES = {"", "console", "yaml", "python", "bash", "toml"}
MADE = {"settings.md", "cli.md", "changelog.md"}  # when the site is built: docs/hooks.py
BASE: dict[str, Any] = {
    "method": "grid", "parameters": {"alpha": {"values": [0, 1]}}, "x-ddsweep": {"axis": ["alpha"]},
}  # fmt: skip
SEARCH = BASE | {"method": "bayes", "run_cap": 4, "parameters": {"alpha": {"min": 1, "max": 100}}}
LARGEST = 200_000  # bytes of a picture


def where(one: Block | Command) -> str:
    return one.where


def test_every_block_says_what_it_is() -> None:
    assert {block.where: block.language for block in BLOCKS if block.language not in LANGUAGES} == {}


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.name)
def test_every_command_is_understood(one: Page, isolated: Path) -> None:
    """Parsed by the program itself, without running it: a renamed command or option shows at once."""
    group = typer.main.get_command(app)
    for command in one.commands:
        for part in command.line.split("&&"):
            words = [word for word in Command(command.where, part).words if not word.startswith("WANDB_MODE=")]
            if words[0] == "ddsweep":
                understood(group, words[1:], command)


def understood(group: Any, words: list[str], command: Command) -> None:
    """Commands of commands (``data fetch``) are gone down to the last."""
    while getattr(group, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in group.commands, f"{command.where}: ddsweep has no {words[0]}"
        group, words = group.commands[words[0]], words[1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_COMPILE", "auto")  # an option that reaches agents by the environment
        try:
            group.make_context("ddsweep", list(words))
        except typer.Exit:  # --version
            return
        except Exception as error:
            raise AssertionError(f"{command.where}: {command.line}: {error}") from error


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "yaml"], ids=where)
def test_every_file_is_valid(block: Block, isolated: Path, plug: Plug) -> None:
    """By the real parser, with all its cells; what is only a part of a sweep file is put into one."""
    for part, file in {"mtt-lite": "mtt_lite", "random-dct": "dct"}.items():
        if part in block.text:
            plug(**{file: EXAMPLES[file]})
    document = yaml.safe_load(block.text)
    if "fields" in document or "axes" in document:
        assert validate(Profile, document, Path(block.where)).title
        return
    if "broken" in block.file:  # the page shows what is said of it, and the walk compares
        validate(SweepFile, document, Path(block.where))
        return
    path = Path("one.yaml")
    base = SEARCH if "early_terminate" in document else BASE
    path.write_text(yaml.safe_dump(base | document), encoding="utf-8")
    assert sweep.load(str(path), "demo").swept


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language in ("python", "bash")], ids=where)
def test_every_script_is_in_its_language(block: Block) -> None:
    if block.language == "python":
        ast.parse(block.text)
    else:
        done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.name)
def test_links_lead_somewhere(one: Page) -> None:
    for link in one.links:
        target = unquote(link.split("#")[0])
        if link.startswith(("http", "#")) or target in MADE:
            continue
        path = one.path.parent / target
        assert path.exists(), f"{one.name}: {link}"
        if path.suffix == ".png":
            assert path.stat().st_size < LARGEST, f"{one.name}: {link} is large"
            with Image.open(path) as picture:
                picture.verify()


def test_every_picture_is_shown() -> None:
    shown = {Path(link).name for one in PAGES for link in one.links}
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} <= shown


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"## [{__version__}]" in page("CHANGELOG.md").text
    assert all(author["name"] in (ROOT / "LICENSE").read_text(encoding="utf-8") for author in citation["authors"])


def test_a_page_is_read_as_its_reader_reads_it() -> None:
    text = "# one.yaml: mine\na: 1\n"
    typed = "$ ddsweep list   # all\nNAME\nred$ ddsweep show x --set a=b#c\nerror: no\n"
    assert Block("here", "yaml", text).file == "one.yaml"
    assert Block("here", "yaml", "# what it is\n").file == ""
    assert Block("here", "console", typed).commands == [
        Command("here", "ddsweep list", "", ("NAME",)),
        Command("here", "ddsweep show x --set a=b#c", "red", ("error: no",)),
    ]


@pytest.mark.parametrize(
    "line", ["ddsweep lisst", "ddsweep launch x --profil demo", "ddsweep data fetch", "ddsweep run"]
)
def test_what_the_program_does_not_know_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="here"):
        understood(typer.main.get_command(app), line.split()[1:], Command("here", line))


def test_the_keys_of_a_sweep_file_are_all_explained() -> None:
    text = page("docs/own-sweeps.md").text
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    explained = {key.strip(" `") for row in rows for key in row.split(",")}
    keys = {field.alias or name for kind in (SweepFile, Extra) for name, field in kind.model_fields.items()}
    assert explained == keys


def test_the_settings_are_all_explained() -> None:
    told = hooks.described(Recipe)
    assert set(told) == set(Recipe.model_fields)
    assert all(told.values())
    assert all(f"| `{name}` |" in hooks.settings() for name in Recipe.model_fields)


def test_the_command_line_is_all_there() -> None:
    """Every command and option of the program, in the page that is made from it."""
    text = hooks.command_line()
    assert "<span" not in text
    wanted = [(" ".join(path), option) for path, option in options(typer.main.get_command(app))]
    sections = {part.split("`")[0]: part for part in text.split("## `ddsweep ")[1:]}
    assert [(path, option) for path, option in wanted if f"`{option}" not in sections[path].replace(", ", "`")] == []


def options(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """(path, longest name of an option) of every command."""
    inner = getattr(command, "commands", {})
    found = [one for name, sub in inner.items() for one in options(sub, (*path, name))]
    if path:
        names = [max(one.opts, key=len) for one in command.params if not getattr(one, "hidden", False)]
        found += [(path, name) for name in names if name.startswith("--") and name != "--help"]
    return found

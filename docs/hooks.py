"""Pages that are made when the site is built and so cannot go stale: settings, the command line, the changelog."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent
INTRODUCTION = (
    "What can stand under `parameters` of a [sweep file](own-sweeps.md), in a profile, and behind `--set`. Together "
    "they are the recipe of a cell: whatever can change its result is one of them, and its key is their hash. What is "
    "not chosen takes its default, and `recipe.json` in the folder of a run has them all."
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made here to what lies in ``docs/``."""
    from mkdocs.structure.files import File

    made = {"settings.md": settings(), "cli.md": command_line(), "changelog.md": changelog()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def settings() -> str:
    """Every field of a recipe, as its class describes it."""
    from ddsweep.recipe import Recipe

    told = described(Recipe)
    rows = [f"| `{name}` | {told[name]} |" for name in Recipe.model_fields]
    return "\n".join(["# Every setting", "", INTRODUCTION, "", "| setting | is |", "|---|---|", *rows, ""])


def described(kind: type) -> dict[str, str]:
    """Field → the text that stands below it in the class, or in one that it is made from, in one line of Markdown."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not one.__module__.startswith("ddsweep."):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(body, ast.ClassDef)
        for field, below in pairwise(body.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                found[field.target.id] = _one_line(below)
    return found


def _one_line(text: ast.Expr) -> str:
    """A docstring in one line: ``code`` as Markdown has it, and no bar that would end a cell of the table."""
    words = " ".join(str(ast.literal_eval(text.value)).split())
    return re.sub(r"``(.+?)``", r"`\1`", words).replace("|", "\\|")


def command_line() -> str:
    """Every command, argument and option, as the program itself describes them."""
    words = [sys.executable, "-m", "typer", "ddsweep.cli", "utils", "docs", "--name", "ddsweep"]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    made = re.sub(r"<span style=\"font-weight: bold\">(.*?)</span>", r"`\1`", made)
    made = re.sub(r"^\* `--help`: Show this message and exit\.\n", "", made, flags=re.MULTILINE)
    made = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", made)  # the table of contents has them, uncut
    return made.replace("# `ddsweep`\n", "# Command line\n", 1)


def changelog() -> str:
    """CHANGELOG.md, whose links start from the top of the repository."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")

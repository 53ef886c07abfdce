"""Generate the pages for settings, the command line, and the changelog when the site is built, so they stay current."""

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
    "These settings can appear under `parameters` in a [sweep file](own-sweeps.md), in a profile, and after `--set`. "
    "Together they form the recipe of a cell: everything that can change its result is one of them, and the cell's key "
    "is their hash. Settings that you do not choose take their defaults. `recipe.json` in a run folder lists them all."
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the files in ``docs/``."""
    from mkdocs.structure.files import File

    pages = {"settings.md": settings(), "cli.md": command_line(), "changelog.md": changelog()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def settings() -> str:
    """Return a table of all recipe fields with their descriptions."""
    from ddsweep.recipe import Recipe

    descriptions = described(Recipe)
    rows = [f"| `{name}` | {descriptions[name]} |" for name in Recipe.model_fields]
    return "\n".join(["# All settings", "", INTRODUCTION, "", "| setting | meaning |", "|---|---|", *rows, ""])


def described(kind: type) -> dict[str, str]:
    """Return the docstring of each field of a class and its ddsweep base classes, as one line of Markdown."""
    descriptions: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("ddsweep."):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, doc in pairwise(definition.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(doc, ast.Expr):
                descriptions[field.target.id] = _one_line(doc)
    return descriptions


def _one_line(text: ast.Expr) -> str:
    """Return a docstring as one line of Markdown, with bars escaped for use in a table."""
    words = " ".join(str(ast.literal_eval(text.value)).split())
    return re.sub(r"``(.+?)``", r"`\1`", words).replace("|", "\\|")


def command_line() -> str:
    """Return the help of all commands, arguments, and options, as Typer generates it."""
    words = [sys.executable, "-m", "typer", "ddsweep.cli", "utils", "docs", "--name", "ddsweep"]
    text = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    text = re.sub(r"<span style=\"font-weight: bold\">(.*?)</span>", r"`\1`", text)
    text = re.sub(r"^\* `--help`: Show this message and exit\.\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", text)  # redundant: the table of contents lists them
    return text.replace("# `ddsweep`\n", "# Command line\n", 1)


def changelog() -> str:
    """Return CHANGELOG.md with its links made relative to ``docs/``."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")

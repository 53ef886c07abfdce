"""The pages of the documentation as data: their fenced blocks, their commands, their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
BEFORE = re.compile(r"<!-- before this page: (.*?) -->")
PROMPT = re.compile(r"^(?:(?P<host>\w+))?\$ (?P<line>.*)$")


@dataclass(frozen=True)
class Command:
    """A line of a console block.

    Attributes:
        where: ``PAGE:LINE``, for messages.
        line: what is typed, without prompt and comment.
        host: the name before the prompt, if there is one.
        shown: the lines below it that are not typed.
    """

    where: str
    line: str
    host: str = ""
    shown: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The words as a shell splits them."""
        return shlex.split(self.line)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: ``PAGE:LINE``, for messages.
        language: what stands behind the fence.
        text: its lines, without the indent of the fence.
    """

    where: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block is, said by its first line (``# mine.yaml``, ``# mine.yaml: …``), or nothing."""
        named = re.match(r"# (\w[\w./-]*\.\w+)(?::|$)", self.text.partition("\n")[0])
        return named[1] if named else ""

    @property
    def commands(self) -> list[Command]:
        """What is typed at its prompts; other lines are what a command printed, or what is typed into it."""
        found: list[Command] = []
        for line in self.text.splitlines() if self.language == "console" else ():
            if typed := PROMPT.match(line):
                found.append(Command(self.where, _typed(typed["line"]), typed["host"] or ""))
            elif found:
                found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
        return found


@dataclass(frozen=True)
class Page:
    """A Markdown file.

    Attributes:
        path: where it lies.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its path from the top of the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """What it says."""
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in their order."""
        return list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        text = self.text
        for found in FENCE.finditer(text):
            where = f"{self.name}:{text.count(chr(10), 0, found.start()) + 1}"
            inner = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
            yield Block(where, found["language"], inner)

    @property
    def before(self) -> list[Command]:
        """What its reader has done before: commands in comments, ``<!-- before this page: ddsweep launch … -->``."""
        return [Command(self.name, line) for line in BEFORE.findall(self.text)]

    @property
    def commands(self) -> list[Command]:
        """Everything that is typed on it, in its order."""
        return [command for block in self.blocks for command in block.commands]

    @property
    def links(self) -> list[str]:
        """Where its links and pictures lead, those of code left out."""
        prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", self.text))
        return LINK.findall(prose)


def page(name: str) -> Page:
    """A page by its path from the top of the repository."""
    return Page(ROOT / name)


def pages() -> list[Page]:
    """Every page: the README, ``docs/``, and what GitHub shows."""
    found = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "CHANGELOG.md",
        *(ROOT / ".github").glob("*.md"),
    ]
    return [Page(path) for path in sorted(found)]


def _typed(line: str) -> str:
    """Without the comment, which two blanks set apart: ``#`` may be part of a word."""
    return line.split("  #")[0].strip()

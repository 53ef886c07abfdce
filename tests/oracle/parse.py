"""Printed tables, read back as lines of texts: from the screen, Markdown and LaTeX."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

RULE = re.compile(r" *─+ *")


@dataclass(frozen=True)
class Printed:
    """A table as a reader sees it.

    Attributes:
        heads: the first line.
        lines: the others, each with as many texts as the first.
        below: what is printed below it, or in its caption, as one text.
        labels: how many columns of labels come first, where the table says so (LaTeX).
    """

    heads: list[str]
    lines: list[list[str]]
    below: str
    labels: int = 0


def screen(text: str) -> Printed:
    """A table on the screen; columns are at least three blanks apart in every line."""
    every = text.splitlines()
    rule = next(index for index, line in enumerate(every) if RULE.fullmatch(line))
    end = next((index for index in range(rule, len(every)) if every[index][:1] not in (" ", "")), len(every))
    body = [line for line in every[rule + 1 : end] if line.strip() and not RULE.fullmatch(line)]
    lines = [every[rule - 1], *body]
    width = max(map(len, lines))
    lines = [line.ljust(width) for line in lines]
    blank = [all(line[index] == " " for line in lines) for index in range(width)]
    cuts = [match.span() for match in re.finditer(" {3,}", "".join(" " if one else "x" for one in blank).strip())]
    left = len("".join(" " if one else "x" for one in blank)) - len(
        "".join(" " if one else "x" for one in blank).lstrip()
    )
    starts = [left, *(left + stop for _, stop in cuts)]
    ends = [*(left + start for start, _ in cuts), width]
    cells = [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines]
    return Printed(cells[0], cells[1:], " ".join(" ".join(every[end:]).split()))


def markdown(text: str) -> Printed:
    """The first table of a Markdown text."""
    lines = text.splitlines()
    inside = [line for line in lines if line.startswith("|")]
    cells = [[_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in inside]
    below = " ".join(line for line in lines if not line.startswith("|"))
    return Printed(cells[0], cells[2:], " ".join(_plain(below).split()))


def _plain(cell: str) -> str:
    text = re.sub(r"^\*\*(?!\*)(.*?)(?<![\\*])\*\*$", r"\1", cell.strip())
    return html.unescape(re.sub(r"\\([^\w\s])", r"\1", text))


GREEK = {"alpha": "α"}
COMMANDS = {r"\pm": "±", r"\times": "×", r"\cdot": "·", r"\dots{}": "…", r"\sim": "~", r"\leq": "≤", r"\geq": "≥"}


def latex(text: str) -> Printed:
    """The table of a LaTeX float; its caption, and the comments above it, are below."""
    inside = text[text.index(r"\toprule") + 8 : text.index(r"\bottomrule")]
    rows = [row for row in re.split(r"\\\\\s*(?:\n|$)", inside) if row.strip()]
    cells = []
    for row in rows:
        row = re.sub(r"\\(midrule|cmidrule\S*)", "", row).strip()
        if row and r"\multicolumn" not in row:
            cells.append([unescaped(cell) for cell in re.split(r"(?<!\\)&", row)])
    comments = " ".join(line[1:].strip() for line in text.splitlines() if line.startswith("%"))
    caption = text[text.index(r"\caption{") + 9 : text.index(r"\label")].strip().removesuffix("}")
    columns = text[text.index(r"\begin{tabular}{") + 16 :].partition("}")[0]
    below = " ".join(f"{unescaped(caption)} {comments}".split())
    return Printed(cells[0], cells[1:], below, columns.count("l"))


def unescaped(text: str) -> str:
    """LaTeX as plain text."""
    text = re.sub(r"\\textbf\{(.*?)\}(?=$|\$\^)", r"\1", text.strip())
    text = text.replace(r"\textasciitilde{}", "~").replace(r"\textbackslash{}", "\\")
    text = text.replace("--", "–").replace("{[}", "[").replace("{]}", "]").replace("{}", "")
    text = text.replace(r"$^{\sim}$", "~")
    text = re.sub(r"\$\^\{(\*+)\}\$", r"\1", text)
    text = re.sub(r"\$\\(\w+)\$", lambda match: GREEK.get(match[1], match[0]), text)
    for command, sign in COMMANDS.items():
        text = text.replace(f"${command}$", sign)
    text = re.sub(r"\$(.*?)\$", r"\1", text)
    return re.sub(r"\\([_%&#{}$])", r"\1", text)

"""Plain text in languages in which some characters mean something: Markdown, Plotly's HTML, cells of a spreadsheet.

Names and reasons of failures come from users' files and are shown as they are, whatever they contain. Elsewhere:
LaTeX in ``results.tables.latex``, Matplotlib in ``results.plots.style``; HTML pages are escaped by jinja2.
"""

from __future__ import annotations

import html
import re

from ddsweep import characters
from ddsweep.text import is_number

# an underscore within a word means nothing in GitHub's Markdown: N_m, eval_strategy
_MARKDOWN = re.compile(r"[\\`*|<>\[\]~$&#]|(?<![^\W_])_|_(?![^\W_])")
# not every reader of Markdown takes these after a backslash
_REFERENCES = {sign: f"&#{ord(sign)};" for sign in "|<>~$&="}
_BLOCK = re.compile(r"[-+](?= |$|-+$)|=(?==*$)|\d+(?=[.)]( |$))")  # a line that begins so is a list, rule or heading
_FORMULA = re.compile(r"[=+\-@\t\r]")  # first characters by which spreadsheets recognize a formula
_INERT = re.compile(r"'+[=+\-@\t\r]")


def markdown(text: str) -> str:
    """Text for Markdown, also in a cell of a table, on one line; the dashboard's notes are Markdown with formulas."""
    escaped = _MARKDOWN.sub(lambda match: _literal(match[0]), characters.one_line(text))
    start = _BLOCK.match(escaped)
    if start is None:
        return escaped
    first, rest = start[0], escaped[start.end() :]
    return f"{first}\\{rest}" if first.isdigit() else f"{_literal(first)}{rest}"


def _literal(sign: str) -> str:
    return _REFERENCES.get(sign, f"\\{sign}")


def plotly(text: str) -> str:
    """Text for a figure of Plotly, which reads tags, entities and formulas between dollar signs in every text."""
    return html.escape(characters.one_line(text), quote=False).replace("$", "&#36;")


def spreadsheet(value: object) -> object:
    """A value for a cell of CSV. A text that spreadsheets would compute gets an apostrophe, which they do not show.

    Numbers remain numbers, also negative ones.
    """
    if not isinstance(value, str) or not (_FORMULA.match(value) or _INERT.match(value)) or is_number(value):
        return value
    return f"'{value}"


def from_spreadsheet(text: str) -> str:
    """The text of a cell that ``spreadsheet`` wrote."""
    return text[1:] if _INERT.match(text) else text

"""A name is shown as it is in every language of markup."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown import Markdown
from markdown_it import MarkdownIt

from ddsweep import characters, markup
from ddsweep.results.tables import formats, latex, saved
from ddsweep.results.tables.layout import Grid
from tests import hostile

NAMES = [
    *hostile.CLASSES, hostile.FOLDER, hostile.TITLE, hostile.REASON, "# head", "- item", "1. one", "---", "===",
    "a_b_c __d__", "~~s~~", "&amp; &#36;", "\\", "a\\|b", "N_m", "> quote", "+5", "-0.3 x", "![i](j)", "<https://x.y>",
]  # fmt: skip


def text_of(page: hostile.Page) -> str:
    return " ".join(page.text.split())


@pytest.mark.parametrize("name", NAMES)
def test_markdown(name: str) -> None:
    page = hostile.rendered(markup.markdown(name))
    assert text_of(page) == " ".join(characters.one_line(name).split())
    assert page.tags == ["p"]
    cells = hostile.rendered(formats.pipes(Grid(["α", name], 1, [["0", name], [name, "1"]], frozenset({1}))))
    assert cells.text.count(characters.one_line(name).strip()) >= 3
    assert set(cells.tags) == {"table", "thead", "tbody", "tr", "th", "td", "strong"}
    assert (cells.tags.count("td"), cells.tags.count("strong")) == (4, 2)


@given(st.text(max_size=40))
def test_markdown_of_any_text(name: str) -> None:
    page = hostile.rendered(markup.markdown(name))
    assert page.text.split() == characters.one_line(name).split()
    assert set(page.tags) <= {"p"}


SIGNS = st.sampled_from([*"|\\`*_~<>&$#[](){}!+-=.:1a \t'\"@^%/é", "\u2028", "**", "$$", "==", "&amp;", "http://x.y"])
WORDS = st.lists(SIGNS, max_size=12).map("".join)
READERS = {
    "CommonMark with tables": MarkdownIt("commonmark").enable("table").render,
    "GitHub": MarkdownIt("gfm-like", {"linkify": False}).render,
    "Python-Markdown": lambda text: Markdown(extensions=["tables"]).convert(text),
}


@pytest.mark.parametrize("reader", READERS)
@given(WORDS, WORDS)
@example("a|b", "imagefolder:a|b c")
@example("|", "\\|")
def test_cells_of_tables_in_every_reader(reader: str, one: str, other: str) -> None:
    cells = [one, other, other, one]
    source = formats.pipes(Grid(["α", one], 1, [cells[:2], cells[2:]], frozenset({1})))
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", READERS[reader](source), re.DOTALL)
    texts = [" ".join(hostile.Page(cell).text.split()) for cell in found]
    assert texts == [" ".join(characters.one_line(text).split()) for text in ("α", one, *cells)]


@pytest.mark.parametrize("name", NAMES)
def test_plotly(name: str) -> None:
    shown = markup.plotly(name)
    assert not {"<", ">", "$"} & set(shown)
    assert html.unescape(shown) == characters.one_line(name)


@pytest.mark.parametrize("name", [*NAMES, "@x", "\tx", "'=x", "''=x", "'quoted'", "-1.5e3", "+2", "", "-", "=", "x"])
def test_csv(name: str) -> None:
    records: list[dict[str, Any]] = [{"name": name, "accuracy": -0.5, "accuracy_std": 0.1, "n": 2}]
    text = formats.as_csv(records)
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["accuracy"] == "-0.5"
    assert row["name"][:1] not in ("=", "+", "-", "@", "\t") or float(row["name"]) is not None
    assert markup.from_spreadsheet(row["name"]) == name
    (read,) = saved._from_csv(text)
    assert read["name"] == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_b & 5 % #1 $x$ {y} ~ ^ \\z", r"a\_b \& 5 \% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} "
         r"\textbackslash{}z"),
        ("α β Ω Α λ ς µ", r"$\alpha$ $\beta$ $\Omega$ A $\lambda$ $\varsigma$ $\mu$"),
        ("[link] é 中", "{[}link{]} é 中"),
        ("a--b --- –", "a-{}-b -{}-{}- --"),
        ("\x1b[31m\u202e\nnext", r"\textbackslash{}x1b{[}31m\textbackslash{}u202e next"),
    ],
)  # fmt: skip
def test_latex(name: str, expected: str) -> None:
    assert latex.escape(name) == expected

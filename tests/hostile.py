"""Names and reasons that mean something in one language or another, and a data set of classes with such names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt
from PIL import Image

CLASSES = (
    "a $x$ b $ \\frac{",
    "esc\x1b[31mred\x1b]0;title\x07\u202eevil",
    "=1+2 | `c` *d* _e_ [f](g)",
    "<b>bold<br> & [red] <script>alert(1)<",
    "中文 é α × –",
    "שלום مرحبا e\u0301",
    "y" * 200,
    "% # ^ ~ {} \\ %{text}",
)
FOLDER = "da[/bold]ta <b>$x$ %"
TITLE = "<script>alert(1)</script> [/bold] $a$ *b* \x1b[31m & α 中 | [link=x]y[/link]"
REASON = "=cmd|' /C calc'!A0 [/data/x.jpg] $x$ <img src=x onerror=y> `z` \x1b]0;t\x07 \u202e 中"

# what a terminal obeys: controls but the line break, and the direction of writing
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def image_folder(path: Path, classes: Sequence[str], train: int = 12, test: int = 6) -> None:
    """Write an image folder; images of the first, third, … class are bright in their left half."""
    random = np.random.default_rng(0)
    for index, name in enumerate(classes):
        for split, count in (("train", train), ("test", test)):
            folder = path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 80, (16, 16, 3), dtype=np.uint8)
                half = slice(0, 8) if index % 2 == 0 else slice(8, 16)
                pixels[:, half] += 150
                Image.fromarray(pixels).save(folder / f"{number}.png")


class Page(HTMLParser):
    """The text and the tags of an HTML page.

    Attributes:
        text: all text.
        tags: the names of all tags.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> Page:
    """A Markdown text as a reader of GitHub's Markdown, with HTML, shows it."""
    return Page(MarkdownIt("commonmark").enable("table").enable("strikethrough").render(markdown))

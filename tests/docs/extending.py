"""The pages of docs/extending: the plugins that they print, by file."""

from __future__ import annotations

from tests.docs.page import ROOT, Page

PAGES = [Page(path) for path in sorted((ROOT / "docs/extending").glob("*.md"))]


def files(page: Page) -> dict[str, str]:
    """The Python files that a page prints, by name."""
    return {block.file: block.text for block in page.blocks if block.file.endswith(".py")}


EXAMPLES = {name.removesuffix(".py"): text for one in PAGES for name, text in files(one).items()}
"""The source of every plugin on the pages, by module."""

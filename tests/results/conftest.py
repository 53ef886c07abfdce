"""Figures as they are before they become files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ddsweep.results.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn, in order, laid out as in its file."""
    seen: list[Figure] = []
    page = style.page

    @contextlib.contextmanager
    def watched(path: Path, width: float, height: float) -> Iterator[Figure]:
        with page(path, width, height) as figure:
            yield figure
            seen.append(figure)

    monkeypatch.setattr(style, "page", watched)
    return seen

"""The table of methods."""

from __future__ import annotations

import pytest

from ddsweep.plugins import resolve
from ddsweep.registry.methods import METHODS, Method, signature


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS.code(name) is None])
def test_the_rows_agree_with_the_signatures_of_the_losses(name: str) -> None:
    """The rows are read without torch, so they repeat the signatures."""
    row: Method = METHODS[name]
    takes, options, defaulted = signature(name, resolve(row.source))
    assert set(takes) - set(defaulted) <= set(row.takes) <= set(takes)
    assert options == row.options == {}

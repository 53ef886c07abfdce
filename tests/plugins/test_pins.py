"""The plugins that a recipe names, and whether this host has the same source."""

from __future__ import annotations

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import make, verify
from ddsweep.registry.methods import METHODS
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]


def test_changed_code_gives_another_cell_and_a_pinned_digest_stays(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=HALF)
    recipe = half()
    assert recipe.plugins == METHODS.code("half").pin  # type: ignore[union-attr]
    verify([recipe, make({})])
    other = f"{recipe.plugins[:-1]}{'0' if recipe.plugins[-1] != '0' else '1'}"
    pinned = half(plugins=other)
    assert pinned.plugins == other
    assert pinned.key() != recipe.key()
    assert make(pinned.model_dump()).key() == pinned.key(), "an old result stays readable"
    with pytest.raises(
        UserError, match=rf"mine\.py is {recipe.plugins} on this host, but the cell needs {other}; copy"
    ):
        verify([pinned])
    assert make({"plugins": other}).plugins == "", "a recipe that uses no part of it"


def test_plugins_that_are_not_available_are_one_line(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UserError, match=r"^plugins: a, b are not available on this host; add the file to \$DDSWEEP_PLUGINS, or"
    ):
        make({"plugins": "b@0123456789ab+a@0123456789ab"})

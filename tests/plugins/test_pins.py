"""The plugins that a recipe names, and whether this host has the same source."""

from __future__ import annotations

import pytest

from ddsweep.distill.table import METHODS
from ddsweep.errors import UserError
from ddsweep.recipe import make, verify
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]


def test_other_code_is_another_cell_and_a_pinned_one_stays(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
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
        UserError, match=rf"mine\.py is {recipe.plugins} on this host, and the cell wants {other}; bring"
    ):
        verify([pinned])
    assert make({"plugins": other}).plugins == "", "a recipe that uses nothing of it"


def test_a_host_without_the_plugin_says_so(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^plugins: a, b are not on this host; name the file in \$DDSWEEP_PLUGINS, or"):
        make({"plugins": "b@0123456789ab+a@0123456789ab"})

"""A recipe as it was written: its key is that of its fields, without defaults and tables."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make, stored
from tests.plugins.plugged import HALF, Plug, half, plug
from tests.recipe.test_keys import KEYS

__all__ = ["plug"]


@pytest.mark.parametrize(("choices", "key"), KEYS[:40:3])
def test_every_recipe_is_read_as_it_was_written(choices: dict[str, Any], key: str) -> None:
    recipe = make(choices)
    for fields in (recipe.model_dump(), recipe.written()):
        again = Recipe.stored(fields)
        assert again == recipe
        assert again.key() == key


def test_without_its_plugin(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=HALF)
    recipe = half(rate=0.25)
    fields, key, title = recipe.written(), recipe.key(), recipe.title(["rate"])
    monkeypatch.setenv("DDSWEEP_PLUGINS", "")
    from tests.plugins.test_trial import forget

    forget("mine")
    again = stored(fields)
    assert again.key() == key
    assert again.title(["rate"]) == title
    assert (again.value("rate"), again.value("steps"), again.value("kind")) == (0.25, 2, "plain")
    with pytest.raises(UserError, match="mine is not available"):
        make(fields)


def test_nothing_is_looked_up() -> None:
    fields = make({}).written() | {"method": "nobody", "target": "nowhere", "arch": "nothing", "options": "a:1"}
    assert stored(fields).title() == "nobody · a 1 · ipc 50 · α 1000 · convnet3 · N_m 1 · epoch 150 · seed 0"
    assert stored(fields).about_images == ""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"ipc": "1"}, "ipc: '1' is text, not a whole number"),
        ({"alpha": -1.0}, "alpha: -1.0 is not allowed"),
        ({"rate": 1.0}, "rate: unknown parameter"),
        ({"lr_img": None}, "lr_img: "),
        ({"plugins": 3}, "plugins: 3 is not allowed"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_written_is_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        stored(make({}).written() | change)

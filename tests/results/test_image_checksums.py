"""Which images a result was computed from: compared by content, for a user's own images only."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ddsweep import data
from ddsweep.recipe import Recipe, make
from ddsweep.results import image_checksums


def folder(name: str, *colors: int) -> str:
    for label, color in zip("ab", colors, strict=True):
        for index in range(6):
            path = Path(name, label, f"{index}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (color + index, color, color)).save(path)
    return f"imagefolder:{Path(name).absolute()}"


@pytest.fixture
def recipe() -> Recipe:
    """Two folders: one is distilled, the PTMs are trained on the other."""
    target, source = folder("target", 10, 200), folder("source", 60, 120)
    return make({"target": target, "size": 16, "ipc": 1, "method": "dm", "regularizer": "cclom", "source": source,
                 "alpha": 1.0})  # fmt: skip


def test_both_target_and_source_are_compared(recipe: Recipe) -> None:
    registered = image_checksums.compute([recipe])
    assert sorted(registered) == sorted(f"{name}@{size}" for name, size in ((recipe.target, 16), (recipe.source, 32)))
    used = {recipe.target: registered[f"{recipe.target}@16"], recipe.source: registered[f"{recipe.source}@32"]}
    assert image_checksums.labeled(recipe, used) == registered
    assert image_checksums.changed(recipe, used, registered) == ""
    assert image_checksums.refusal(recipe, registered) == ""
    for name in (recipe.target, recipe.source):
        assert image_checksums.changed(recipe, used | {name: "0" * 64}, registered) == name
    folder("source", 61, 120)
    assert image_checksums.refusal(recipe, registered).startswith(f"{recipe.source}: the images on ")


def test_without_a_registered_checksum_nothing_is_refused(recipe: Recipe) -> None:
    assert image_checksums.refusal(recipe, {}) == ""
    assert image_checksums.changed(recipe, {recipe.target: "0" * 64}, {}) == ""
    assert image_checksums.agree({}, {"a@8": "x"})
    assert not image_checksums.agree({"a@8": "y"}, {"a@8": "x"})


def test_datasets_with_a_name_are_the_same_everywhere() -> None:
    digits = make({"target": "digits", "ipc": 1, "alpha": 0.0})
    assert image_checksums.compute([digits]) == {}
    assert image_checksums.refusal(digits, {"digits@16": "0" * 64}) == ""


def test_what_has_changed_is_said_without_decoding(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    registered = image_checksums.compute([recipe])
    assert image_checksums.changes([recipe], registered) == []
    folder("target", 11, 200)
    monkeypatch.setattr(data.store, "decode", lambda row: pytest.fail("decoded"))
    assert image_checksums.changes([recipe], registered) == [f"{recipe.target}: its files were modified"]
    monkeypatch.undo()
    data.prepare(recipe.target, 16)
    assert image_checksums.changes([recipe], registered) == [f"{recipe.target}: its images have changed"]


def test_a_folder_that_is_on_another_host_is_no_change(recipe: Recipe) -> None:
    registered = image_checksums.compute([recipe])
    Path("target").rename("gone")
    assert image_checksums.changes([recipe], registered) == []

"""Image folders: their splits and classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.registry import image_folders as trees
from tests.data.conftest import save_image

PIXELS = np.zeros((4, 4, 3), dtype=np.uint8)


def grow(root, *names):
    for name in names:
        save_image(root / name, PIXELS)
    return f"imagefolder:{root}"


def refused(spec):
    with pytest.raises(UserError) as caught:
        data.info(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_with_both_splits(tree):
    root, _ = tree
    row = data.info(f"imagefolder:{root}")
    assert (row.classes, row.smallest_class, row.channels) == (("cat", "dog"), 4, 3)
    found = trees.folder_tree(row.name)
    assert found.test is not None
    assert [path.name for path in found.test["dog"]] == ["0.png", "1.png", "2.png"]


def test_one_tree_loses_a_fifth_of_each_class(root):
    spec = grow(root, *(f"{name}/{index}.png" for name, count in {"a": 10, "b": 3}.items() for index in range(count)))
    assert data.info(spec).smallest_class == 2


def test_hidden_files_and_other_files_are_passed_over(root):
    spec = grow(root, "a/1.png", "a/2.png", "b/1.PNG", "b/2.png", "a/._1.png", ".cache/1.png")
    (root / "a" / "notes.txt").write_text("not an image")
    (root / "LICENSE").write_text("no class")
    tree = trees.folder_tree(spec)
    assert {name: len(paths) for name, paths in tree.train.items()} == {"a": 2, "b": 2}


def test_a_class_may_be_called_train(root):
    spec = grow(root, "train/1.png", "train/2.png", "tram/1.png", "tram/2.png")
    assert data.info(spec).classes == ("train", "tram")


def test_an_unlabeled_test_folder_leaves_val(root):
    spec = grow(root, *(f"{part}/{name}/1.png" for part in ("train", "val") for name in "ab"), "test/1.png")
    tree = trees.folder_tree(spec)
    assert tree.test is not None
    assert tree.test["a"] == (root / "val" / "a" / "1.png",)


def test_what_is_wrong_with_a_folder_is_said_in_one_line(root):
    assert "needs the path of a folder" in refused("imagefolder:")
    assert f"folder not found: '{root}/none'" in refused(f"imagefolder:{root}/none")
    assert "at least two; it has 1" in refused(grow(root / "single", "a/1.png", "a/2.png"))
    assert "class 'a' of" in refused(grow(root / "one", "a/1.png", "b/1.png", "b/2.png"))
    spec = grow(root / "empty", "a/1.png", "a/2.png")
    (root / "empty" / "b\nc").mkdir()
    assert r"class 'b\nc' of" in refused(spec)
    half = grow(root / "half", "train/a/1.png", "train/b/1.png")
    assert "no classes in test/ or val/" in refused(half)
    odd = grow(root / "odd", "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png")
    assert "class 'b' is in only one of train/ and test/" in refused(odd)


@settings(deadline=None)
@given(st.integers(2, 10_000))
def test_both_parts_of_a_split_have_images(count):
    assert 1 <= trees.held_out(count) < count
    assert abs(trees.held_out(count) - count / 5) < 1

"""Image folders: their splits and classes."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

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
    assert [Path(path).name for path in found.test["dog"]] == ["0.png", "1.png", "2.png"]


def test_one_tree_loses_a_fifth_of_each_class(root):
    spec = grow(root, *(f"{name}/{index}.png" for name, count in {"a": 10, "b": 3}.items() for index in range(count)))
    assert data.info(spec).smallest_class == 2


def test_hidden_files_and_those_of_operating_systems_are_ignored(root):
    spec = grow(root, "a/1.png", "a/2.png", "b/1.PNG", "b/2.png", "a/._1.png", ".cache/1.png", "__MACOSX/a/1.png",
                "a/@eaDir/1.png", "b/__macosx/1.png", "a/.ipynb_checkpoints/1-checkpoint.png")  # fmt: skip
    for name in ("a/Thumbs.db", "a/thumbs.DB", "b/desktop.ini", "b/.DS_Store", "b/ehthumbs.db"):
        (root / name).write_bytes(b"\0\1\2")
    tree = trees.folder_tree(spec)
    assert {name: len(paths) for name, paths in tree.train.items()} == {"a": 2, "b": 2}
    assert tree.notes == ()


def test_text_is_passed_over_and_named(root):
    spec = grow(root, "a/1.png", "a/2.png", "b/1.PNG", "b/2.png")
    (root / "a" / "notes.txt").write_text("not an image")
    (root / "LICENSE").write_text("no class")
    tree = trees.folder_tree(spec)
    assert {name: len(paths) for name, paths in tree.train.items()} == {"a": 2, "b": 2}
    assert tree.notes == (f"{spec}: passed over, because they are text: 'a' (1 .txt; for example 'notes.txt')",)


def test_a_class_may_be_called_train(root):
    spec = grow(root, "train/1.png", "train/2.png", "tram/1.png", "tram/2.png")
    assert data.info(spec).classes == ("train", "tram")


def test_an_unlabeled_test_folder_leaves_val(root):
    spec = grow(root, *(f"{part}/{name}/1.png" for part in ("train", "val") for name in "ab"), "test/1.png")
    tree = trees.folder_tree(spec)
    assert tree.test is not None
    assert tree.test["a"] == (str(root / "val" / "a" / "1.png"),)


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


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "valid"), ("train", "validation"), ("Train", "Test"), ("TRAIN", "VAL"), ("training", "testing"),
     ("Training", "Validation")],
)  # fmt: skip
def test_the_splits_may_be_spelled_in_other_ways(root, train, test):
    spec = grow(root, *(f"{part}/{name}/1.png" for part in (train, test) for name in "ab"))
    tree = trees.folder_tree(spec)
    assert tree.train["b"] == (str(root / train / "b" / "1.png"),)
    assert tree.test is not None
    assert tree.test["b"] == (str(root / test / "b" / "1.png"),)
    assert data.info(spec).classes == ("a", "b")


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("training_set", "test_set"), "'test_set' in {root!r} looks like a split, not a class"),
        (("train2017", "val2017"), "'train2017' in {root!r} looks like a split, not a class"),
        (("Train", "dev"), "has Train/ but no classes in test/ or val/; it has dev/"),
        (("test", "val"), "has test/ but no classes in train/"),
        (("train", "Train", "test"), "has Train/ and train/; rename or remove all but one"),
        (("train", "val", "valid"), "has val/ and valid/; rename or remove all but one"),
    ],
)
def test_a_layout_that_is_not_understood_is_refused(root, parts, line):
    spec = grow(root, *(f"{part}/{name}/{index}.png" for part in parts for name in "ab" for index in range(2)))
    assert line.format(root=str(root)) in refused(spec)


def test_classes_around_the_splits_are_refused_and_not_mixed(root):
    spec = grow(root, *(f"{name}/{part}/{index}.png" for name in "ab" for part in ("Train", "test") for index in "12"))
    assert "class 'a' of" in refused(spec)
    assert "has Train/ and test/ in it; the splits belong outside the classes: train/a/ and test/a/" in refused(spec)
    spec = grow(root / "vehicles", "car/train/1.png", "car/2.png", "rail/train/1.png", "rail/tram/1.png")
    assert data.info(spec).classes == ("car", "rail"), "a train is a vehicle, too"


def test_what_is_not_used_is_said(root):
    spec = grow(root, *(f"{part}/{name}/1.png" for part in ("train", "test", "val", "more") for name in "ab"),
                "train/stray.png", "cover.png")  # fmt: skip
    assert sorted(trees.folder_tree(spec).notes) == [
        f"{spec}: not used, because they are in no class folder: 1 .png; for example 'cover.png' in {str(root)!r}",
        f"{spec}: not used, because they are in no class folder: 1 .png; for example 'stray.png' in "
        f"{str(root / 'train')!r}",
        f"{spec}: not used: the folders more/, val/",
    ]


def test_a_folder_around_the_dataset_is_recognized(root):
    spec = grow(root, "birds/a/1.png", "birds/a/2.png", "birds/b/1.png", "birds/b/2.png", "__MACOSX/birds/a.png")
    assert f"it has 1; did you mean imagefolder:{root}/birds?" in refused(spec)


@pytest.mark.parametrize("place", ["", "train", "test"])
def test_a_class_whose_name_is_not_utf8_is_refused_before_anything_runs(root, place):
    name = os.fsdecode(b"caf\xe9")
    for part in (root / "train", root / "test") if place else (root,):
        grow(part, *(f"{one}/{index}.png" for one in "ab" for index in range(2)))
    grow(root / place, *(f"{name}/{index}.png" for index in range(2)))
    line = refused(f"imagefolder:{root}")
    assert "b'caf\\xe9' has a name that is not UTF-8; rename it" in line
    line.encode()


def test_a_class_name_of_two_lines_is_refused(root):
    """A synthetic set lists the names of its classes as lines: two names would come back."""
    spec = grow(root, "a\nx/1.png", "a\nx/2.png", "b/1.png", "b/2.png")
    assert f"class 'a\\nx' of {str(root)!r} has a line break in its name; rename it" in refused(spec)


def test_a_folder_whose_path_is_not_utf8_is_refused(root):
    spec = grow(root / os.fsdecode(b"\xff"), "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    refused(spec).encode()


def test_class_names_do_not_depend_on_the_locale(root):
    spec = grow(root, "é/1.png", "é/2.png", "日/1.png", "日/2.png")
    code = f"from ddsweep import data; print(ascii(data.info({spec!r}).classes))"
    for variables in ({"PYTHONUTF8": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == ascii(("é", "日")), variables


E_ACUTE = ("\u00e9", "e\u0301")


def test_one_name_in_two_normalizations(root):
    spec = grow(root / "one", *(f"{name}/{index}.png" for name in E_ACUTE for index in range(2)))
    assert "which look the same (they differ in Unicode normalization)" in refused(spec)
    spec = grow(root / "two", "train/a/1.png", "test/a/1.png", f"train/{E_ACUTE[0]}/1.png", f"test/{E_ACUTE[1]}/1.png")
    assert "differ only in Unicode normalization" in refused(spec)
    assert unicodedata.normalize("NFC", E_ACUTE[1]) == E_ACUTE[0]


def test_one_name_in_two_cases_or_with_a_space(root):
    spec = grow(root / "one", "train/a/1.png", "test/a/1.png", "train/Cat/1.png", "test/cat/1.png")
    assert "class 'Cat' is in only one of train/ and test/" in refused(spec)
    assert "'Cat' and 'cat' differ only in case" in refused(spec)
    spec = grow(root / "two", "train/a/1.png", "test/a/1.png", "train/cat /1.png", "test/cat/1.png")
    assert "'cat' and 'cat ' differ only in case or spaces" in refused(spec)
    spec = grow(root / "letters", "A/1.png", "A/2.png", "a/1.png", "a/2.png")
    assert data.info(spec).classes == ("A", "a")
    assert trees.folder_tree(spec).notes == (f"{spec}: classes 'A' and 'a' differ only in case",)


def test_a_folder_is_listed_once_and_again_when_it_changed(root, monkeypatch):
    spec = grow(root, *(f"{part}/{name}/{index}.png" for part in ("train", "val") for name in "ab" for index in "12"))
    looks: list[str] = []
    scandir = os.scandir

    def counted(path):
        looks.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    before = trees.folder_tree(spec)
    classes = [look for look in looks if Path(look).name in "ab"]
    assert len(classes) == len(set(classes)) == 4
    for folder in (root, *root.rglob("*")):
        os.utime(folder, (1, 1))
    trees.folder_tree(spec)
    del looks[:]
    tree = trees.folder_tree(spec)
    for _ in range(5):
        assert trees.folder_tree(spec) is tree
        assert data.info(spec).smallest_class == 2
    assert looks == []
    assert tree.train == before.train
    (root / "val" / "b" / "2.png").rename(root / "val" / "b" / "3.png")
    after = trees.folder_tree(spec)
    assert after.test is not None
    assert after.test["b"][-1].endswith("3.png")
    assert len(looks) > 0

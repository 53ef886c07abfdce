"""Image folders: which files of a class are images, and what happens to the others."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.registry import class_files as module
from ddsweep.registry import image_folders as trees
from tests.data.conftest import save_image

PIXELS = np.zeros((4, 4, 3), dtype=np.uint8)
# Pillow's, but they are drawn by other programs, are films, measurements or wrappers, or are only written
REFUSED = {"BUFR", "DCX", "EPS", "FITS", "FLI", "GRIB", "HDF5", "IPTC", "MPEG", "PALM", "PDF", "WMF"}


@pytest.fixture
def two(root):
    """Two classes of twelve images."""
    for name in "ab":
        for index in range(12):
            save_image(root / name / f"{index:02}.png", PIXELS)
    return root


def refused(spec):
    with pytest.raises(UserError) as caught:
        data.info(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_suffix_of_pillow_is_read_or_refused():
    Image.init()
    known = Image.registered_extensions()
    readable = {suffix for suffix, name in known.items() if name not in REFUSED}
    assert readable - module.IMAGE_SUFFIXES == set(), "Pillow reads more: add it, or refuse it"
    assert {known.get(suffix) for suffix in module.IMAGE_SUFFIXES} - {None} == {known[suffix] for suffix in readable}
    assert set(known) - readable <= module.UNREAD_SUFFIXES
    assert not module.IMAGE_SUFFIXES & module.UNREAD_SUFFIXES


@pytest.mark.parametrize("suffix", [".gif", ".jfif", ".jpe", ".avif", ".GIF", ".JpEg", ".jp2", ".ico", ".tga", ".JPG"])
def test_no_image_of_a_class_vanishes(two, suffix):
    for index in range(3, 12):
        Image.fromarray(PIXELS).save(two / "a" / f"x{index}.png")
        (two / "a" / f"{index:02}.png").unlink()
        (two / "a" / f"x{index}.png").rename(two / "a" / f"{index:02}{suffix}")
    assert len(trees.folder_tree(f"imagefolder:{two}").train["a"]) == 12


@pytest.mark.parametrize("suffix", ["", ".jpg_large", ".1", ".JPG!d", ".dat"])
def test_an_image_without_a_suffix_that_says_so_is_known_by_its_content(two, suffix):
    for index in range(3, 12):
        (two / "a" / f"{index:02}.png").rename(two / "a" / f"{index:02}{suffix}")
    tree = trees.folder_tree(f"imagefolder:{two}")
    assert len(tree.train["a"]) == 12
    named = f"9 {suffix or 'without a suffix'}"
    assert tree.notes == (
        f"imagefolder:{two}: read as images because of their content: 'a' ({named}; for example '03{suffix}')",
    )


@pytest.mark.parametrize(
    "name", ["x.heic", "x.NEF", "x.svg", "x.pdf", "x.eps", "x.mp4", "x.bin", "x", "x.png~", "x.part"]
)
def test_a_class_that_would_lose_images_is_refused(two, name):
    suffix = Path(name).suffix
    for index in range(9):
        path = two / "a" / f"{index}{name}"
        # a raw photo is a TIFF file with a thumbnail, and a backup is an image: neither may be read by its content
        if suffix in (".NEF", ".png~"):
            Image.fromarray(PIXELS).save(path, "TIFF" if suffix == ".NEF" else "PNG")
        else:
            path.write_bytes(b"<svg/>" if suffix == ".svg" else b"\0\1\2\3")
    line = refused(f"imagefolder:{two}")
    assert f"'a' (9 {suffix or 'without a suffix'}; for example '0{name}')" in line
    assert line.endswith(f"or leave them out with imagefolder:allow-skipped:{two}")
    allowed = f"imagefolder:allow-skipped:{two}"
    assert data.info(allowed).name == allowed
    tree = trees.folder_tree(allowed)
    assert {one: len(images) for one, images in tree.train.items()} == {"a": 12, "b": 12}
    assert "left out, because they cannot be read as images: 'a' (9 " in tree.notes[0]


def test_the_line_names_some_classes_and_counts_the_others(root):
    for number in range(9):
        save_image(root / f"class{number}" / "1.png", PIXELS)
        save_image(root / f"class{number}" / "2.png", PIXELS)
        (root / f"class{number}" / "3.heic").write_bytes(b"\0")
        (root / f"class{number}" / "4.MOV").write_bytes(b"\0")
    line = refused(f"imagefolder:{root}")
    assert "'class0' (1 .MOV, 1 .heic; for example '3.heic'), 'class1' (" in line
    assert ", and 5 more classes;" in line


def test_leaving_files_out_does_not_empty_a_class(two):
    for path in (two / "a").iterdir():
        path.rename(path.with_suffix(".heic"))
    assert "class 'a' of" in refused(f"imagefolder:allow-skipped:{two}")


def test_the_option_is_part_of_the_name_and_the_path_is_made_absolute(two, monkeypatch):
    monkeypatch.chdir(two.parent)
    assert data.canonical("imagefolder:allow-skipped:root") == f"imagefolder:allow-skipped:{two}"
    assert "needs the path of a folder" in refused("imagefolder:allow-skipped:")


@pytest.mark.parametrize(
    "content", [b"", b"plain", "ünï\n".encode(), "path,label\n".encode("utf-16"), "é,1\n".encode("latin-1")]
)
@pytest.mark.parametrize("name", ["README.txt", "labels.csv", "a.json", "LICENSE"])
def test_text_loses_no_image(two, name, content):
    (two / "a" / name).write_bytes(content)
    tree = trees.folder_tree(f"imagefolder:{two}")
    assert len(tree.train["a"]) == 12
    assert f"for example {name!r}" in tree.notes[0]


def test_classes_are_read_as_torchvision_reads_them(root):
    datasets = pytest.importorskip("torchvision.datasets")
    names = (
        "b/2.png", "b/10.png", "b/1.PNG", "b/deep/er/0.jpg", "b/deep/9.webp", "b/Z/1.png", "b/a b/1.png", "b/a/x/1.png",
        "B/1.bmp", "B/2.tif", "10/only/below/1.png", "10/only/below/2.png", "9/1.jpeg", "9/sub/1.png", "a b/1.png",
        "a b/2.pgm", "é/1.png", "é/deep/1.png",
    )  # fmt: skip
    for name in names:
        save_image(root / name, PIXELS)
    (root / "elsewhere" / "far").mkdir(parents=True)
    save_image(root.parent / "linked" / "deep" / "1.png", PIXELS)
    shutil.rmtree(root / "elsewhere")
    (root / "9" / "link").symlink_to(root.parent / "linked")
    (root / "9" / "file.png").symlink_to(root / "b" / "2.png")
    (root / "whole").symlink_to(root / "b")
    theirs = datasets.ImageFolder(str(root))
    tree = trees.folder_tree(f"imagefolder:{root}")
    assert list(tree.train) == theirs.classes
    assert [path for images in tree.train.values() for path in images] == [path for path, _ in theirs.samples]


def test_a_link_that_leads_back_is_refused(two):
    (two / "a" / "deep").mkdir()
    (two / "a" / "deep" / "up").symlink_to(two / "a")
    assert f"'{two}/a/deep/up' leads back to '{two}/a'; remove the link" in refused(f"imagefolder:{two}")


def test_what_is_no_file_at_all_is_refused(two):
    os.mkfifo(two / "a" / "pipe.png")
    assert "'a' (1 .png; for example 'pipe.png')" in refused(f"imagefolder:{two}")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_what_must_not_be_read_is_named(two):
    (two / "a" / "secret").mkdir(mode=0)
    assert f"cannot list '{two}/a/secret': Permission denied" in refused(f"imagefolder:{two}")
    (two / "a" / "secret").rmdir()
    (two / "a" / "odd.xyz").touch(mode=0)
    assert f"cannot read '{two}/a/odd.xyz': Permission denied" in refused(f"imagefolder:{two}")


def test_an_odd_file_that_changes_is_looked_at_again(two):
    odd = two / "a" / "99"
    odd.write_text("text")
    for path in (two, *two.rglob("*")):
        os.utime(path, (1, 1))
    spec = f"imagefolder:{two}"
    assert len(trees.folder_tree(spec).train["a"]) == 12
    odd.write_bytes((two / "a" / "00.png").read_bytes())
    assert len(trees.folder_tree(spec).train["a"]) == 13

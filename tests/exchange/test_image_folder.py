"""Sets that are image folders: the files are those that a folder of real images would have, and read alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from ddsweep import exchange
from ddsweep.errors import UserError
from ddsweep.exchange import ImageSet, space


@pytest.fixture
def cats(place: Path) -> Path:
    """Two classes of two images."""
    for name, color in (("cat", (255, 0, 0)), ("dog", (0, 0, 255))):
        (place / name).mkdir()
        for index in range(2):
            Image.new("RGB", (8, 8), color).save(place / name / f"{index}.png")
    return place


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        exchange.read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["2.gif", "2.JFIF", "deep/er/2.jpe", "2", "2.avif"])
def test_no_image_vanishes(cats: Path, name: str) -> None:
    path = cats / "cat" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".gif": "GIF", ".avif": "AVIF"}.get(path.suffix, "JPEG")
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path, kind)
    found = exchange.read(cats)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert (found.images[:3, 0] > 0.95).all()


def test_what_cannot_be_read_is_refused(cats: Path) -> None:
    (cats / "cat" / "2.heic").write_bytes(bytes(9))
    assert "cat: has files that cannot be read as images (1 .heic; for example '2.heic')" in refused(cats)


def test_a_class_that_is_not_utf8_is_refused(cats: Path) -> None:
    (cats / "dog").rename(cats / os.fsdecode(b"d\xf6g"))
    assert r"b'd\xf6g' has a name that is not UTF-8" in refused(cats)


def test_photos_are_upright_and_on_white(cats: Path) -> None:
    lying = Image.new("RGB", (8, 8), (255, 255, 255))
    lying.paste((0, 0, 0), (0, 0, 4, 8))  # upright, the dark half is above
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(cats / "cat" / "0.png", exif=exif)
    hidden = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    hidden.save(cats / "cat" / "1.png")
    found = exchange.read(cats)
    assert (found.images[0, :, :4].max(), found.images[0, :, 4:].min()) == (0, 1)
    assert found.images[1].min() == 1


@pytest.mark.parametrize("junk", ["._00000.png", ".DS_Store", "Thumbs.db", "__MACOSX/00000.png", "@eaDir/00000.png"])
def test_what_a_system_adds_to_an_export_is_no_part_of_it(one: ImageSet, place: Path, junk: str) -> None:
    given = space.restated(one, space.fixed("unit", one.images.shape[1]))
    written = exchange.WRITERS["folder"].write(given, place / "out")
    for folder in (written, written / "00000"):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(b"\0\1\2")
    assert len(exchange.read(written).images) == len(one.images)

"""``attributes.csv`` of an image folder: what is read, and what is refused in one line."""

import numpy as np
import pytest

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.registry import image_folders as trees
from tests.data.conftest import save_image

FILES = [
    f"{split}/{name}/{n}.png" for split, count in (("train", 3), ("test", 2)) for name in "ab" for n in range(count)
]


@pytest.fixture
def folder(root):
    for number, file in enumerate(FILES):
        save_image(root / file, np.full((4, 4, 3), number, dtype=np.uint8))
    return root


def write(root, lines, head="file,attribute", end="\n"):
    (root / "attributes.csv").write_text(end.join([head, *lines]) + end, encoding="utf-8")
    return f"imagefolder:{root}"


def lines(**other):
    return [f"{file},{other.get(file, 'land' if file.endswith('0.png') else 'water')}" for file in FILES]


def read(spec):
    found = trees.folder_tree(spec).attributes
    assert found is not None
    return found


def numbers(values):
    assert values is not None
    return values.tolist()


def refused(spec):
    with pytest.raises(UserError) as caught:
        data.info(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_image_has_its_attribute(folder, end):
    spec = write(folder, reversed(lines()), end=end)
    assert read(spec) == {str(folder / file): "land" if file.endswith("0.png") else "water" for file in FILES}


def test_a_folder_without_the_file_has_none(folder):
    assert trees.folder_tree(f"imagefolder:{folder}").attributes is None


def test_a_text_with_commas_in_quotes_and_the_mark_of_excel(folder):
    spec = write(folder, ['train/a/0.png,"snow, night"', *lines()[1:]], head="\ufefffile,attribute")
    assert read(spec)[str(folder / "train/a/0.png")] == "snow, night"


def test_an_edited_file_is_read_again(folder):
    spec = write(folder, lines())
    assert set(read(spec).values()) == {"land", "water"}
    write(folder, [line.replace("water", "sand") for line in lines()])
    assert set(read(spec).values()) == {"land", "sand"}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda own: [*own, "train/a/9.png,land"], "line 12: 'train/a/9.png' is not an image of the folder"),
        (lambda own: [*own, "../a.png,land"], "line 12: '../a.png' is not an image of the folder"),
        (lambda own: own[:-2], "has no line for 2 of 10 images; for example 'test/b/0.png'"),
        (lambda own: [*own, own[0]], "has two lines for 'train/a/0.png', the second is line 12"),
        (
            lambda own: [line.replace("water", "land") for line in own],
            "needs at least 2 different attributes; it has 1",
        ),
        (lambda own: ["train/a/0.png", *own[1:]], "line 2: write FILE,ATTRIBUTE"),
        (lambda own: ["train/a/0.png,", *own[1:]], "line 2: write FILE,ATTRIBUTE"),
        (lambda own: ["train/a/0.png,land,1", *own[1:]], "line 2: write FILE,ATTRIBUTE"),
    ],
)
def test_what_is_wrong_is_one_line(folder, change, line):
    text = refused(write(folder, change(lines())))
    assert text.startswith(f"imagefolder: '{folder}/attributes.csv'")
    assert line in text


def test_other_columns_and_other_encodings_are_refused(folder):
    assert "its first line is 'path,label', not 'file,attribute'" in refused(write(folder, lines(), head="path,label"))
    (folder / "attributes.csv").write_bytes(b"file,attribute\ntrain/a/0.png,\xff\n")
    assert "is not a CSV file in UTF-8" in refused(f"imagefolder:{folder}")


def test_lines_about_images_that_are_not_used_are_passed_over(folder):
    save_image(folder / "val" / "a" / "0.png", np.zeros((4, 4, 3), dtype=np.uint8))
    spec = write(folder, [*lines(), "val/a/0.png,land"])
    assert len(read(spec)) == len(FILES)
    (folder / "train" / "a" / "x.heic").write_bytes(b"\0")
    write(folder, [*lines(), "train/a/x.heic,land"])
    assert len(read(f"imagefolder:allow-skipped:{folder}")) == len(FILES)


def test_tensors_have_the_attributes_and_know_the_aligned_images(folder):
    """Class a is mostly on water, b mostly on land: aligned is what has the usual attribute of its class."""
    land = ["train/b/0.png", "train/b/1.png", "train/a/0.png", "test/a/1.png"]
    spec = write(folder, [f"{file},{'land' if file in land else 'water'}" for file in FILES])
    dataset = data.load(spec, 4)
    assert numbers(dataset.attributes) == [0, 1, 1, 0, 0, 1]
    assert numbers(dataset.test_attributes) == [1, 0, 1, 1]
    assert numbers(dataset.test_aligned) == [True, False, False, False]


def test_attributes_belong_to_the_checksum_and_leave_the_cache_of_others_valid(folder):
    spec = f"imagefolder:{folder}"
    plain, before = data.load(spec, 4), data.known_checksum(spec, 4)
    assert (plain.attributes, plain.test_attributes, plain.test_aligned) == (None, None, None)
    write(folder, lines())
    assert data.known_checksum(spec, 4) is None, "it is decoded again"
    first = data.load(spec, 4)
    write(folder, [line.replace("water", "sand") for line in lines()])
    assert numbers(data.load(spec, 4).attributes) == numbers(first.attributes)
    write(folder, [line.replace("land", "zoo") for line in lines()])
    other = data.load(spec, 4)
    assert len({before, first.checksum, other.checksum}) == 3
    (folder / "attributes.csv").unlink()
    assert data.load(spec, 4).checksum == before

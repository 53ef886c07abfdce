import logging
import os
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddsweep import data
from ddsweep.data import fingerprints, folder
from ddsweep.data.decoders import decode
from ddsweep.data.progress import Listener, reported_to
from ddsweep.errors import UserError
from ddsweep.registry import datasets
from ddsweep.registry import image_folders as trees
from ddsweep.registry.class_files import is_system
from tests.data.conftest import save_image


def spec_of(root):
    return f"imagefolder:{root}"


def decoded(root, size=8):
    return decode(datasets.at_size(data.info(spec_of(root)), size))


def one_tree(root, counts, seed=0):
    """CLASS/NNN.png, every image of one value that tells it from all others: value → file."""
    values = iter(range(256))
    files = {}
    for name, count in counts.items():
        for index in range(count):
            value, path = next(values), root / name / f"{index:03}.png"
            save_image(path, np.full((4, 4, 3), value, dtype=np.uint8))
            files[value] = path
    return files


def values_of(images):
    return images[:, 0, 0, 0].tolist()


def test_every_image_arrives_in_order_with_the_label_of_its_folder(tree):
    root, pixels = tree
    raw = decoded(root)
    assert raw.classes == ("cat", "dog")
    assert raw.labels.tolist() == [0] * 5 + [1] * 4
    assert raw.test_labels.tolist() == [0] * 2 + [1] * 3
    for images, part in ((raw.images, "train"), (raw.test_images, "val")):
        expected = [array for path, array in sorted(pixels.items()) if part in path.parts]
        assert torch.equal(images, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2))


def test_images_of_any_kind_become_rgb_of_one_size(root, rng):
    array = rng.integers(0, 256, (20, 12, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    (root / "a").mkdir()
    (root / "b").mkdir()
    picture.save(root / "a" / "0.bmp")
    picture.convert("L").save(root / "a" / "1.png")
    picture.convert("CMYK").save(root / "b" / "0.jpg")
    picture.quantize(16).save(root / "b" / "1.png")
    picture.convert("RGBA").save(root / "b" / "2.PNG")
    raw = decoded(root, 6)
    assert len(raw.images) + len(raw.test_images) == 5
    assert raw.images.shape[1:] == raw.test_images.shape[1:] == (3, 6, 6)


def test_resizing_takes_the_mean_over_what_a_pixel_covers(root):
    """Stripes finer than a pixel come out gray: without antialiasing they would come out black or white."""
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        save_image(root / name, stripes)
    images = decoded(root, 8).images.float()
    assert (images - 127.5).abs().max() < 5


@pytest.mark.parametrize(("side", "size"), [(400, 16), (100, 64)])
def test_a_drafted_jpeg_looks_like_one_decoded_in_full(root, rng, side, size):
    """A draft smaller than the size wanted would come out blurred."""
    detail = Image.fromarray(rng.integers(0, 256, (25, 25, 3), dtype=np.uint8))
    for name in ("a/0", "a/1", "b/0", "b/1"):
        (root / name).parent.mkdir(exist_ok=True)
        detail.resize((side, side), Image.Resampling.BICUBIC).save(root / f"{name}.jpg", quality=95)
    with Image.open(root / "a" / "0.jpg") as full:
        expected = np.asarray(full.convert("RGB").resize((size, size), Image.Resampling.BILINEAR), dtype=float)
    image = decoded(root, size).images[0].permute(1, 2, 0).numpy()
    assert np.abs(image - expected).mean() < 1


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "deep", "link", "lfs", "pages"])
def test_a_file_that_cannot_be_read_is_named(tree, kind):
    root, _ = tree
    victim = root / "train" / "dog" / "2.png"
    whole = victim.read_bytes()
    victim.unlink()
    match kind:
        case "cut":
            victim.write_bytes(whole[: len(whole) // 2])
        case "empty":
            victim.touch()
        case "text":
            victim.write_text("<html>404\nnot found</html>")
        case "deep":
            Image.fromarray(np.full((8, 8), 60_000, dtype=np.uint16)).save(victim)
        case "link":
            victim.symlink_to(root / "gone.png")
        case "lfs":
            victim.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        case "pages":
            pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
            pages[0].save(victim, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match="cannot read") as caught:
        data.load(spec_of(root))
    assert repr(str(victim)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_tree_is_split_without_loss_and_always_alike(root):
    files = one_tree(root, {"a": 11, "b": 2, "c": 30})
    raw, again = decoded(root, 4), decoded(root, 4)
    train, test = values_of(raw.images), values_of(raw.test_images)
    assert sorted(train + test) == sorted(files)
    assert [raw.test_labels.tolist().count(label) for label in range(3)] == [2, 1, 6]
    for values, labels in ((train, raw.labels), (test, raw.test_labels)):
        assert [raw.classes[label] for label in labels.tolist()] == [files[value].parent.name for value in values]
    assert torch.equal(raw.images, again.images)
    assert torch.equal(raw.test_images, again.test_images)
    assert test[3:] != list(range(13, 19)), (
        "the first images of a folder are often of one kind: they are not all held out"
    )


def test_a_class_keeps_its_split_when_another_is_added(root):
    one_tree(root, {"b": 20, "c": 20})
    before = values_of(decoded(root, 4).test_images)
    for index in range(5):
        save_image(root / "a" / f"{index}.png", np.full((4, 4, 3), 255, dtype=np.uint8))
    assert values_of(decoded(root, 4).test_images)[1:] == before


# any name that a file system takes: no slash, no NUL, not hidden; bytes that are not UTF-8 arrive as surrogates
FILES = (
    st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name) and name[0] != 46).map(os.fsdecode)
)
CLASSES = st.text(min_size=1, max_size=12).filter(
    lambda name: (
        name.isprintable() and not {"/", "\0"} & set(name) and not is_system(name) and len(os.fsencode(name)) < 99
    )
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(CLASSES, min_size=2, max_size=4, unique_by=lambda name: unicodedata.normalize("NFC", name)),
    st.lists(FILES, min_size=2, max_size=3, unique=True),
)
def test_names_may_be_anything_that_a_file_system_takes(classes, images):
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", str(Path(place) / "cache"))
        root = Path(place) / "odd \u00ff\n name"
        expected = {name: {f"{image}.png" for image in images} for name in classes}
        for name in classes:
            for image in images:
                save_image(root / name / f"{image}.png", np.zeros((4, 4, 3), dtype=np.uint8))
        dataset = data.load(spec_of(root), 4)
        assert dataset.classes == data.load(spec_of(root), 4).classes == tuple(sorted(classes))
        assert len(dataset.images) + len(dataset.test_images) == len(classes) * len(images)
        found = trees.folder_tree(spec_of(root)).train
        assert {name: {Path(path).name for path in paths} for name, paths in found.items()} == expected


def change_nothing(root):
    (root / "train" / "cat" / "0.png").read_bytes()


def change_size(root):
    (root / "train" / "cat" / "0.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())


def change_time(root):
    os.utime(root / "val" / "cat" / "0.png", (1, 1))


def change_name(root):
    (root / "val" / "dog" / "0.png").rename(root / "val" / "dog" / "00.png")


def change_class(root):
    (root / "train" / "dog" / "0.png").rename(root / "train" / "cat" / "9.png")


def change_count(root):
    (root / "train" / "cat" / "4.png").unlink()


@pytest.mark.parametrize("change", [change_size, change_time, change_name, change_class, change_count])
def test_a_changed_folder_is_decoded_anew_and_an_unchanged_one_is_not(tree, change, caplog):
    root, _ = tree
    caplog.set_level(logging.INFO, "ddsweep")
    spec = spec_of(root)
    before = fingerprints.of_folder(spec)
    path = data.prepare(spec, 8)
    change_nothing(root)
    assert data.prepare(spec, 8) == path
    assert (fingerprints.of_folder(spec), len(caplog.messages)) == (before, 1)
    change(root)
    assert data.prepare(spec, 8) == path, "the old copy is replaced, not kept beside the new one"
    assert (fingerprints.of_folder(spec) != before, len(caplog.messages)) == (True, 2)


def test_a_changed_image_changes_the_dataset(tree):
    root, _ = tree
    before = data.load(spec_of(root), 8)
    change_size(root)
    after = data.load(spec_of(root), 8)
    assert before.checksum != after.checksum
    assert torch.allclose(after.denormalize(after.images[:])[0], before.denormalize(before.images[:])[1], atol=1e-6)


def test_a_sweep_over_a_folder_that_rests_reads_it_once(tree, monkeypatch):
    """A launch asks for the facts of the dataset many times, decodes it, and checks that it is up to date."""
    root, _ = tree
    for place in (root, *root.rglob("*")):
        os.utime(place, (1, 1))
    looks: dict[str, list[str]] = {"scandir": [], "stat": []}

    def count(name):
        real = getattr(os, name)

        def counted(path, *rest, **more):
            looks[name].append(str(path))
            return real(path, *rest, **more)

        monkeypatch.setattr(os, name, counted)

    for name in looks:
        count(name)
    spec = spec_of(root)
    for _ in range(20):
        data.info(spec)
    data.prepare(spec, 8)
    folders = [path for path in looks["scandir"] if path.startswith(str(root / "train" / "cat"))]
    images = [path for path in looks["stat"] if path.endswith("cat/1.png")]
    assert len(folders) == 1
    assert sorted(images) == [str(root / part / "cat" / "1.png") for part in ("train", "val")]


def test_a_hash_that_took_long_is_not_computed_again_at_once(tree, monkeypatch):
    root, _ = tree
    for place in (root, *root.rglob("*")):
        os.utime(place, (1, 1))
    looks: list[str] = []
    stat = os.stat

    def counted(path, **more):
        looks.append(str(path))
        return stat(path, **more)

    monkeypatch.setattr(os, "stat", counted)
    monkeypatch.setattr(fingerprints, "SLOW", -1.0)
    monkeypatch.setattr(fingerprints, "PATIENCE", 1e9)
    first = fingerprints.of_folder(spec_of(root))
    assert [fingerprints.of_folder(spec_of(root)) for _ in range(3)] == [first] * 3
    assert len([look for look in looks if look.endswith("train/cat/1.png")]) == 1
    monkeypatch.setattr(fingerprints, "PATIENCE", 0)
    fingerprints.of_folder(spec_of(root))
    assert len([look for look in looks if look.endswith("train/cat/1.png")]) == 2


def test_what_an_older_version_decoded_is_decoded_again_and_other_datasets_are_not(tree, monkeypatch):
    root, _ = tree
    for spec in (spec_of(root), "digits"):
        data.prepare(spec, 8)
    monkeypatch.setattr(fingerprints, "FOLDERS", fingerprints.FOLDERS + 1)
    states = {spec: [one.state for one in data.verify(spec)] for spec in (spec_of(root), "digits")}
    assert states == {spec_of(root): ["outdated"], "digits": ["intact"]}


def test_decoding_tells_how_far_it_is(tree, monkeypatch):
    root, _ = tree
    monkeypatch.setattr(folder, "BATCH", 3)
    told = []
    with reported_to(Listener(decoded=lambda *news: told.append(news))):
        data.prepare(spec_of(root), 8)
        data.prepare(spec_of(root), 8)
    assert told == [(spec_of(root), done, 14) for done in (3, 6, 9, 12, 14)]


def test_what_is_passed_over_is_said_once(tree, caplog):
    root, _ = tree
    (root / "train" / "dog" / "README.txt").write_text("dogs")
    for size in (8, 8, 4):
        data.prepare(spec_of(root), size)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{spec_of(root)}: passed over, because they are text: 'train/dog' (1 .txt; for example 'README.txt')"
    ]


def test_a_folder_with_files_left_out_is_another_dataset(tree):
    root, _ = tree
    plain = data.load(spec_of(root), 8)
    (root / "train" / "dog" / "5.heic").write_bytes(b"\0")
    with pytest.raises(UserError, match=r"'train/dog' \(1 \.heic"):
        data.load(spec_of(root), 8)
    allowed = data.load(f"imagefolder:allow-skipped:{root}", 8)
    assert allowed.checksum == plain.checksum
    assert allowed.name == f"imagefolder:allow-skipped:{root}"


def test_what_is_in_training_and_test_or_in_two_classes_is_said(tree, caplog):
    root, _ = tree
    (root / "val" / "cat" / "0.png").write_bytes((root / "train" / "cat" / "3.png").read_bytes())
    (root / "train" / "dog" / "2.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())
    data.prepare(spec_of(root), 8)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{spec_of(root)}: 1 of 5 test images have the pixels of a training image; for example 'val/cat/0.png' and "
        "'train/cat/3.png'",
        f"{spec_of(root)}: 1 training image with the pixels of one of another class; for example 'train/cat/1.png' and "
        "'train/dog/2.png'",
    ]


def test_animations_are_counted(tree, caplog):
    root, _ = tree
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for name in ("x.gif", "y.gif"):
        frames[0].save(root / "train" / "dog" / name, save_all=True, append_images=frames[1:])
        frames.reverse()
    frames[0].save(root / "val" / "dog" / "one.gif")
    data.prepare(spec_of(root), 8)
    (line,) = [record.getMessage() for record in caplog.records if "animated" in record.getMessage()]
    assert line == (
        f"{spec_of(root)}: the first frame of 2 animated files is used; for example '{root}/train/dog/x.gif'"
    )


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("pixels", [8, 64])
def test_jpeg_files_whose_end_is_lost_are_counted(tree, caplog, mode, pixels):
    """The end marker is there, as after a repair; without it, the file is refused. One at full size, one as a draft."""
    root, _ = tree
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, len(mode)), dtype=np.uint8)
    whole, cut = root / "train" / "dog" / "whole.jpg", root / "train" / "dog" / "cut.jpg"
    Image.fromarray(noise.squeeze()).save(whole, quality=90)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 2 // 3] + b"\xff\xd9")
    folder.decode_folder(datasets.at_size(datasets.info(spec_of(root)), pixels))
    assert [record.getMessage() for record in caplog.records if "JPEG" in record.getMessage()] == [
        f"{spec_of(root)}: the last row of 1 JPEG file is plain gray, as if the end of the data were lost; "
        f"for example '{cut}'"
    ]
    cut.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(UserError, match="truncated"):
        folder.decode_folder(datasets.at_size(datasets.info(spec_of(root)), pixels))

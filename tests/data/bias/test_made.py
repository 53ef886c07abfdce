"""Biased datasets from the images of their base to the cache."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddsweep import data
from ddsweep.data import cache, fingerprints, paths, store
from ddsweep.data.bias import colors
from ddsweep.data.bias.corruptions import corrupted
from ddsweep.data.bias.draws import Draws
from ddsweep.data.decoders import decode
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError
from ddsweep.registry.classes import CIFAR10
from tests.data import official
from tests.data.bias.test_attributes import by_hand
from tests.data.bias.test_colors import SD, TABLE

SHARES = (0.0, 0.1, 0.5, 0.8, 0.95, 1.0)  # of the authors' files, in their order


@pytest.fixture
def published(root, monkeypatch):
    """A small MNIST and a small CIFAR-10 in their official formats: what they contain."""
    found = {}
    for name in ("mnist", "cifar10"):
        found[name] = official.write(name, root / name)
        official.expect(monkeypatch, name, root / name)
        store.fetch(name, root / name)
    return found


def numbers(values):
    assert values is not None
    return values.tolist()


def by_the_authors(published, align, severity):
    """All their files in their order, image by image with one generator: the test and the training part of one."""
    generator = torch.Generator().manual_seed(42)
    means = [np.array([float(part) for part in one.split(",")], np.float32) for one in TABLE.split()]
    for share in SHARES:
        for level in (1, 2, 3, 4):
            made = []
            for images, labels, ratio in (
                (published.test_images, published.test_labels, 0.0),
                (published.images, published.labels, share),
            ):
                attributes = by_hand(labels, ratio, 10)
                bytes_of = []
                for gray, attribute in zip(images, attributes, strict=True):
                    noise = torch.randn((3, 1, 1), generator=generator).numpy()
                    color = np.clip(means[attribute][:, None, None] + noise * np.float32(SD[level]), 0, 1)
                    bytes_of.append((color * gray.astype(np.float32)).astype(np.uint8))
                made.append((np.stack(bytes_of), attributes))
            if (share, level) == (align, severity):
                return made
    raise AssertionError("not one of their files")


@pytest.mark.parametrize(("align", "severity"), [(0.0, 1), (0.5, 3), (0.95, 2), (1.0, 4)])
def test_cmnist_is_drawn_as_the_authors_draw_it(published, align, severity):
    (test, test_attributes), (train, attributes) = by_the_authors(published["mnist"], align, severity)
    raw = decode(data.info(f"cmnist-dd:align={align},severity={severity}"))
    assert np.array_equal(raw.images.numpy(), train)
    assert np.array_equal(raw.test_images.numpy(), test)
    assert (numbers(raw.attributes), numbers(raw.test_attributes)) == (attributes, test_attributes)
    assert all(attribute != label for attribute, label in zip(test_attributes, numbers(raw.test_labels), strict=True))


def test_our_cmnist_has_the_same_training_images_and_every_attribute_in_the_test_set(published):
    ours, theirs = (decode(data.info(f"{name}:align=0.8,severity=1")) for name in ("cmnist", "cmnist-dd"))
    assert torch.equal(ours.images, theirs.images)
    assert numbers(ours.attributes) == numbers(theirs.attributes)
    assert numbers(ours.test_attributes) == by_hand(published["mnist"].test_labels, 0.1, 10)


def test_a_share_that_the_authors_do_not_have_gets_the_draws_of_their_first_file(published):
    own, generator = published["mnist"], torch.Generator().manual_seed(42)
    colors.noise(len(own.test_images), generator)
    triples = colors.noise(len(own.images), generator)
    attributes = torch.tensor(by_hand(own.labels, 0.3, 10))
    found = decode(data.info("cmnist:align=0.3,severity=3"))
    assert torch.equal(found.images, colors.colored(torch.tensor(own.images), attributes, 3, triples))


@pytest.mark.parametrize("severity", [1, 2, 4])
def test_every_photo_has_the_corruption_of_its_attribute(published, severity):
    own = published["cifar10"]
    dataset = data.load(f"ccifar10:align=0.5,severity={severity}")
    raw = store.stored(data.info(dataset.name)).raw
    attributes, test_attributes = by_hand(own.labels, 0.5, 10), by_hand(own.test_labels, 0.1, 10)
    assert (numbers(raw.attributes), numbers(raw.test_attributes)) == (attributes, test_attributes)
    for split, found, images, own_attributes in (
        ("train", raw.images, own.images, attributes),
        ("test", raw.test_images, own.test_images, test_attributes),
    ):
        for index, (image, attribute) in enumerate(zip(images, own_attributes, strict=True)):
            draws = Draws(42, "cifar10", split, index)
            expected = corrupted(image.transpose(1, 2, 0), attribute, severity + 1, draws).transpose(2, 0, 1)
            assert np.array_equal(found[index].numpy(), expected), (split, index)
    assert {*attributes, *test_attributes} == set(range(10)), "all corruptions are in it"


def test_the_draws_of_a_photo_do_not_depend_on_the_share_or_on_the_other_photos(published):
    one, other = (decode(data.info(f"ccifar10:align={align},severity=1")) for align in (0.2, 0.9))
    same = np.equal(numbers(one.attributes), numbers(other.attributes))
    assert 0 < same.sum() < len(same)
    assert torch.equal(one.images[same], other.images[same])


def test_colored_digits_are_the_digits_in_color():
    gray, dataset = data.load("digits"), data.load("cdigits:align=1,severity=4")
    assert dataset.name == "cdigits:align=1,severity=4"
    assert (dataset.made, gray.made) == ("made: from digits, colored here", "")
    assert torch.equal(dataset.labels, gray.labels)
    assert numbers(dataset.attributes) == gray.labels.tolist()
    pixels = store.stored(data.info(dataset.name)).raw.images.float()
    for label, mean in enumerate(TABLE.split()):
        brightest = pixels[dataset.labels == label].amax((0, 2, 3)) / 255
        assert brightest.tolist() == pytest.approx([float(part) for part in mean.split(",")], abs=0.03)
    assert 0.09 < np.mean(numbers(dataset.test_aligned)) < 0.11
    assert [dataset.mean, dataset.std] == [pytest.approx(values) for values in _statistics(pixels.double())]


def test_the_first_images_of_a_class_are_from_everywhere():
    """In their order, the first of each class would all have the color of the digit 0."""
    dataset, plain = data.load("cdigits:align=0.5,severity=1"), data.load("digits")
    attributes = numbers(dataset.attributes)
    colors_of = {attributes[index] for index in numbers(dataset.first(3, 20))}
    assert 3 in colors_of
    assert len(colors_of) >= 6
    assert numbers(plain.first(3, 20)) == numbers(plain.per_class[3][:20])
    assert len(dataset.first(3, 10**6)) == len(dataset.per_class[3])


def _statistics(pixels):
    return (pixels / 255).mean((0, 2, 3)).tolist(), (pixels / 255).std((0, 2, 3), correction=0).tolist()


def test_the_same_bits_in_another_process_and_another_order(tmp_path, monkeypatch):
    names = ["cdigits:align=0.95,severity=1", "cdigits:align=0.5,severity=3"]
    here = {name: data.checksum(name) for name in names}
    assert len(set(here.values())) == 2
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "other"))
    code = f"from ddsweep import data; print([data.checksum(name) for name in {names[::-1]!r}])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str([here[name] for name in names[::-1]])


def test_another_size_is_resized_from_the_same_images():
    small, large = data.load("cdigits", 8), data.load("cdigits")
    assert small.images.shape[1:] == (3, 8, 8)
    assert numbers(small.attributes) == numbers(large.attributes)


def test_attributes_are_cached_and_belong_to_the_checksum():
    first = data.load("cdigits")
    again = cache.read(*_place("cdigits"))
    assert again is not None
    assert again.checksum == first.checksum
    assert numbers(again.raw.attributes) == numbers(first.attributes)
    raw = Raw(**{**vars(again.raw), "test_attributes": again.raw.test_labels.clone()})
    other = cache.write(Path("other.safetensors"), raw, again.header)
    assert other.checksum != first.checksum


def test_a_damaged_attribute_is_noticed_and_made_again():
    path, fingerprint = _place("cdigits")
    before = data.checksum("cdigits")
    content = bytearray(path.read_bytes())
    length = int.from_bytes(content[:8], "little")
    start = json.loads(content[8 : 8 + length])["attributes"]["data_offsets"][0]
    content[8 + length + start] ^= 1
    path.write_bytes(content)
    with pytest.raises(cache.Damaged, match="does not match its checksum"):
        cache.read(path, fingerprint)
    assert data.load("cdigits").checksum == before


def _place(name):
    row = data.info(name)
    return paths.decoded(row), fingerprints.of(row)


def test_the_checksums_and_files_of_other_datasets_are_those_of_before():
    """The formula from before there were attributes, written out: their caches, and results from them, stay valid."""
    dataset = data.load("digits")
    raw = store.stored(data.info("digits")).raw
    digest = hashlib.sha256(json.dumps([dataset.classes, dataset.mean, dataset.std]).encode())
    for name in ("images", "labels", "test_images", "test_labels"):
        tensor = getattr(raw, name)
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode() + tensor.numpy().tobytes())
    assert dataset.checksum == digest.hexdigest()
    facts = [1, "'mnist'", 28, [0.1307], [0.3081], None]
    assert fingerprints.of(data.info("mnist")) == hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@pytest.fixture
def photos(root):
    """An image folder with two training images and one test image of each class of CIFAR-10."""
    generator = np.random.default_rng(5)
    for split, count in (("train", 2), ("test", 1)):
        for name in CIFAR10:
            for number in range(count):
                path = root / "mine" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    return root / "mine"


def test_photos_can_come_from_an_image_folder(photos):
    store.fetch("ccifar10:align=1,severity=3", photos)
    raw = store.stored(data.info("ccifar10:align=1,severity=3")).raw
    assert raw.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert numbers(raw.attributes) == raw.labels.tolist()
    image = np.asarray(Image.open(photos / "train" / "ship" / "1.png"))
    expected = corrupted(image, 8, 4, Draws(42, "cifar10", "train", 17))
    assert data.load("ccifar10:align=1,severity=3").made.endswith(f"; cifar10 is imagefolder:{photos}")
    assert np.array_equal(raw.images[17].numpy().transpose(1, 2, 0), expected)
    assert not any(numbers(data.load("ccifar10-dd:severity=4").test_aligned)), "all corrupted datasets are made from it"


def test_changed_photos_are_made_again(photos):
    store.fetch("ccifar10", photos)
    before = data.known_checksum("ccifar10")
    (photos / "train" / "ship" / "1.png").write_bytes((photos / "train" / "cat" / "1.png").read_bytes())
    assert data.known_checksum("ccifar10") is None
    assert data.load("ccifar10").checksum != before


def test_the_official_archive_replaces_the_folder(photos, published, root):
    store.fetch("ccifar10", photos)
    before = data.checksum("ccifar10")
    store.fetch("ccifar10", root / "cifar10")
    assert data.checksum("ccifar10") != before


def refused(*words):
    with pytest.raises(UserError) as caught:
        store.fetch(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_wrong_with_a_source_is_said_in_one_line(photos, root):
    assert refused("cdigits", root) == f"digits: needs no archive; --from {root} is not used"
    assert refused("cmnist", root / "none") == f"mnist: file or folder not found: '{root}/none'"
    assert "mnist: no train-images-idx3-ubyte.gz in" in refused("cmnist", photos)
    (photos / "train" / "ship").rename(photos / "train" / "boat")
    (photos / "test" / "ship").rename(photos / "test" / "boat")
    line = refused("ccifar10", photos)
    assert f"the 10 classes of '{photos}' are not those of cifar10: 'boat' is in only one of them" in line


def test_what_the_cache_has_is_listed_and_verified(photos):
    states = {one.row.name: one.state for one in data.holdings()}
    assert (states["ccifar10"], states["cmnist"], states["cdigits"]) == ("missing", "missing", "bundled")
    store.fetch("ccifar10:align=0.5,severity=3", photos)
    data.prepare("ccifar10")
    held = {one.row.name: one for one in data.holdings()}
    assert (held["ccifar10"].state, held["ccifar10-dd"].state) == ("decoded", "downloaded")
    files = [paths.decoded(data.info(f"ccifar10:align={align}")) for align in ("0.5,severity=3", "0.95,severity=2")]
    assert held["ccifar10"].disk == sum(file.stat().st_size for file in files)
    assert [one.path for one in store.verify("ccifar10")] == files, "all that there are"
    assert [one.path for one in store.verify("ccifar10:align=0.5,severity=3")] == files[:1]
    assert {one.state for one in store.verify("ccifar10")} == {"intact"}
    with pytest.raises(UserError, match="has nothing of it to verify"):
        store.verify("ccifar10-dd")

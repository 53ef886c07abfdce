"""Getting, keeping and verifying: what ``ddsweep data`` does."""

import logging

import pytest

from ddsweep import data
from ddsweep.data import archives, fingerprints, paths, store
from ddsweep.errors import UserError
from tests.data import official


@pytest.fixture
def published(root, monkeypatch):
    """MNIST's archives in ``root``; the table knows their MD5."""
    official.write("mnist", root)
    official.expect(monkeypatch, "mnist", root)
    return root


@pytest.fixture
def network(published, monkeypatch):
    """A network that has MNIST: the names that were downloaded, in order."""
    asked = []

    def answer(archive, path, tell):
        asked.append(archive.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((published / archive.name).read_bytes())
        tell(archive.name, 1, 1)

    monkeypatch.setattr(archives, "download", answer)
    return asked


def state(name):
    return next(one for one in data.holdings() if one.row.name == name)


def test_a_fetched_set_is_downloaded_once_and_decoded(network):
    told = []
    assert state("mnist").state == "missing"
    path = store.fetch("mnist", tell=lambda *news: told.append(news))
    assert path.name == "mnist-28.safetensors"
    assert network == [one.name for one in data.info("mnist").archives] == [name for name, _, _ in told]
    held = state("mnist")
    own = [paths.archive(held.row, one) for one in held.row.archives]
    assert (held.state, held.disk) == ("decoded", sum(file.stat().st_size for file in [path, *own]))
    store.fetch("mnist")
    assert len(network) == 4


def test_a_decoded_set_does_not_need_its_archives_again(network):
    path = store.fetch("mnist")
    for archive in data.info("mnist").archives:
        paths.archive(data.info("mnist"), archive).unlink()
    assert store.fetch("mnist") == path
    assert len(network) == 4


def test_a_downloaded_set_is_not_yet_decoded(network):
    archives.obtain(data.info("mnist"))
    assert state("mnist").state == "downloaded"


def test_an_archive_that_was_damaged_here_is_downloaded_again(network, caplog):
    row = data.info("mnist")
    archives.obtain(row)
    victim = paths.archive(row, row.archives[1])
    victim.write_bytes(b"?")
    archives.obtain(row)
    assert network[4:] == [row.archives[1].name]
    assert victim.with_name(f"{victim.name}.damaged").read_bytes() == b"?"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_the_users_archives_are_linked_and_cost_nothing(published):
    path = store.fetch("mnist", published)
    row = data.info("mnist")
    assert all(paths.archive(row, one).resolve() == published / one.name for one in row.archives)
    assert state("mnist").disk == path.stat().st_size


@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
def test_the_users_archives_are_found_in_the_folders_of_torchvision(below, root, monkeypatch):
    """FashionMNIST's files have the same names: they are told apart by their MD5."""
    for name, folder in (("fashionmnist", "FashionMNIST/raw"), ("mnist", below)):
        official.write(name, root / folder)
        official.expect(monkeypatch, name, root / folder)
    store.fetch("mnist", root)
    row = data.info("mnist")
    assert paths.archive(row, row.archives[0]).resolve() == root / below / row.archives[0].name


def test_a_single_archive_may_be_given_by_its_own_path(root, monkeypatch):
    official.write("pathmnist", root)
    official.expect(monkeypatch, "pathmnist", root)
    renamed = (root / "pathmnist.npz").rename(root / "mine.npz")
    store.fetch("pathmnist", renamed)
    assert state("pathmnist").state == "decoded"


def test_other_archives_are_decoded_anew(root, monkeypatch):
    for folder in ("one", "two"):
        official.write("imagefruit", root / folder)
    store.fetch("imagefruit", root / "one")
    before = data.load("imagefruit").checksum
    image = root / "two" / "imagenet" / "train" / "n07749582" / "n07749582_010.JPEG"
    assert image.exists()
    image.write_bytes(image.with_name("n07749582_011.JPEG").read_bytes())
    store.fetch("imagefruit", root / "two")
    assert data.load("imagefruit").checksum != before


def refused(*words):
    with pytest.raises(UserError) as caught:
        store.fetch(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_wrong_with_a_path_is_said_in_one_line(root, published):
    assert refused("digits", root) == f"digits: needs no archive; --from {root} is not used"
    assert refused("mnist", root / "none") == f"mnist: file or folder not found: '{root}/none'"
    assert "imagenet32: no Imagenet32_train.zip in" in refused("imagenet32", root)
    assert "and no folder with train_data_batch_10 in it" in refused("imagenet32", root)
    (root / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "mnist: no t10k-labels-idx1-ubyte.gz in" in refused("mnist", root)
    assert not paths.archive(data.info("mnist"), data.info("mnist").archives[0]).exists(), "all or nothing"


def test_a_link_to_a_file_that_is_gone_is_downloaded(network, published, monkeypatch):
    row = data.info("mnist")
    archives.adopt(row, published)
    elsewhere = published.rename(published.with_name("moved"))
    assert [one.state for one in store.verify("mnist")] == ["missing"] * 4
    elsewhere.rename(published)
    moved = paths.archive(row, row.archives[0])
    moved.unlink()
    moved.symlink_to("gone")
    archives.obtain(row)
    assert network == [row.archives[0].name]


def test_verifying_reads_everything_again(network):
    store.fetch("mnist")
    small = data.prepare("mnist", 8)
    findings = store.verify("mnist")
    assert [one.state for one in findings] == ["intact"] * 6
    assert [one.what for one in findings] == ["archive"] * 4 + ["decoded at 8×8", "decoded at 28×28"]
    row = data.info("mnist")
    for victim in (paths.archive(row, row.archives[2]), small):
        content = bytearray(victim.read_bytes())
        content[-1] ^= 1
        victim.write_bytes(content)
    found = {one.path: one.state for one in store.verify("mnist")}
    assert [path for path, state in found.items() if state == "damaged"] == [
        paths.archive(row, row.archives[2]), small,
    ]  # fmt: skip


def test_verifying_says_what_it_cannot_know(root, monkeypatch):
    official.write("imagenet32", root)
    official.unpack(root / "Imagenet32_val.zip", root / "val")
    store.fetch("imagenet32", root)
    monkeypatch.setattr(fingerprints, "DECODERS", 2)
    assert [one.state for one in store.verify("imagenet32")] == ["unchecked", "unpacked", "outdated"]


def test_there_is_nothing_to_verify_before_a_fetch():
    with pytest.raises(
        UserError, match=r"^svhn: the cache has nothing of it to verify; first: ddsweep data fetch svhn$"
    ):
        store.verify("svhn")


def test_cifar10_and_cifar100_are_not_mixed_up(cache):
    cache.mkdir(parents=True)
    for name in ("cifar100-32", "cifar10-8", "cifar10-32", "imagefolder-cifar10-0123456789ab-32"):
        (cache / f"{name}.safetensors").touch()
    assert [path.stem for path in paths.all_decoded(data.info("cifar10"))] == ["cifar10-8", "cifar10-32"]


def test_a_folder_of_images_is_fetched_and_verified_too(tree):
    root, _ = tree
    path = store.fetch(f"imagefolder:{root}")
    assert [(one.path, one.state) for one in store.verify(f"imagefolder:{root}")] == [(path, "intact")]


def test_md5_is_that_of_the_bytes(root):
    (root / "a").write_bytes(b"abc")
    assert archives.md5(root / "a") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321

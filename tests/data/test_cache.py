import itertools
import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from ddsweep import data
from ddsweep.data import cache as files
from ddsweep.data import fingerprints
from ddsweep.data import store as loader
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError


def example(seed=0):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (6, 1, 4, 4), generator=draw, dtype=torch.uint8)
    labels = torch.arange(6) % 2
    return Raw(("α", "\udcff"), images, labels, images[:2].flip(3), labels[:2].clone())


HEADER = files.Header((0.25,), (0.1 + 0.2,), "what", "where: 8×8")


@pytest.fixture
def counted(monkeypatch):
    """Count the decoders' calls."""
    calls = itertools.count()
    decode = loader.decode

    def counting(row):
        next(calls)
        return decode(row)

    monkeypatch.setattr(loader, "decode", counting)
    return lambda: int(repr(calls)[6:-1])


def test_what_is_read_is_what_was_written(root):
    written = files.write(root / "a.safetensors", example(), HEADER)
    read = files.read(root / "a.safetensors", "what")
    assert read is not None
    assert (read.header, read.checksum, read.raw.classes) == (HEADER, written.checksum, example().classes)
    for name in files.TENSORS:
        assert torch.equal(getattr(read.raw, name), getattr(example(), name))


def test_a_missing_file_and_one_of_something_else_are_not_there(root):
    files.write(root / "a.safetensors", example(), HEADER)
    assert files.read(root / "a.safetensors", "something else") is None
    assert files.read(root / "b.safetensors", "what") is None


def test_the_checksum_is_of_all_that_decides_a_number(root):
    raw = example()
    flipped = raw.images.clone()
    flipped[3, 0, 2, 1] ^= 1
    variants = [
        (raw, HEADER),
        (Raw(raw.classes, flipped, raw.labels, raw.test_images, raw.test_labels), HEADER),
        (Raw(raw.classes, raw.images, raw.labels.flip(0), raw.test_images, raw.test_labels), HEADER),
        (Raw(raw.classes, raw.images, raw.labels, raw.test_images.flip(0), raw.test_labels), HEADER),
        (Raw(("α", "β"), raw.images, raw.labels, raw.test_images, raw.test_labels), HEADER),
        (raw, files.Header((0.25,), (0.3,), "what", HEADER.origin)),
    ]
    sums = {files.write(root / "a.safetensors", *variant).checksum for variant in variants}
    assert len(sums) == len(variants)
    assert files.write(root / "a.safetensors", raw, HEADER).checksum in sums


def test_colleagues_may_read_the_cache_as_they_may_read_any_new_file(root):
    (root / "plain").touch()
    files.write(root / "a.safetensors", example(), HEADER)
    modes = [stat.S_IMODE((root / name).stat().st_mode) for name in ("plain", "a.safetensors")]
    assert modes[0] == modes[1]


def test_a_full_disk_is_one_line_and_leaves_nothing(root, monkeypatch):
    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(UserError, match=r"^cannot write .*a\.safetensors: .*No space left"):
        files.write(root / "a.safetensors", example(), HEADER)
    assert not list(root.iterdir())


def test_a_cache_that_cannot_be_a_folder_is_one_line(root, monkeypatch):
    (root / "file").touch()
    monkeypatch.setenv("DDSWEEP_CACHE", str(root / "file" / "cache"))
    with pytest.raises(UserError, match=r"^cannot write .*cache/data: Not a directory"):
        data.load("shapes")


def test_a_file_that_the_system_will_not_read_is_one_line(cache):
    (cache / "shapes-16.safetensors").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^cannot read .*shapes-16\.safetensors"):
        data.load("shapes")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def forget_the_header(path):
    safetensors.torch.save_file({"images": torch.zeros(1)}, path)


@pytest.mark.parametrize("damage", [cut, empty, flip_one_bit, forget_the_header])
def test_a_damaged_file_is_set_aside_with_a_reason_and_decoded_again(damage, cache, caplog, counted):
    intact = data.load("digits")
    path = data.prepare("digits")
    damage(path)
    broken = path.read_bytes()
    again = data.load("digits")
    assert torch.equal(again.images[:], intact.images[:])
    assert again.checksum == intact.checksum
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"{path} is damaged (" in warning.getMessage()
    assert (cache / "digits-16.damaged").read_bytes() == broken
    assert counted() == 2
    data.load("digits")
    assert counted() == 2


def test_the_cached_copy_is_the_decoded_one(counted):
    fresh, cached = data.load("shapes"), data.load("shapes")
    assert counted() == 1
    for name in ("images", "labels", "test_images", "test_labels"):
        assert torch.equal(getattr(fresh, name)[:], getattr(cached, name)[:])
    assert (fresh.mean, fresh.std, fresh.classes, fresh.checksum) == (
        (cached.mean, cached.std, cached.classes, cached.checksum)
    )


def test_each_size_is_kept(counted):
    assert [data.load("digits", size).size for size in (None, 8, 16, 8)] == [16, 8, 16, 8]
    assert counted() == 2


def test_new_decoders_do_not_take_old_files(counted, monkeypatch):
    data.prepare("digits")
    monkeypatch.setattr(fingerprints, "DECODERS", fingerprints.DECODERS + 1)
    data.prepare("digits")
    assert counted() == 2


def test_threads_that_ask_at_once_decode_once(counted):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(data.prepare, ["digits"] * 8))
    assert (counted(), len(set(paths))) == (1, 1)


AGENT = """
import logging, sys, time
from pathlib import Path
from ddsweep import data
from ddsweep.data import store

def slow(row, decode=store.decode):
    time.sleep(0.3)  # long enough for the others to find nothing in the cache
    return decode(row)

logging.basicConfig(level="INFO")
store.decode, meeting = slow, Path(sys.argv[1])
(meeting / sys.argv[2]).touch()
while len(list(meeting.iterdir())) < 3:
    time.sleep(0.005)
print(data.prepare("shapes"))
"""


@pytest.mark.slow
def test_processes_that_ask_at_once_decode_once(cache, root):
    agents = [
        subprocess.Popen(
            [sys.executable, "-c", AGENT, root, str(index)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for index in range(3)
    ]
    outputs = [agent.communicate(timeout=120) for agent in agents]
    assert [out.strip() for out, _ in outputs] == [str(cache / "shapes-16.safetensors")] * 3
    assert sum(err.count("decoding shapes") for _, err in outputs) == 1


def test_what_a_killed_process_was_decoding_does_not_stay(cache):
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".shapes-16.safetensors.0123abcd.tmp.safetensors").write_bytes(b"half")
    data.load("shapes")
    assert not list(cache.glob("*.tmp*"))


def test_an_error_while_decoding_leaves_the_cache_usable(monkeypatch, counted):
    with monkeypatch.context() as patch:
        patch.setattr(loader, "decode", lambda row: (_ for _ in ()).throw(UserError("no luck")))
        with pytest.raises(UserError, match="no luck"):
            data.load("digits")
    assert len(data.load("digits").images) == 1201

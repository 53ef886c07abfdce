"""Exported files that were damaged or changed afterwards are noticed, whatever byte it is; older exports are read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from ddsweep import exchange, files
from ddsweep.errors import UserError
from ddsweep.exchange import ImageSet, space, synthetic_set

FORMS = sorted(exchange.WRITERS)


def export(form: str, one: ImageSet, place: Path) -> Path:
    given = space.restated(one, space.fixed("unit", one.images.shape[1])) if exchange.WRITERS[form].pixels else one
    return exchange.WRITERS[form].write(given, place / "out")


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(bytes(content))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        exchange.read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_bit_in_any_file(form: str, one: ImageSet, place: Path) -> None:
    written = export(form, one, place)
    exchange.read(written)
    everything = sorted(path for path in (place / "out").rglob("*") if path.is_file() and path.name != "README.md")
    assert len(everything) >= 2
    for path in everything[:: max(1, len(everything) // 6)]:
        content = path.read_bytes()
        for share in (0.3, 0.5, 0.9):
            flip(path, int(share * len(content)), bit=1)
            assert path.name in refused(written) or "damaged" in refused(written)
            path.write_bytes(content)
    exchange.read(written)


def test_the_line_says_what_to_do(one: ImageSet, place: Path) -> None:
    written = export("folder", one, place)
    path = written / "00003" / "00001.png"
    (written / "00003" / "00000.png").replace(path)  # another valid image
    (written / "00003" / "00000.png").write_bytes(path.read_bytes())
    line = refused(written)
    assert line == (
        f"{path}: is damaged or was changed: it has another SHA-256 than ddsweep.json states; export cell "
        "0123456789abcdef again, or, if the change is meant, remove 'sha256' and 'checksum' from the JSON file"
    )
    record = json.loads((written / "ddsweep.json").read_text())
    files.write_json(written / "ddsweep.json", {k: v for k, v in record.items() if k not in ("sha256", "checksum")})
    assert torch.equal(exchange.read(written).images[6], exchange.read(written).images[7])


@pytest.mark.parametrize("form", ["folder", "hf"])
def test_files_that_come_or_go(form: str, one: ImageSet, place: Path) -> None:
    written = export(form, one, place)
    (path,) = written.rglob("00003/00001.png")
    path.rename(path.with_name("00002.png"))
    assert refused(written).startswith(f"{path}: is missing, but ddsweep.json lists it")
    path.with_name("00002.png").rename(path)
    (path.parent / "Thumbs.db").write_bytes(b"of the operating system")
    exchange.read(written)
    for name in ("00009.PNG", "nameless"):
        path.with_name(name).write_bytes(path.read_bytes())
        assert refused(written).startswith(f"{path.with_name(name)}: was added after the export")
        path.with_name(name).unlink()


def test_labels_that_are_lost(one: ImageSet, place: Path) -> None:
    """Without labels the set would be taken as class-major."""
    written = export("pt", one, place)
    (place / "out" / "labels.pt").unlink()
    assert "labels.pt: is missing, but ddsweep.json lists it" in refused(written)


def test_a_rate_that_an_earlier_export_left(one: ImageSet, place: Path) -> None:
    assert exchange.read(export("pt", one, place)).facts.lr == 0.25
    without = ImageSet(one.images, one.labels, dataclasses.replace(one.facts, lr=None))
    assert exchange.read(export("pt", without, place)).facts.lr is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("mean", [0.4]), ("classes", list("abcdefghij")), ("space", "pixels"), ("factor", 2), ("dataset", "mnist")],
)
@pytest.mark.parametrize("form", ["pt", "vico"])
def test_a_changed_description(form: str, key: str, value: object, one: ImageSet, place: Path) -> None:
    written = export(form, one, place)
    (note,) = (place / "out").rglob("*.json")
    record = json.loads(note.read_text())
    files.write_json(note, record | {key: value})
    line = refused(written)
    assert line.startswith(f"{note}: is damaged or was edited")
    assert "remove 'checksum' from the JSON file" in line
    record.pop("checksum")
    files.write_json(note, record | {"method": "dsa"})  # an edit that is meant
    assert exchange.read(written).facts.method == "dsa"


@pytest.mark.parametrize("form", FORMS)
def test_a_description_in_another_order_and_an_older_one(form: str, one: ImageSet, place: Path) -> None:
    written = export(form, one, place)
    (note,) = (place / "out").rglob("*.json")
    record = json.loads(note.read_text())
    note.write_text(json.dumps(dict(reversed(record.items())), ensure_ascii=True))
    assert exchange.read(written).facts.classes == one.facts.classes
    files.write_json(note, {name: value for name, value in record.items() if name not in ("sha256", "checksum")})
    assert exchange.read(written).facts.classes == one.facts.classes


def test_a_list_that_is_none(one: ImageSet, place: Path) -> None:
    written = export("pt", one, place)
    note = place / "out" / "ddsweep.json"
    record = json.loads(note.read_text())
    record.pop("checksum")
    files.write_json(note, record | {"sha256": "none"})
    assert "sha256 is 'none', which ddsweep export does not write" in refused(written)


def test_the_door_of_python_looks_too(one: ImageSet, place: Path) -> None:
    written = export("pt", one, place)
    flip(place / "out" / "labels.pt", (place / "out" / "labels.pt").stat().st_size // 2)
    with pytest.raises(UserError, match="is damaged or was changed"):
        synthetic_set.read(written)


def test_sums_are_those_of_sha256sum(one: ImageSet, place: Path) -> None:
    import subprocess

    export("hf", one, place)
    record = json.loads((place / "out" / "ddsweep.json").read_text())
    listed = "".join(f"{digest}  {name}\n" for name, digest in record["sha256"].items())
    told = subprocess.run(["sha256sum", "-c", "--strict"], input=listed, text=True, cwd=place / "out", check=True,
                          capture_output=True).stdout  # fmt: skip
    assert told.count(": OK\n") == 21

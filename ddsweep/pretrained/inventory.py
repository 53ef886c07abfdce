"""The contents of the pool, read from the headers of its files (without importing torch)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ddsweep.pretrained.spec import PREFIX, Spec, epoch_of, pool_dir, published
from ddsweep.registry.ptms import PTMS

MAX_HEADER = 100 << 20  # bytes; the limit of safetensors itself


@dataclass(frozen=True)
class Entry:
    """One PTM or expert in the pool.

    Attributes:
        folder: its folder.
        spec: its training; None if its files do not record it (they are damaged).
        accuracy: accuracy on the test set of its own domain by epoch, as a fraction; None if a file does not record it
            (of an expert, only that of the last epoch does).
        disk: bytes of all its files.
    """

    folder: Path
    spec: Spec | None
    accuracy: dict[int, float | None]
    disk: int

    @property
    def last(self) -> float | None:
        """The accuracy at the last epoch."""
        return self.accuracy[max(self.accuracy)]


def entries() -> list[Entry]:
    """Return every PTM and expert in the pool, by source, architecture and seed."""
    folders = {path.parent for path in pool_dir().glob(f"*/*/*/{PREFIX}*.safetensors")}
    return sorted(map(read, folders), key=_order)


def read(folder: Path) -> Entry:
    """Return the PTM in one folder, which holds at least one file of weights."""
    metadata = {epoch_of(path): _metadata(path) for path in sorted(folder.glob(f"{PREFIX}*.safetensors"))}
    accuracy = {epoch: float(own["accuracy"]) if "accuracy" in own else None for epoch, own in metadata.items()}
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Entry(folder, _spec(folder, metadata[max(metadata)]), accuracy, disk)


def _order(entry: Entry) -> tuple[str, str, str, int, Path]:
    folder, one = entry.folder, entry.spec
    alike = json.dumps(replace(one, seed=0).settings) if one and one.is_expert else ""  # after the PTMs
    return (folder.parent.parent.name, folder.parent.name, alike, one.seed if one else 0, folder)


def grouped(found: Sequence[Entry]) -> list[list[Entry]]:
    """Return the entries in groups: experts that differ in their seed only are one, every PTM is one of its own."""
    groups: dict[object, list[Entry]] = {}
    for entry in found:
        one = entry.spec
        alike = (replace(one, seed=0), *entry.accuracy) if one and one.is_expert else entry.folder
        groups.setdefault(alike, []).append(entry)
    return list(groups.values())


def _spec(folder: Path, metadata: dict[str, str]) -> Spec | None:
    if foundation := PTMS.rows.get(folder.parent.parent.name):
        return published(foundation)
    try:
        spec = Spec(**json.loads(metadata["settings"]))
    except (KeyError, ValueError, TypeError):
        return None
    return spec if spec.folder == folder else None


def _metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file: eight bytes with the length of the header, then the header as JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, MAX_HEADER)))
            return dict(header.get("__metadata__", {}))
        except (ValueError, AttributeError, TypeError):
            return {}


def as_record(entry: Entry, used_by: list[str]) -> dict[str, object]:
    """Return an entry for the JSON output."""
    return {
        "folder": str(entry.folder),
        "source": entry.folder.parent.parent.name,
        "arch": entry.folder.parent.name,
        "spec": asdict(entry.spec) if entry.spec else None,
        "accuracy": {str(epoch): accuracy for epoch, accuracy in entry.accuracy.items()},
        "disk_bytes": entry.disk,
        "used_by": used_by,
    }

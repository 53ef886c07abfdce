"""What is in the pool, from the headers of its files (and without importing torch)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ddsweep.pretrained.spec import PREFIX, Spec, epoch_of, pool_dir, published
from ddsweep.registry.networks import FOUNDATIONS

HEADER_UP_TO = 100 << 20  # bytes, as safetensors itself allows; more is no header


@dataclass(frozen=True)
class Holding:
    """One PTM in the pool.

    Attributes:
        folder: its place.
        spec: its training; None where the files do not say (they are damaged).
        accuracy: on the test set of its own domain by epoch, as fractions; None where the files do not say.
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


def holdings() -> list[Holding]:
    """Of every PTM, by source, architecture and seed."""
    folders = {path.parent for path in pool_dir().glob(f"*/*/*/{PREFIX}*.safetensors")}
    return sorted(map(of, folders), key=_order)


def of(folder: Path) -> Holding:
    """Of the PTM in one folder, which holds at least one file of weights."""
    found = {epoch_of(path): _metadata(path) for path in sorted(folder.glob(f"{PREFIX}*.safetensors"))}
    accuracy = {epoch: float(one["accuracy"]) if "accuracy" in one else None for epoch, one in found.items()}
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Holding(folder, _spec(folder, found[max(found)]), accuracy, disk)


def _order(one: Holding) -> tuple[str, str, int, Path]:
    return (one.folder.parent.parent.name, one.folder.parent.name, one.spec.seed if one.spec else 0, one.folder)


def _spec(folder: Path, metadata: dict[str, str]) -> Spec | None:
    if foundation := FOUNDATIONS.get(folder.parent.parent.name):
        return published(foundation)
    try:
        found = Spec(**json.loads(metadata["settings"]))
    except (KeyError, ValueError, TypeError):
        return None
    return found if found.folder == folder else None


def _metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself: eight bytes of length, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, HEADER_UP_TO)))
            return dict(header.get("__metadata__", {}))
        except (ValueError, AttributeError, TypeError):
            return {}


def as_record(one: Holding, used_by: list[str]) -> dict[str, object]:
    """For scripts."""
    return {
        "folder": str(one.folder), "source": one.folder.parent.parent.name, "arch": one.folder.parent.name,
        "spec": asdict(one.spec) if one.spec else None, "accuracy": {str(e): a for e, a in one.accuracy.items()},
        "disk_bytes": one.disk, "used_by": used_by,
    }  # fmt: skip

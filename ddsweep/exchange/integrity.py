"""Checksums of exported sets: the JSON description has the SHA-256 of every file of the set, and one of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ddsweep import checked_files
from ddsweep.errors import Damaged, UserError
from ddsweep.registry.class_files import class_files
from ddsweep.registry.splits import folders

FILES = "sha256"  # key of the description: path of each file relative to the description -> SHA-256 of its bytes
OWN = checked_files.CHECKSUM  # key of the description: SHA-256 of all its other keys and values
EVERYTHING = "."  # ``file`` of a description of the whole folder


def with_checksums(record: Mapping[str, Any], folder: Path, paths: Iterable[Path]) -> dict[str, Any]:
    """Return the description of a set with the checksums of its files, which have been written below ``folder``."""
    sums = {path.relative_to(folder).as_posix(): _digest(path) for path in paths}
    return checked_files.with_checksum({**record, FILES: dict(sorted(sums.items()))})


def verify(record: Mapping[str, Any], place: Path) -> None:
    """Check a description and the files that it describes; one without checksums, of an older version, is not checked.

    Args:
        record: the description.
        place: its file.

    Raises:
        Damaged: it or a file was changed, or a file is missing.
        UserError: an image was added, or a file cannot be read.
    """
    plain = {name: value for name, value in record.items() if name != OWN}
    if OWN in record and record[OWN] != checked_files.with_checksum(plain)[OWN]:
        raise Damaged(f"{place}: is damaged or was edited: its content has another SHA-256 than its {OWN!r}; "
                        + _advice(record, OWN))  # fmt: skip
    sums = record.get(FILES, {})
    if not isinstance(sums, dict):
        raise UserError(f"{place}: {FILES} is {sums!r}, which ddsweep export does not write")
    for name, expected in sums.items():
        path = place.parent / name
        if not path.is_file():
            raise Damaged(f"{path}: is missing, but {place.name} lists it; {_advice(record, FILES)}")
        if _digest(path) != expected:
            raise Damaged(f"{path}: is damaged or was changed: it has another SHA-256 than {place.name} states; "
                            + _advice(record, FILES))  # fmt: skip
    if sums and record.get("file") == EVERYTHING:
        read = (Path(path) for folder in folders(place.parent) for path in class_files(str(folder)).images)
        if added := sorted(path for path in read if path.relative_to(place.parent).as_posix() not in sums):
            raise UserError(f"{added[0]}: was added after the export, {place.name} does not list it; "
                            + _advice(record, FILES))  # fmt: skip


def _advice(record: Mapping[str, Any], key: str) -> str:
    origin = record.get("origin")
    cell = origin.get("key") if isinstance(origin, dict) else None
    again = f"export cell {cell} again" if cell else "export or copy it again"
    names = f"{FILES!r} and {OWN!r}" if key == FILES else f"{OWN!r}"
    return f"{again}, or, if the change is meant, remove {names} from the JSON file"


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None

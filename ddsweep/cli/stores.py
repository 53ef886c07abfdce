"""The storage that a command means, and the sweeps launched in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.backends.optuna import OptunaStore
    from ddsweep.sweep import Sweep


def url(runs: Path, storage: str | None) -> str:
    """The storage that was asked for, or SQLite in the runs folder."""
    return storage or f"sqlite:///{(runs / 'ddsweep.db').absolute()}"


def connect(runs: Path, storage: str | None, create: bool = False) -> OptunaStore:
    """Open the storage.

    Raises:
        UserError: it cannot be reached; or nothing was ever launched here.
    """
    from ddsweep import backends

    if storage is None and not create and not (runs / "ddsweep.db").is_file():
        raise UserError(f"nothing was launched in {runs.absolute()} yet; start with: ddsweep launch NAME")
    if create:
        try:
            runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"runs: cannot write {runs} ({error.strerror})") from None
    return backends.connect(url(runs, storage), artifacts=runs / "artifacts")


def launched_name(name: str, profile: str | None) -> str:
    """``NAME@PROFILE`` of a reference, as it was registered: a path stands for its stem, ``table5`` for its sweep."""
    from ddsweep import sweep

    stem, scale = sweep.split(name, profile)
    if stem.endswith((".yaml", ".yml")):
        stem = Path(stem).stem
    elif stem not in sweep.names():
        stem = sweep.in_paper().get(stem, stem)
    return f"{stem}@{scale}"


def launched(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched.

    Raises:
        UserError: it never was; the line names those that were.
    """
    from ddsweep.sweep import Sweep

    store = connect(runs, storage)
    try:
        return Sweep.from_definition(store.load_definition(launched_name(name, profile)).definition)
    finally:
        store.close()

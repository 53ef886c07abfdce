"""The storage that a command means, and the sweeps launched in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.backends import Store
    from ddsweep.backends.optuna.backend import OptunaStore
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


def reading(runs: Path, storage: str | None) -> Store:
    """Every launched sweep: those in the storage, and those on W&B as this folder remembers them.

    Raises:
        UserError: the storage cannot be reached; or nothing was ever launched here.
    """
    from ddsweep.backends.local import FolderStore, Library

    folder = FolderStore(runs)
    if storage is None and folder.names() and not (runs / "ddsweep.db").is_file():
        return folder
    return Library(folder, connect(runs, storage))


def finished(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched, with those of its results here that other hosts have computed.

    Raises:
        UserError: as ``launched``; or the runs folder cannot be written.
    """
    one, store = launched(name, profile, runs, storage), reading(runs, storage)
    try:
        gather(store, one, runs)
    finally:
        store.close()
    return one


def gather(store: Store, sweep: Sweep, runs: Path) -> None:
    """Bring the results of other hosts into this runs folder; a line says which complete cells have none anywhere."""
    import typer

    from ddsweep.backends import State
    from ddsweep.results import transfer

    keys = [cell.key for cell in sweep.cells]
    unusable = transfer.bring(store, keys, runs) if isinstance(store, transfer.Shelf) else {}
    if unusable:
        more = f" (and {len(unusable) - 1} more)" if len(unusable) > 1 else ""
        typer.echo(f"not brought here: {next(iter(unusable.values()))}{more}", err=True)
    absent = set(transfer.absent(keys, runs)) - set(unusable)
    rows = store.sweep(sweep.full_name).status().rows if absent else []
    gone = [row for row in rows if row.state is State.COMPLETE and row.point.key in absent]
    if gone:
        cells = f"{len(gone)} complete cell{'s' * (len(gone) != 1)}"
        hosts = ", ".join(sorted({row.agent.split(":")[0] for row in gone} - {""}))
        where = f"; computed on {hosts}" if hosts else ""
        typer.echo(f"{cells} without files in {runs} or in the storage{where}", err=True)


def computed(sweep: Sweep, runs: Path) -> int:
    """How many cells of a sweep have a result in this runs folder, whichever sweep they were computed for."""
    from ddsweep.results import transfer

    return len(sweep.cells) - len(transfer.absent([cell.key for cell in sweep.cells], runs))


def tell_bare(sweep: Sweep, runs: Path) -> None:
    """Say in a line how many finished cells cannot be drawn, because their images are on another host."""
    import typer

    from ddsweep.results import transfer

    bare = transfer.without_set([cell.key for cell in sweep.cells], runs)
    if bare:
        limit = transfer.LARGEST // 2**20
        cells = f"{len(bare)} finished cell{'s' * (len(bare) != 1)}"
        why = f"without {transfer.SET} in {runs} (above {limit} MB it stays where it was made)"
        typer.echo(f"left out of pictures: {cells} {why}", err=True)


def launched_name(name: str, profile: str | None) -> str:
    """``NAME@PROFILE`` of a reference, as it was registered: a path stands for its stem, ``table5`` for its sweep."""
    from ddsweep import sweep

    stem, scale = sweep.split(name, profile)
    if stem.endswith((".yaml", ".yml")):
        stem = Path(stem).stem
    elif stem not in sweep.names():
        stem = sweep.paper_names().get(stem, stem)
    return f"{stem}@{scale}"


def launched(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched.

    Raises:
        UserError: it never was; the line names those that were.
    """
    from ddsweep.sweep import Sweep

    store = reading(runs, storage)
    try:
        definition = store.load_definition(launched_name(name, profile))
        return Sweep.from_definition(definition.definition).with_points(point.params for point in definition.points)
    finally:
        store.close()

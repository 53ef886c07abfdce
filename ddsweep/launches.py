"""Sweeps as they were launched: the storage they are in, their cells, and their results from every host."""

from __future__ import annotations

import sys
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
        UserError: as ``load``; or the runs folder cannot be written.
    """
    one, store = load(name, profile, runs, storage), reading(runs, storage)
    try:
        gather(store, one, runs)
    finally:
        store.close()
    return one


def gather(store: Store, sweep: Sweep, runs: Path) -> None:
    """Bring the results of other hosts into this runs folder; a line says which complete cells have none anywhere."""
    from ddsweep.backends import State
    from ddsweep.results import transfer

    keys = [cell.key for cell in sweep.cells]
    unusable = transfer.bring(store, keys, runs) if isinstance(store, transfer.Shelf) else {}
    if unusable:
        more = f" (and {len(unusable) - 1} more)" if len(unusable) > 1 else ""
        _echo(f"not brought here: {next(iter(unusable.values()))}{more}")
    absent = set(transfer.absent(keys, runs)) - set(unusable)
    rows = store.sweep(sweep.full_name).status().rows if absent else []
    gone = [row for row in rows if row.state is State.COMPLETE and row.point.key in absent]
    if gone:
        cells = f"{len(gone)} complete cell{'s' * (len(gone) != 1)}"
        hosts = ", ".join(sorted({row.agent.split(":")[0] for row in gone} - {""}))
        where = f"; computed on {hosts}" if hosts else ""
        _echo(f"{cells} without files in {runs} or in the storage{where}")


def computed(sweep: Sweep, runs: Path) -> int:
    """How many cells of a sweep have a result in this runs folder, whichever sweep they were computed for."""
    from ddsweep.results import transfer

    return len(sweep.cells) - len(transfer.absent([cell.key for cell in sweep.cells], runs))


def tell_bare(sweep: Sweep, runs: Path) -> None:
    """Say in a line how many finished cells cannot be drawn, because their images are on another host."""
    from ddsweep.results import transfer

    bare = transfer.without_set([cell.key for cell in sweep.cells], runs)
    if bare:
        limit = transfer.LARGEST // 2**20
        cells = f"{len(bare)} finished cell{'s' * (len(bare) != 1)}"
        why = f"without {transfer.SET} in {runs} (above {limit} MB it stays where it was made)"
        _echo(f"left out of pictures: {cells} {why}")


def registered_name(name: str, profile: str | None) -> str:
    """``NAME@PROFILE`` of a reference, as it was registered: a path stands for its stem, ``table5`` for its sweep."""
    from ddsweep import sweep

    stem, scale = sweep.split(name, profile)
    if stem.endswith((".yaml", ".yml")):
        stem = Path(stem).stem
    elif stem not in sweep.names():
        stem = sweep.paper_names().get(stem, stem)
    return f"{stem}@{scale}"


def load(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched.

    Raises:
        UserError: it never was; the line names those that were.
    """
    from ddsweep.sweep import Sweep

    store = reading(runs, storage)
    try:
        definition = store.load_definition(registered_name(name, profile))
        return Sweep.from_definition(definition.definition).with_points(point.params for point in definition.points)
    finally:
        store.close()


def run_folder(name: str, profile: str | None, set_: list[str] | None, runs: Path, storage: str | None) -> Path:
    """The folder of the run that is meant: by key, or as the one cell of a launched sweep with these choices."""
    from ddsweep.exchange import collect

    sweep, _, cell = name.partition(":")
    if collect.KEY.fullmatch(name) and not (profile or set_):
        return collect.run_folder(name, runs)
    return runs / _key(sweep, profile, [*(part for part in cell.split(",") if part), *(set_ or [])], runs, storage)


def _key(name: str, profile: str | None, pairs: list[str], runs: Path, storage: str | None) -> str:
    from ddsweep.recipe import unknown_parameter
    from ddsweep.settings import settings

    one, wanted = finished(name, profile, runs, storage), settings(pairs)
    fields = one.cells[0].recipe.model_dump()
    for field in wanted:
        if field not in fields:
            raise UserError(unknown_parameter(field, fields))
    found = [cell for cell in one.cells if all(getattr(cell.recipe, field) == value for field, value in wanted.items())]
    if len(found) == 1:
        return found[0].key
    cells = f"{len(found) or 'none'} of the {len(one.cells)} cells of {one.full_name}"
    if not found:
        axes = "; ".join(f"{field}: {one.describe(field)}" for field in one.swept)
        raise UserError(f"cell: {cells} has these choices ({axes})")
    differ = [field for field in one.swept if len({getattr(cell.recipe, field) for cell in found}) > 1]
    example = ",".join(f"{field}={_shown(getattr(found[-1].recipe, field))}" for field in differ)
    raise UserError(f"cell: {cells} have these choices; choose one, for example: {one.full_name}:{example}")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _echo(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201

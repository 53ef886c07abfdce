"""Launched sweeps: their storage, their cells, and their results from every host."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import again, characters, text
from ddsweep.errors import UserError, near

if TYPE_CHECKING:
    from ddsweep.backends import Store
    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.sweep import Sweep

LISTED = 8  # launched sweeps, at most, in a line about an unknown one


def url(runs: Path, storage: str | None) -> str:
    """The URL of the chosen storage; by default, SQLite in the runs folder."""
    return storage or f"sqlite:///{(runs / 'ddsweep.db').absolute()}"


def connect(runs: Path, storage: str | None, create: bool = False) -> OptunaStore:
    """Open the storage.

    Raises:
        UserError: the storage cannot be reached, or nothing was launched in the runs folder.
    """
    from ddsweep import backends

    if not create:
        _check_launched(runs, storage)
    else:
        try:
            runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"runs: cannot write {runs} ({error.strerror})") from None
    return backends.connect(url(runs, storage), artifacts=runs / "artifacts")


def _check_launched(runs: Path, storage: str | None) -> None:
    """Raise UserError if nothing was launched in the runs folder, or in the storage."""
    from ddsweep import backends

    start = again.other("launch", "ablation-alpha", "--profile", "demo")
    if storage is None and not (runs / "ddsweep.db").is_file():
        raise UserError(f"nothing was launched in {runs.absolute()} yet; start with: {start}")
    if storage is not None and (file := backends.sqlite_file(storage)) and not file.is_file():
        raise UserError(f"nothing was launched in {file} yet; is --storage (or $DDSWEEP_STORAGE) the right file?")


def reading(runs: Path, storage: str | None) -> Store:
    """Every launched sweep: those in the storage, and those on W&B that the runs folder records.

    Raises:
        UserError: the storage cannot be reached, or nothing was launched in the runs folder.
    """
    from ddsweep import backends
    from ddsweep.backends.local import FolderStore, Library

    folder = FolderStore(runs)
    if storage is None and folder.names() and not (runs / "ddsweep.db").is_file():
        return folder
    _check_launched(runs, storage)
    return Library(folder, backends.connect_to_read(url(runs, storage), runs / "artifacts"))


def finished(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched; results from other hosts are copied into the runs folder first.

    What is left out of its table is reported: damaged results, and those from other images.

    Raises:
        UserError: as for ``load``, or the runs folder cannot be written.
    """
    sweep, store = load(name, profile, runs, storage), reading(runs, storage)
    try:
        gather(store, sweep, runs)
        sweep = replace(sweep, progress=store.sweep(sweep.full_name).status().progress)
    finally:
        store.close()
    for line in (*absent_parts(sweep), *left_out(sweep, runs)):
        _echo(line)
    return sweep


def absent_parts(sweep: Sweep) -> list[str]:
    """The parts of plugins that the cells of a sweep have and this host does not, in a line each."""
    from ddsweep.recipe import absent

    return absent.lines(cell.recipe for cell in sweep.cells)


def shown(name: str, profile: str | None, settings: Mapping[str, Any], runs: Path, storage: str | None) -> Sweep:
    """A sweep to show: as it would be launched, or as it was launched if this host lacks the plugins of its file.

    What it lacks is reported, and whether it has other code than a sweep without a file was launched with.

    Raises:
        UserError: as for ``planned``, or it was not launched.
    """
    from ddsweep import plugins
    from ddsweep.recipe import verify

    try:
        plugins.load()
        loaded = planned(name, profile, settings, runs, storage)
        if loaded.origin:
            verify(loaded.recipes)
            return loaded
    except UserError:
        full_name = registered_name(name, profile)
        if settings or full_name not in known_names(runs, storage):
            raise
        loaded = replace(load(name, profile, runs, storage), progress={})
        if not absent_parts(loaded):
            raise
    lines = absent_parts(loaded)
    try:
        verify([] if lines else loaded.launched.recipes)
    except UserError as error:
        lines = [str(error)]
    for line in lines:
        _echo(line)
    return loaded


def gather(store: Store, sweep: Sweep, runs: Path) -> None:
    """Copy the results of other hosts into the runs folder; report complete cells whose results are unavailable."""
    from ddsweep.backends import State
    from ddsweep.results import transfer
    from ddsweep.sweep import relaunch

    keys = [cell.key for cell in sweep.cells]
    unusable = transfer.bring(store, keys, runs) if isinstance(store, transfer.Shelf) else {}
    if unusable:
        more = f" (and {len(unusable) - 1} more)" if len(unusable) > 1 else ""
        _echo(f"not copied from the storage: {next(iter(unusable.values()))}{more}")
    absent = set(transfer.absent(keys, runs)) - set(unusable)
    rows = store.sweep(sweep.full_name).status().rows if absent else []
    gone = [row for row in rows if row.state is State.COMPLETE and row.point.key in absent]
    if gone:
        cells = text.plural(len(gone), "complete cell")
        hosts = ", ".join(sorted({row.agent.split(":")[0] for row in gone} - {""}))
        where = f"; computed on {hosts}" if hosts else ""
        command = again.other("launch", *relaunch(sweep))
        _echo(f"{cells} without files in {runs} or in the storage{where}; to compute them again: {command}")


def left_out(sweep: Sweep, runs: Path) -> list[str]:
    """What is left out of a sweep's table, and whether its images have changed since the launch; line by line."""
    from ddsweep.results import image_checksums, stored
    from ddsweep.sweep import relaunch

    lines = stored.collect(sweep, runs).lines()
    if lines:
        lines.append(f"to compute these cells again: {again.other('launch', *relaunch(sweep), '--recompute')}")
    if changes := image_checksums.changes([cell.recipe for cell in sweep.cells], sweep.data):
        lines += [f"{change} since the launch; results are from the images at the launch" for change in changes]
        command = again.other("launch", *relaunch(sweep))
        lines.append(f"to compare the images, and compute with the present ones: {command}")
    return lines


def computed(sweep: Sweep, runs: Path) -> int:
    """The number of a sweep's cells with a usable result in the runs folder, whichever sweep computed them."""
    from ddsweep.results import stored

    return len(stored.collect(sweep, runs).results)


def report_damaged_files(sweep: Sweep, runs: Path) -> None:
    """Report the files of finished cells, apart from their results, that are damaged."""
    from ddsweep.results import stored
    from ddsweep.sweep import relaunch

    if damaged := stored.check_files(stored.collect(sweep, runs).results, runs):
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        command = again.other("launch", *relaunch(sweep), "--recompute")
        _echo(f"left out of the figures: {next(iter(damaged.values()))}{more}; to compute again: {command}")


def report_missing_images(sweep: Sweep, runs: Path) -> None:
    """Report finished cells that cannot be drawn because their images are on another host, or damaged."""
    from ddsweep.results import run_files, transfer

    report_damaged_files(sweep, runs)
    bare = transfer.without_set([cell.key for cell in sweep.cells], runs)
    if bare:
        limit = transfer.LARGEST // 2**20
        cells = text.plural(len(bare), "finished cell")
        why = f"without {run_files.SET} in {runs} (above {limit} MB, it stays on the host that made it)"
        _echo(f"left out of the figures: {cells} {why}")


def check_precisions(sweep: Sweep, runs: Path, devices: Iterable[str]) -> None:
    """Refuse to launch cells whose precision one of the devices does not have; finished cells need no device.

    Raises:
        UserError: see ``precision.check``.
    """
    from ddsweep import precision
    from ddsweep.results.run_files import RESULT

    rest = [one for one in sweep.recipes if one.precision != "float32" and not (runs / one.key() / RESULT).is_file()]
    for name in {one.precision for one in rest}:
        for device in devices:
            precision.check(name, device)


def registered_name(name: str, profile: str | None) -> str:
    """The registered name, ``NAME@PROFILE``, of a reference, which may be a path or a name such as ``table5``."""
    from ddsweep import sweep

    stem, scale = sweep.split(name, profile)
    return f"{sweep.canonical_name(stem)}@{scale}"


def planned(
    reference: str, profile: str | None, settings: Mapping[str, Any], runs: Path, storage: str | None, name: str = ""
) -> Sweep:
    """A sweep to launch: from its file, or without a file as it was launched before.

    Args:
        reference: as for ``sweep.load``; a name that no file has stands for the launched sweep.
        profile: the profile, if it is not in the reference.
        settings: the values of ``--set``; without a file, only of fields that the sweep varies.
        runs: folder of all runs.
        storage: the storage URL; None: SQLite in ``runs``.
        name: the name of the sweep, instead of the one that follows from the file and the settings.

    Raises:
        UserError: the sweep is neither a file nor launched, or the file, the name or a setting is invalid.
    """
    from ddsweep import sweep
    from ddsweep.sweep.confirming import SUFFIX

    try:
        return sweep.load(reference, profile, settings, name)
    except UserError as error:
        stem, scale = sweep.split(reference, profile)
        if sweep.has_file(stem):
            raise
        full_name = registered_name(stem, scale)
        launched = known_names(runs, storage)
        if full_name not in launched:
            raise UserError(_with_launched(str(error), full_name, launched)) from None
    if name:
        raise UserError(f"as: {full_name} was launched under this name; without its file it cannot have another one")
    restored = replace(load(stem, scale, runs, storage), sampled=(), progress={})
    if settings and stem.endswith(SUFFIX):
        searched = again.other("launch", f"{stem.removesuffix(SUFFIX)}@{scale}", "--confirm", "N")
        raise UserError(f"{full_name}: its trials and seeds come from its search; for more new seeds: {searched}")
    return sweep.narrowed(replace(restored, kept=()), settings) if settings else restored


def _with_launched(error: str, name: str, launched: Sequence[str]) -> str:
    """The line about an unknown sweep, with launched sweeps: first those of this name at other profiles."""
    stem = name.partition("@")[0]
    alike = [one for one in launched if one.partition("@")[0] == stem] or [*filter(None, [near(name, launched)])]
    listed = [*alike, *(one for one in launched if one not in alike)]
    if not listed:
        return error
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    problem, separator, rest = error.partition("; ")
    return f"{problem}; launched before: {', '.join(listed[:LISTED])}{more}{separator}{rest}"


def known_names(runs: Path, storage: str | None) -> list[str]:
    """The launched sweeps; none if nothing was launched yet.

    Raises:
        UserError: the storage cannot be reached.
    """
    store = _existing(runs, storage)
    try:
        return store.names()
    finally:
        store.close()


def registered(loaded: Sweep, runs: Path, storage: str | None) -> Sweep | None:
    """A sweep as it is registered, with its progress; None: it is not, or by a version that cannot be read.

    Raises:
        UserError: its name is that of a launch of another file, or with other settings; or the storage cannot be
            reached.
    """
    from ddsweep import sweep

    store = _existing(runs, storage)
    try:
        names = store.names()
        if loaded.full_name not in names:
            return None
        try:
            before = restored(store, loaded.full_name)
        except UserError:
            return None
        if line := sweep.conflict(loaded, before, names):
            raise UserError(line)
        return replace(before, progress=store.sweep(loaded.full_name).status().progress)
    finally:
        store.close()


def _existing(runs: Path, storage: str | None) -> Store:
    """The launched sweeps, without a database if there is none yet."""
    from ddsweep import backends
    from ddsweep.backends.local import FolderStore

    file = backends.sqlite_file(url(runs, storage))
    return FolderStore(runs) if file and not file.is_file() else reading(runs, storage)


def load(name: str, profile: str | None, runs: Path, storage: str | None) -> Sweep:
    """A sweep as it was launched.

    Raises:
        UserError: it was not launched; the message names those that were.
    """
    store = reading(runs, storage)
    try:
        return restored(store, registered_name(name, profile))
    finally:
        store.close()


def restored(store: Store, name: str) -> Sweep:
    """A registered sweep, with the points that a search has drawn. Raises UserError: it is not registered."""
    from ddsweep.sweep import Sweep

    definition = store.load_definition(name)
    sweep = Sweep.from_definition(definition.definition).knowing(definition.points)
    return sweep.with_points(point.params for point in definition.points)


def run_folder(name: str, profile: str | None, set_: list[str] | None, runs: Path, storage: str | None) -> Path:
    """The folder of a run, by its key or as the only cell of a launched sweep with these choices."""
    from ddsweep.exchange import collect

    sweep, _, cell = name.partition(":")
    if collect.KEY.fullmatch(name) and not (profile or set_):
        return collect.run_folder(name, runs)
    return runs / _key(sweep, profile, [*(part for part in cell.split(",") if part), *(set_ or [])], runs, storage)


def _key(name: str, profile: str | None, pairs: list[str], runs: Path, storage: str | None) -> str:
    from ddsweep.recipe import unknown_parameter
    from ddsweep.results.tables.naming import exactly
    from ddsweep.settings import settings

    sweep, wanted = finished(name, profile, runs, storage), settings(pairs)
    fields = dict.fromkeys((*sweep.cells[0].recipe.model_dump(), *sweep.swept))
    fields |= dict.fromkeys(name for cell in sweep.cells for name in cell.recipe.option_names)
    for field in wanted:
        if field not in fields:
            raise UserError(unknown_parameter(field, fields))
    wanted = {field: _meant(sweep, field, value) for field, value in wanted.items()}
    matches = [
        cell for cell in sweep.cells if all(cell.recipe.value(field) == value for field, value in wanted.items())
    ]
    if len(matches) == 1:
        return matches[0].key
    cells = f"{len(matches) or 'none'} of the {len(sweep.cells)} cells of {sweep.full_name}"
    if not matches:
        axes = "; ".join(f"{field}: {_values(sweep, field)}" for field in sweep.swept)
        raise UserError(f"cell: {cells} has these choices ({axes})")
    differ = [field for field in sweep.swept if len({cell.recipe.value(field) for cell in matches}) > 1]
    chosen = dict.fromkeys((*wanted, *differ))
    example = ",".join(f"{field}={exactly(matches[-1].recipe.value(field))}" for field in chosen)
    raise UserError(f"cell: {cells} have these choices; choose one, for example: {sweep.full_name}:{example}")


def _meant(sweep: Sweep, field: str, value: Any) -> Any:
    """The value of a field that was typed in full, or as tables write it if that is only one of its values."""
    from ddsweep.results.tables.naming import Labels
    from ddsweep.settings import scalar

    values = dict.fromkeys(cell.recipe.value(field) for cell in sweep.cells)
    labels = Labels.of_sweep(sweep)
    alike = [one for one in values if scalar(labels.text(field, one)) == value]
    return alike[0] if value not in values and len(alike) == 1 else value


def _values(sweep: Sweep, field: str) -> str:
    """The values of a field among the cells, in full."""
    from ddsweep.results.tables.naming import exactly

    return ", ".join(dict.fromkeys(exactly(cell.recipe.value(field)) for cell in sweep.cells))


def _echo(line: str) -> None:
    print(characters.one_line(line), file=sys.stderr)  # noqa: T201

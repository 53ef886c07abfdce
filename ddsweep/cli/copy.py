"""``ddsweep copy``: a sweep file for the user to edit."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Name, Profile, Runs, Settings, Storage, settings
from ddsweep.errors import UserError
from ddsweep.text import plural

if TYPE_CHECKING:
    from ddsweep.sweep import Sweep

File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="New file (default: my-NAME.yaml).")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite FILE if it exists.")]


def copy(
    name: Name,
    file: File = None,
    profile: Profile = None,
    set_: Settings = None,
    force: Force = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Copy a sweep file, with its comments, for you to edit: `ddsweep copy ablation-alpha mine.yaml`.

    With --profile or --set, the copy contains their values. Cells that it shares with other sweeps are not run again.
    """
    from ddsweep import again, files, launches, sweep

    stem, scale = sweep.split(name, profile)
    changed = profile or scale != sweep.DEFAULT_PROFILE or set_ or not sweep.has_file(stem)
    note = _note(stem, scale, set_) if changed else ""
    target = _target(file, Path(stem).stem if stem.endswith((".yaml", ".yml")) else stem)
    _refuse_clash(target, force, runs, storage)
    if target.exists() and not force:
        raise UserError(f"copy: {target} exists; choose another name, or overwrite it with --force")
    copied, text = _copied(name, profile, set_, target, note, runs, storage)
    files.write_text(target, text)
    done = launches.computed(copied, runs)
    cells = f"{plural(len(copied.cells), 'cell')}, {done} finished in {runs}"
    points = f", and {plural(copied.search.run_cap, 'point')} to sample" if copied.search else ""
    console.echo(f"{target}: {copied.full_name}, {cells}{points}")
    small = "" if note else "; try it small first with --profile demo"
    console.echo(f"edit it and launch it: only new cells are run{small}")
    console.echo(again.other("launch", str(target)))


def _note(stem: str, scale: str, pairs: list[str] | None) -> str:
    """What the copy contains, for its header."""
    return f"{stem} with profile {scale}" + (f" and {', '.join(pairs)}" if pairs else "")


def _target(file: Path | None, name: str) -> Path:
    """The file to write; in a folder, the file of the default name."""
    default = f"my-{name}.yaml"
    target = Path(default) if file is None else file / default if file.is_dir() else file
    if target.suffix not in (".yaml", ".yml"):
        target = target.with_name(f"{target.name}.yaml")
    if "@" in target.stem:
        raise UserError(f"copy: {target.name}: a sweep's name cannot contain @, which separates it from the profile")
    return target


def _refuse_clash(target: Path, force: bool, runs: Path, storage: str | None) -> None:
    """Refuse a file whose name is that of another sweep: launching it would change that sweep's cells.

    Raises:
        UserError: there is a sweep of that name.
    """
    from ddsweep import sweep

    other = sweep.paper_names().get(target.stem, target.stem)
    if other in sweep.names() and not (force and target.exists() and target.samefile(sweep.find(other))):
        raise UserError(
            f"copy: {target.stem} is the name of a sweep ({sweep.find(other)}); choose another name for the file"
        )
    launched = [name for name in _launched(runs, storage) if name.partition("@")[0] == target.stem]
    if launched and not force:
        clash = f"copy: {target.name} would replace the sweep {launched[0]}, which was launched, and change its cells"
        raise UserError(f"{clash}; choose another name, or use --force")


def _launched(runs: Path, storage: str | None) -> list[str]:
    """The launched sweeps; none if the storage is not available, which a copy does not need."""
    from ddsweep import launches

    with contextlib.suppress(UserError):
        store = launches.reading(runs, storage)
        try:
            return store.names()
        finally:
            store.close()
    return []


def _copied(
    name: str, profile: str | None, set_: list[str] | None, target: Path, note: str, runs: Path, storage: str | None
) -> tuple[Sweep, str]:
    """The sweep and the text of its copy: from its file, or without a file from the storage, as it was launched."""
    from ddsweep import launches
    from ddsweep.sweep import copying
    from ddsweep.sweep.confirming import SUFFIX

    whole = launches.planned(name, profile, settings(set_), runs, storage)
    planned = whole.launched
    if earlier := len(whole.cells) - len(planned.cells):
        if planned.name.endswith(SUFFIX):
            search = f"{planned.name.removesuffix(SUFFIX)}@{planned.profile}"
            raise UserError(f"copy: {planned.full_name} is not a grid of values; copy its search: {search}")
        console.note(f"copy: without the {plural(earlier, 'cell')} that only earlier launches have")
    if not planned.search and planned.baseline and not any(planned.is_baseline(cell.recipe) for cell in planned.cells):
        baseline = ", ".join(f"{field}: {value}" for field, value in planned.baseline.items())
        raise UserError(f"copy: no cell is the baseline ({baseline}), so this cannot be a file; leave it in")
    if planned.origin is None:
        return planned, copying.written(planned, target, f"{planned.full_name} as it was launched")
    return planned, copying.copied(planned.origin.path, planned, target, note)

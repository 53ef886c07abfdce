"""``ddsweep copy``: a sweep file of one's own."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import RUNS, Name, Profile, Runs, Settings, Storage, settings
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from ddsweep.sweep import Sweep

File = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The new file; default: my-NAME.yaml.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite FILE.")]


def copy(
    name: Name,
    file: File = None,
    profile: Profile = None,
    set_: Settings = None,
    force: Force = False,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Write a sweep's file to edit, comments and all: `ddsweep copy ablation-alpha mine.yaml`.

    With --profile or --set their values are written into it. Cells that it shares with others are not computed again.
    """
    from ddsweep import files, sweep
    from ddsweep.cli import stores

    stem, scale = sweep.split(name, profile)
    said = _said(stem, scale, set_) if profile or scale != sweep.DEFAULT_PROFILE or set_ else ""
    target = _target(file, Path(stem).stem if stem.endswith((".yaml", ".yml")) else stem)
    _refuse_clash(target, force, runs, storage)
    if target.exists() and not force:
        raise UserError(f"copy: {target} exists; choose another name, or --force overwrites it")
    one, text = _written(name, profile, set_, target, said, runs, storage)
    files.write_text(target, text)
    done = stores.computed(one, runs)
    cells = f"{len(one.cells)} cell{'s' * (len(one.cells) != 1)}, {done} of them finished in {runs}"
    drawn = f", and {one.search.run_cap} points to draw" if one.search else ""
    typer.echo(f"{target}: {one.full_name}, {cells}{drawn}")
    scaled = "" if said else "; a small one first: --profile demo"
    typer.echo(f"edit it; only cells that are new are computed{scaled}")
    elsewhere = "" if runs == RUNS or os.environ.get("DDSWEEP_RUNS") else f" --runs {shlex.quote(str(runs))}"
    typer.echo(f"ddsweep launch {shlex.quote(str(target))}{elsewhere}")


def _said(stem: str, scale: str, pairs: list[str] | None) -> str:
    """What is joined in, for the head of the file."""
    return f"{stem} at the scale {scale}" + (f", with {', '.join(pairs)}" if pairs else "")


def _target(file: Path | None, name: str) -> Path:
    """The file to write; a folder stands for the default name in it."""
    default = f"my-{name}.yaml"
    target = Path(default) if file is None else file / default if file.is_dir() else file
    if target.suffix not in (".yaml", ".yml"):
        target = target.with_name(f"{target.name}.yaml")
    if "@" in target.stem:
        raise UserError(f"copy: {target.name}: a sweep's name has no @, which stands before the profile")
    return target


def _refuse_clash(target: Path, force: bool, runs: Path, storage: str | None) -> None:
    """A file is the sweep of its name: launching it would change the grid of another one of that name.

    Raises:
        UserError: there is one.
    """
    from ddsweep import sweep

    other = sweep.paper_names().get(target.stem, target.stem)
    if other in sweep.names() and not (force and target.exists() and target.samefile(sweep.find(other))):
        raise UserError(
            f"copy: {target.stem} is the name of a sweep ({sweep.find(other)}); choose another for the file"
        )
    launched = [name for name in _launched(runs, storage) if name.partition("@")[0] == target.stem]
    if launched and not force:
        said = f"copy: {target.name} would be the sweep {launched[0]}, which was launched, and change its cells"
        raise UserError(f"{said}; choose another name, or --force")


def _launched(runs: Path, storage: str | None) -> list[str]:
    """The launched sweeps, as far as the storage can be asked: a copy does not need it."""
    from ddsweep.cli import stores

    with contextlib.suppress(UserError):
        store = stores.reading(runs, storage)
        try:
            return store.names()
        finally:
            store.close()
    return []


def _written(
    name: str, profile: str | None, set_: list[str] | None, target: Path, said: str, runs: Path, storage: str | None
) -> tuple[Sweep, str]:
    """The sweep, and its text: from its file, or where that is not here as it was launched."""
    from ddsweep import sweep
    from ddsweep.cli import stores
    from ddsweep.sweep import copying

    stem, scale = sweep.split(name, profile)
    try:
        path = sweep.find(stem)
    except UserError:
        if f"{Path(stem).stem if stem.endswith(('.yaml', '.yml')) else stem}@{scale}" not in _launched(runs, storage):
            raise
        if set_:
            raise UserError(f"set: the file of {stem} is not here; copy it as it was launched, and edit that") from None
        one = stores.launched(name, profile, runs, storage)
        return one, copying.written(one, target, f"{one.full_name} as it was launched; its own file is not here")
    one = sweep.load(name, profile, settings(set_))
    return one, copying.copied(path, one, target, said)

"""Sweeps and profiles by name: each YAML file in a sweeps folder is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ddsweep.errors import UserError, closest
from ddsweep.sweep import naming
from ddsweep.sweep.document import read

DEFAULT_PROFILE = "paper"


def split(reference: str, profile: str | None = None) -> tuple[str, str]:
    """Split ``NAME@PROFILE`` into name and profile.

    Raises:
        UserError: the reference and ``profile`` name different profiles.
    """
    name, _, suffix = reference.partition("@") if not Path(reference).is_file() else (reference, "", "")
    if suffix and profile and suffix != profile:
        raise UserError(f"profile: {reference} and --profile {profile} name different profiles")
    return name, suffix or profile or DEFAULT_PROFILE


def folders() -> list[Path]:
    """The folders with sweep files: ``sweeps/`` in the current folder first, then the one that ships with ddsweep."""
    return [folder for folder in (Path("sweeps"), _shipped()) if folder.is_dir()]


def is_shipped(path: Path) -> bool:
    """Whether a sweep file ships with ddsweep; all others are a user's own."""
    return path.resolve().parent == _shipped().resolve()


def _shipped() -> Path:
    package = Path(__file__).parent.parent
    return package / "_sweeps" if (package / "_sweeps").is_dir() else package.parent / "sweeps"


def names() -> list[str]:
    """All sweeps that can be launched by name."""
    return _stems("")


def profiles() -> list[str]:
    """All profiles."""
    return _stems("profiles")


def _stems(subfolder: str) -> list[str]:
    return sorted({path.stem for folder in folders() for path in (folder / subfolder).glob("*.yaml")})


def find(name: str) -> Path:
    """The file of a sweep, given its path, its name, or its table or figure in the paper.

    A name is looked up in ``folders()``, and after that in the current folder, so that a file that was launched by its
    path is also found by the name of its sweep.

    Raises:
        UserError: there is no such file or sweep.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"no sweep file {name}")
        return Path(name)
    known = names()
    if name not in known and name not in paper_names() and (local := Path(f"{name}.yaml")).is_file():
        return local
    return _find("sweep", "", name if name in known else paper_names().get(name, name), known)


def resolve(name: str) -> tuple[Path, dict[str, Any]]:
    """The file that a name stands for, and the settings that are part of the name.

    Raises:
        UserError: there is no such sweep, or the name has a shortened value, which cannot be read back.
    """
    try:
        return find(name), {}
    except UserError:
        base, settings = naming.parsed(name)
        if not settings:
            raise
    path = find(base)
    if naming.is_shortened(name):
        raise UserError(f"unknown sweep {name!r}: its name has a shortened value; launch {base} with --set again")
    return path, settings


def has_file(name: str) -> bool:
    """Whether a name is that of a file, without settings."""
    try:
        return bool(find(name))
    except UserError:
        return False


def canonical_name(name: str) -> str:
    """The name of a sweep as it is registered, given a path, a name from the paper, or a name with settings."""
    base, settings = (name, {}) if has_file(name) else naming.parsed(name)
    stem = find(base).stem if has_file(base) else Path(base).stem if base.endswith((".yaml", ".yml")) else base
    if not settings or naming.is_shortened(name):
        return stem + name.removeprefix(base)
    return naming.derived(stem, {field: naming.as_tuple(value) for field, value in settings.items()})


def paper_names() -> dict[str, str]:
    """Sweeps by their table or figure in the paper: ``table5`` is ``ablation-n-archs``.

    It is an alias to type: the sweep and its study keep the name of the file.
    """
    aliases: dict[str, str] = {}
    for name in names():
        try:
            paper = re.sub(r"\W", "", str(read(find(name))["x-ddsweep"]["paper"])).lower()
        except (UserError, KeyError, TypeError):  # a file with an error has no alias; loading it reports the error
            continue
        if paper:
            aliases.setdefault(re.sub("^fig(ure)?", "figure", paper), name)
    return aliases


def find_profile(name: str) -> Path:
    """The file of a profile.

    Raises:
        UserError: there is no such profile.
    """
    return _find("profile", "profiles", name, profiles())


def _find(kind: str, subfolder: str, name: str, known: list[str]) -> Path:
    for folder in folders():
        path = folder / subfolder / f"{name}.yaml"
        if name in known and path.is_file():
            return path
    also = paper_names() if kind == "sweep" else ()
    raise UserError(f"unknown {kind} {name!r}; {closest(name, known, also)}")

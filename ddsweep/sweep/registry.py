"""The directory is the registry: which sweeps and profiles there are, and where."""

from __future__ import annotations

import re
from pathlib import Path

from ddsweep.errors import UserError, closest
from ddsweep.sweep.document import read

DEFAULT_PROFILE = "paper"


def split(reference: str, profile: str | None = None) -> tuple[str, str]:
    """``NAME@PROFILE`` into its parts.

    Raises:
        UserError: two profiles that differ.
    """
    name, _, written = reference.partition("@") if not Path(reference).is_file() else (reference, "", "")
    if written and profile and written != profile:
        raise UserError(f"profile: {reference} and --profile {profile} name two profiles")
    return name, written or profile or DEFAULT_PROFILE


def folders() -> list[Path]:
    """Where sweep files are looked for: ``sweeps/`` here first, then those that ship with ddsweep."""
    package = Path(__file__).parent.parent
    shipped = package / "_sweeps" if (package / "_sweeps").is_dir() else package.parent / "sweeps"
    here = Path("sweeps")
    return [folder for folder in (here, shipped) if folder.is_dir()]


def names() -> list[str]:
    """Every sweep that can be launched by name: the directory is the registry."""
    return _stems("")


def profiles() -> list[str]:
    """Every profile."""
    return _stems("profiles")


def _stems(part: str) -> list[str]:
    return sorted({path.stem for folder in folders() for path in (folder / part).glob("*.yaml")})


def find(name: str) -> Path:
    """The file of a sweep: a path to one; the first ``NAME.yaml`` of ``folders()``, or of the paper's name for it.

    Or else ``NAME.yaml`` here, so that a file that was launched can be called by the name that its sweep has.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"no sweep file {name}")
        return Path(name)
    known = names()
    if name not in known and name not in in_paper() and (here := Path(f"{name}.yaml")).is_file():
        return here
    return _find("sweep", "", name if name in known else in_paper().get(name, name), known)


def in_paper() -> dict[str, str]:
    """Sweeps by the table or figure of the paper that they are: ``table5`` is ``ablation-n-archs``.

    The other name is for typing only: sweep, study and cells are the same, under the name of the file.
    """
    found: dict[str, str] = {}
    for name in names():
        try:
            paper = re.sub(r"\W", "", str(read(find(name))["x-ddsweep"]["paper"])).lower()
        except (UserError, KeyError, TypeError):  # a file with an error is nobody's table; loading it names the error
            continue
        if paper:
            found.setdefault(re.sub("^fig(ure)?", "figure", paper), name)
    return found


def find_profile(name: str) -> Path:
    """The file of a profile."""
    return _find("profile", "profiles", name, profiles())


def _find(kind: str, part: str, name: str, known: list[str]) -> Path:
    for folder in folders():
        path = folder / part / f"{name}.yaml"
        if name in known and path.is_file():
            return path
    raise UserError(f"unknown {kind} {name!r}; {closest(name, known)}")

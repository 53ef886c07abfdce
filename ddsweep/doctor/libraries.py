"""Python and the libraries: which versions are here, and whether they are those that each asks the others to be.

The requirements are the publishers' own (the metadata that pip installed), so no table of ours grows old: an Optuna of
another major version, a NumPy that some package has downgraded, a torchvision that was made for another torch.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sys
from dataclasses import dataclass, field
from importlib import metadata

from packaging.requirements import Requirement

from ddsweep.doctor.check import Finding, Place, broken, ok, warning

OURS = "ddsweep"
SHOWN = ("torch", "torchvision", "numpy", "optuna", "wandb")
EXTRAS = {"clip": "open_clip", "postgres": "psycopg", "slurm": "submitit"}  # and the module that each is there for


@dataclass(frozen=True)
class Unmet:
    """A requirement that does not hold: who asks, for what, and what is installed instead (empty: nothing)."""

    by: str
    asks: str
    name: str
    installed: str


@dataclass(frozen=True)
class Libraries:
    """What is installed.

    Attributes:
        python: its version.
        versions: of everything that ddsweep needs, directly or not, by name.
        unmet: requirements among these that do not hold.
        extras: the extras that are installed.
        sbatch: whether this machine submits jobs to Slurm.
    """

    python: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()
    extras: frozenset[str] = frozenset()
    sbatch: bool = False


def look(place: Place) -> Libraries:
    """Read what pip noted of every package; nothing is imported."""
    versions: dict[str, str] = {}
    unmet: list[Unmet] = []
    _walk(OURS, versions, unmet)
    extras = frozenset(extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module) is not None)
    return Libraries(sys.version_info[:3], versions, tuple(unmet), extras, shutil.which("sbatch") is not None)


def python(facts: Libraries) -> list[Finding]:
    """The interpreter."""
    version = ".".join(map(str, facts.python))
    return [ok("Python", f"{version} ({sys.platform}, {platform.machine()}), {sys.prefix}")]


def versions(facts: Libraries) -> list[Finding]:
    """What ddsweep itself asks for has to be there; what others ask for ought to."""
    found = []
    for one in facts.unmet:
        said = f"{one.by} asks for {one.asks}; installed: {one.installed or 'nothing'}"
        state = broken if one.by == OURS or {one.by, one.name} <= {"torch", "torchvision"} else warning
        found.append(state(one.name, said, f"pip install '{one.asks}'"))
    shown = ", ".join(f"{name} {facts.versions[name]}" for name in SHOWN if name in facts.versions)
    return found or [ok("libraries", f"{len(facts.versions)}, each as the others ask: {shown}")]


def extras(facts: Libraries) -> list[Finding]:
    """Extras are wanted only where there is something to use them with."""
    if facts.sbatch and "slurm" not in facts.extras:
        said = "sbatch is here, and submitit, which launch --slurm needs, is not"
        return [warning("extras", said, "pip install 'ddsweep[slurm]'")]
    missing = sorted(set(EXTRAS) - facts.extras)
    absent = f"; not installed: {', '.join(missing)} (pip install 'ddsweep[{','.join(missing)}]')" if missing else ""
    return [ok("extras", f"{', '.join(sorted(facts.extras)) or 'none'}{absent}")]


def canonical(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _walk(name: str, versions: dict[str, str], unmet: list[Unmet]) -> None:
    """Note the version of a package and of all that it needs, and what of that does not hold."""
    package = metadata.distribution(name)
    versions[name] = package.version
    for text in package.requires or ():
        asked = Requirement(text)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        other = canonical(asked.name)
        try:
            installed = metadata.version(other)
        except metadata.PackageNotFoundError:
            installed = ""
        # a local version (2.9.0+cu128) meets what asks for 2.9.0, and so does a release candidate that is installed
        if not installed or not asked.specifier.contains(installed, prereleases=True):
            unmet.append(Unmet(name, f"{asked.name}{asked.specifier}", other, installed))
        if installed and other not in versions:
            _walk(other, versions, unmet)

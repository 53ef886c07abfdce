"""Python and the libraries: which versions are installed, and whether they meet each other's requirements.

The requirements come from the metadata of the installed packages, so that no table here becomes outdated. Examples: an
Optuna of another major version, a NumPy that some package has downgraded, a torchvision built for another torch.
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

from ddsweep.doctor.check import Finding, Place, error, ok, warning

OURS = "ddsweep"
SHOWN = ("torch", "torchvision", "numpy", "optuna", "wandb")
# each extra, and a module that it installs
EXTRAS = {"clip": "open_clip", "corruptions": "cv2", "notebook": "pandas", "postgres": "psycopg", "slurm": "submitit"}


@dataclass(frozen=True)
class Unmet:
    """A requirement that is not met.

    Attributes:
        by: the package that has the requirement.
        requirement: as it spells it, ``torch==2.9.0``.
        name: the required package.
        installed: the installed version; empty if none is.
    """

    by: str
    requirement: str
    name: str
    installed: str


@dataclass(frozen=True)
class Libraries:
    """What is installed.

    Attributes:
        python: its version.
        versions: of every package that ddsweep requires, directly or indirectly, by name.
        unmet: requirements of these packages that are not met.
        extras: the extras that are installed.
        sbatch: whether this machine can submit jobs to Slurm.
    """

    python: tuple[int, ...]
    versions: dict[str, str] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()
    extras: frozenset[str] = frozenset()
    sbatch: bool = False


def inspect(place: Place) -> Libraries:
    """Read the metadata of the installed packages; nothing is imported."""
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
    """A requirement of ddsweep, or between torch and torchvision, is an error if unmet; any other is a warning."""
    findings = []
    for unmet in facts.unmet:
        message = f"{unmet.by} requires {unmet.requirement}; installed: {unmet.installed or 'none'}"
        severity = error if unmet.by == OURS or {unmet.by, unmet.name} <= {"torch", "torchvision"} else warning
        findings.append(severity(unmet.name, message, f"pip install '{unmet.requirement}'"))
    shown = ", ".join(f"{name} {facts.versions[name]}" for name in SHOWN if name in facts.versions)
    return findings or [ok("libraries", f"{len(facts.versions)} with all requirements met: {shown}")]


def extras(facts: Libraries) -> list[Finding]:
    """A missing extra is a warning only if this machine has what it is for (Slurm)."""
    if facts.sbatch and "slurm" not in facts.extras:
        message = "this machine has Slurm, but submitit, which launch --slurm needs, is not installed"
        return [warning("extras", message, "pip install 'ddsweep[slurm]'")]
    missing = sorted(set(EXTRAS) - facts.extras)
    absent = f"; not installed: {', '.join(missing)} (pip install 'ddsweep[{','.join(missing)}]')" if missing else ""
    return [ok("extras", f"{', '.join(sorted(facts.extras)) or 'none'}{absent}")]


def canonical(name: str) -> str:
    """The normalized spelling of a package name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _walk(name: str, versions: dict[str, str], unmet: list[Unmet]) -> None:
    """Collect the versions of a package and of all its requirements, and the requirements that are not met."""
    package = metadata.distribution(name)
    versions[name] = package.version
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        other = canonical(requirement.name)
        try:
            installed = metadata.version(other)
        except metadata.PackageNotFoundError:
            installed = ""
        # a local version (2.9.0+cu128) meets 2.9.0, and an installed release candidate counts too
        if not installed or not requirement.specifier.contains(installed, prereleases=True):
            unmet.append(Unmet(name, f"{requirement.name}{requirement.specifier}", other, installed))
        if installed and other not in versions:
            _walk(other, versions, unmet)

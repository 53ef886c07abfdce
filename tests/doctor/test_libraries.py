"""Versions that do not work together, according to the metadata of the packages."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ddsweep.doctor import State, libraries
from ddsweep.doctor.libraries import Libraries, Unmet
from tests.doctor.test_check import PLACE


def installed(site: Path, name: str, version: str, *requires: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that comes before all others on sys.path."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def test_an_unmet_requirement_is_named_with_its_fix(site: Path) -> None:
    installed(site, "ddsweep", "1", "optuna<6,>=5", "numpy>=2", "torchvision", "gone>=1", "extra-only; extra == 'x'")
    installed(site, "optuna", "4.5.0")
    installed(site, "numpy", "1.26.4")
    installed(site, "torchvision", "0.24.0", "torch==2.9.0", "numpy")
    installed(site, "torch", "2.10.0+cu128")
    facts = libraries.inspect(PLACE)
    found = {one.name: one for one in libraries.versions(facts)}
    assert set(found) == {"optuna", "numpy", "torch", "gone"}
    assert all(one.state is State.ERROR for one in found.values())
    assert found["optuna"].message == "ddsweep requires optuna<6,>=5; installed: 4.5.0"
    assert found["optuna"].fix == "pip install 'optuna<6,>=5'"
    assert found["torch"].message == "torchvision requires torch==2.9.0; installed: 2.10.0+cu128"
    assert found["gone"].message.endswith("installed: none")


def test_a_local_version_and_a_release_candidate_meet_requirements(site: Path) -> None:
    installed(site, "ddsweep", "1", "torch==2.9.0", "numpy>=2")
    installed(site, "torch", "2.9.0+cu128")
    installed(site, "numpy", "2.5.0rc1")
    (found,) = libraries.versions(libraries.inspect(PLACE))
    assert found.state is State.OK
    assert found.message == "3 with all requirements met: torch 2.9.0+cu128, numpy 2.5.0rc1"


def test_an_unmet_requirement_between_other_packages_is_a_warning() -> None:
    facts = Libraries((3, 12, 1), {}, (Unmet("sweeps", "numpy<2", "numpy", "2.4.6"),))
    (found,) = libraries.versions(facts)
    assert found.state is State.WARNING


def test_extras() -> None:
    (found,) = libraries.extras(Libraries((3, 12, 1), extras=frozenset({"clip"})))
    assert (found.state, found.message) == (
        State.OK,
        "clip; not installed: corruptions, notebook, postgres, slurm "
        "(pip install 'ddsweep[corruptions,notebook,postgres,slurm]')",
    )
    (found,) = libraries.extras(Libraries((3, 12, 1), sbatch=True))
    assert (found.state, found.fix) == (State.WARNING, "pip install 'ddsweep[slurm]'")


def test_every_extra_is_checked() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    offered = set(project["optional-dependencies"]) - {"dev", "docs"}
    assert set(libraries.EXTRAS) == offered

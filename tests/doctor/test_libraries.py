"""Versions that do not work together, as pip's own metadata tell it."""

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
    """A place for packages that comes before all others."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def test_what_does_not_fit_is_named_with_its_cure(site: Path) -> None:
    installed(site, "ddsweep", "1", "optuna<6,>=5", "numpy>=2", "torchvision", "gone>=1", "extra-only; extra == 'x'")
    installed(site, "optuna", "4.5.0")
    installed(site, "numpy", "1.26.4")
    installed(site, "torchvision", "0.24.0", "torch==2.9.0", "numpy")
    installed(site, "torch", "2.10.0+cu128")
    facts = libraries.look(PLACE)
    found = {one.name: one for one in libraries.versions(facts)}
    assert set(found) == {"optuna", "numpy", "torch", "gone"}
    assert all(one.state is State.BROKEN for one in found.values())
    assert found["optuna"].found == "ddsweep asks for optuna<6,>=5; installed: 4.5.0"
    assert found["optuna"].cure == "pip install 'optuna<6,>=5'"
    assert found["torch"].found == "torchvision asks for torch==2.9.0; installed: 2.10.0+cu128"
    assert found["gone"].found.endswith("installed: nothing")


def test_a_local_version_and_a_candidate_fit(site: Path) -> None:
    installed(site, "ddsweep", "1", "torch==2.9.0", "numpy>=2")
    installed(site, "torch", "2.9.0+cu128")
    installed(site, "numpy", "2.5.0rc1")
    (found,) = libraries.versions(libraries.look(PLACE))
    assert found.state is State.OK
    assert found.found == "3, each as the others ask: torch 2.9.0+cu128, numpy 2.5.0rc1"


def test_what_others_ask_of_each_other_is_a_warning() -> None:
    facts = Libraries((3, 12, 1), {}, (Unmet("sweeps", "numpy<2", "numpy", "2.4.6"),))
    (found,) = libraries.versions(facts)
    assert found.state is State.WARNING


def test_extras() -> None:
    (found,) = libraries.extras(Libraries((3, 12, 1), extras=frozenset({"clip"})))
    assert (found.state, found.found) == (
        State.OK, "clip; not installed: postgres, slurm (pip install 'ddsweep[postgres,slurm]')",
    )  # fmt: skip
    (found,) = libraries.extras(Libraries((3, 12, 1), sbatch=True))
    assert (found.state, found.cure) == (State.WARNING, "pip install 'ddsweep[slurm]'")


def test_every_extra_is_looked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    offered = set(project["optional-dependencies"]) - {"dev", "docs"}
    assert set(libraries.EXTRAS) == offered

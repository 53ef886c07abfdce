"""A Slurm for tests: a real one on this machine, or programs that answer as one would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddsweep.launchers import Job
from tests.cli.conftest import ddsweep, tiny
from tests.launchers.slurm import onenode

__all__ = ["ddsweep", "tiny"]


@pytest.fixture(scope="session")
def one_node() -> Iterator[Path]:
    """slurm.conf of a cluster that lives as long as the session."""
    try:
        with onenode.one_node() as conf:
            yield conf
    except onenode.Failed as error:
        pytest.fail(str(error))


@pytest.fixture
def cluster(one_node: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's programs talk to it."""
    monkeypatch.setenv("SLURM_CONF", str(one_node))
    return one_node


class Desk:
    """Stands in for Slurm's programs on a login node, and keeps what they were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.queue, self.nodes, self.refusal = folder / "queue", folder / "nodes", folder / "refusal"
        self.queue.touch()
        self.nodes.write_text("node1\nnode2\n")
        told = f'[ "$1" = --version ] && exit; echo "$0 $*" >> {folder}/told'
        self._program(
            "sbatch",
            f'{told}; [ -e {self.refusal} ] && cat {self.refusal} >&2 && exit 1; cp "$1" {folder}/script;'
            f" env > {folder}/environment; echo Submitted batch job 4711",
        )
        self._program("squeue", f"{told}; cat {self.queue}")
        self._program("scancel", f"{told}; : > {self.queue}")
        self._program("scontrol", f"{told}")
        self._program("sinfo", f"{told}; cat {self.nodes}")
        self._program("srun", "exit 1")  # submitit asks whether it is there

    def _program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    @property
    def told(self) -> list[str]:
        path = self.folder / "told"
        return [Path(line).name for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def script(self) -> str:
        return (self.folder / "script").read_text()

    @property
    def environment(self) -> list[str]:
        return (self.folder / "environment").read_text().splitlines()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Programs first on the PATH that record what they are told."""
    one = Desk(tmp_path / "desk")
    monkeypatch.setenv("PATH", f"{one.folder}:{os.environ['PATH']}")
    return one


@pytest.fixture
def job() -> Job:
    return Job("ablation-alpha@demo", Path("runs").absolute(), "postgresql://me:secret@host/db", 0)

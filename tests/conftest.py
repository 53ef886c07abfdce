"""Every test has a home of its own: cache, runs, terminal and environment."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

# before torch, as ddsweep.environment does: threads that wait sleep, see docs/measurements.md
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from alembic.util import pyfiles
from hypothesis import HealthCheck, settings

# on busy cores a first example may take seconds: that says nothing about the code
settings.register_profile(
    "ddsweep", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("ddsweep")
torch.set_num_threads(1)  # two workers share two cores; the networks here are too small to gain from more

# Optuna executes its ten migration scripts whenever a storage is opened, 70 ms of the 100 that a new one takes
pyfiles.load_module_py = cache(pyfiles.load_module_py)  # type: ignore[assignment]

# SQLite and checkpoints wait for the disk at every commit (7 ms each on the disk of a virtual machine), and no test is
# about power cuts: the folders of the tests lie in memory where there is room
MEMORY = Path("/dev/shm")
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4e9:
    for variable in ("PYTEST_DEBUG_TEMPROOT", "TMPDIR"):
        os.environ.setdefault(variable, str(MEMORY))
    tempfile.tempdir = None  # pytest has asked before; now the variable counts

ROOT = Path(__file__).parents[1]
CACHES = {".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
FOUND = {path.name for path in ROOT.iterdir()} | CACHES


@pytest.fixture(autouse=True, scope="session")
def shipped_sweeps_are_read_once() -> None:
    """A name that is no file's is compared with the titles in all files: nine tenths of what a test of it computes."""
    from ddsweep.sweep import registry  # not above, before its packages are checked for shapes

    read, once = registry.read, cache(registry.read)
    registry.read = lambda path: (once if registry.is_shipped(path) else read)(path)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, a cache of its own, 100 columns without color, none of our variables.

    What a test leaves in the folder of the repository would be committed with the next change: it fails.
    """
    for name in [name for name in os.environ if name.startswith(("DDSWEEP_", "WANDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DDSWEEP_NO_CHECK", "1")  # of plugins: tests/plugins/test_checks.py
    monkeypatch.setenv("DDSWEEP_BF16", "emulate")  # whatever this CPU has: tests/test_precision.py
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    if "wandb" in sys.modules:  # its client keeps the environment of the first test that used it in this process
        sys.modules["wandb"].teardown()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield here
    left = {path.name for path in ROOT.iterdir()} - FOUND
    assert not left, f"in the folder of the repository, which belongs to no test: {sorted(left)}"

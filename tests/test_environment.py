"""A process that computes keeps its memory, and its threads sleep while they wait."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from ddsweep import environment

WITHOUT = {
    name: value for name, value in os.environ.items() if name not in (*environment.VARIABLES, *environment.ALLOCATOR)
}

# allocates and frees eight blocks at once, as feature maps are, and counts the pages that the system had to zero
FAULTS = """
import ctypes, resource
from ddsweep import environment
{set_up}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def step():
    blocks = [libc.malloc(ctypes.c_size_t(20 * 2**20)) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, 20 * 2**20)
    for block in blocks:
        libc.free(ctypes.c_void_p(block))
step()
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

COMPUTES = {
    "run": ("run", "ablation-alpha@demo", "alpha=0"),
    "launch in this process": ("launch", "ablation-alpha@demo", "--workers", "0"),
    "agent": ("agent", "ablation-alpha@demo"),
    "trial": ("trial", "ablation-alpha@demo", "{}"),
    "pretrain": ("pretrain", "digits"),
    "evaluate": ("evaluate", "set.pt"),
}
# when a command sets up its environment, it tells whether torch is imported, and ends
STOPPED = """
import sys
from ddsweep import environment
environment.set_up = lambda: sys.exit("torch" if "torch" in sys.modules else "in time")
from ddsweep.cli import main
sys.argv[1:] = {words}
main()
"""


def output(code: str, **variables: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=WITHOUT | variables, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt(3) is glibc's")
def test_memory_is_not_zeroed_again() -> None:
    faults = int(output(FAULTS.format(set_up="")))
    assert faults > 10_000, "without it, each of the 40,960 pages of 4 KiB is new in every step"
    assert int(output(FAULTS.format(set_up="environment.set_up()"))) < faults / 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt(3) is glibc's")
def test_an_allocator_that_is_set_up_is_left_alone() -> None:
    """With a threshold of 1 MiB, blocks of 20 MiB are returned at once."""
    own = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_TRIM_THRESHOLD_": str(2**20)}
    assert int(output(FAULTS.format(set_up="environment.set_up()"), **own)) > 10_000


def test_variables_that_are_set_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    environment.set_up()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["THP_MEM_ALLOC_ENABLE"]) == ("active", "1")


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    environment.set_up()


@pytest.mark.parametrize("words", COMPUTES.values(), ids=COMPUTES)
def test_every_command_that_computes_sets_it_up_before_torch(words: tuple[str, ...]) -> None:
    assert output(STOPPED.format(words=list(words))) == "in time"

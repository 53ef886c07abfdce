"""docs/wandb.md is executed: every command in it, in its order, on smaller numbers, against the stand-in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, write_profile
from tests.docs.page import page
from tests.standin import ENTITY, Standin

GUIDE = page("docs/wandb.md")
COMMANDS = [command.line for command in GUIDE.commands]
STATES = {"pause": "PAUSED", "resume": "RUNNING", "stop": "FINISHED", "cancel": "CANCELED"}
SMALLER = ["--set=alpha=0,1"]


def test_it_says_that_the_service_itself_was_not_there() -> None:
    assert "**not against the service itself**" in GUIDE.text


@pytest.mark.slow
def test_every_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_profile(*TINY)
    with Standin() as server:
        for name, value in server.environment(tmp_path / "home").items():
            if name != "WANDB_DIR":
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
        for line in COMMANDS:
            verb = re.match("wandb sweep --(pause|resume|stop|cancel)", line)
            newest = list(server.sweeps.values())[-1:]
            if verb and verb[1] != "resume":
                newest[0].state = "RUNNING"  # as if an agent had begun
            done = subprocess.run(
                smaller(line, server), shell=True, capture_output=True, text=True, timeout=240, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            assert not verb or newest[0].state == STATES[verb[1]]
        assert server.unhandled == []
        registered, plain = server.sweeps.values()
        assert (registered.project, registered.state, len(registered.runs)) == ("alphas", "FINISHED", 2)
        assert (plain.project, plain.state, len(plain.runs)) == ("alphas", "CANCELED", 0)
        assert len(list(Path("runs").glob("*/result.json"))) == 2
        assert {run.state for run in server.runs.values()} == {"finished"}


def smaller(line: str, server: Standin) -> str:
    """The same command for two tiny cells on the CPU, with the newest sweep for SWEEP."""
    line = line.replace("cuda:0", "cpu")
    if server.sweeps:
        line = line.replace("ENTITY/alphas/SWEEP", f"{ENTITY}/alphas/{list(server.sweeps)[-1]}")
    if "ddsweep launch" in line:
        return shlex.join([*shlex.split(line), "--device=cpu", "--workers=1", *SMALLER])
    return line

"""docs/slurm.md is executed: its launches with ``--dry-run``, and with the marker ``slurm`` on a Slurm of one node."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ddsweep.backends import State, connect
from ddsweep.launchers.slurm import request
from tests.cli.conftest import Run
from tests.docs.page import page
from tests.launchers.slurm.conftest import cluster, ddsweep, one_node, tiny

__all__ = ["cluster", "ddsweep", "one_node", "tiny"]
GUIDE = page("docs/slurm.md")
COMMANDS = [command.words for command in GUIDE.commands]
LAUNCHES = [words[1:] for words in COMMANDS if words[:2] == ["ddsweep", "launch"]]
SCRIPT, OWN_SCRIPT = (block.text for block in GUIDE.blocks if block.language == "bash")


@pytest.mark.parametrize("words", LAUNCHES, ids=" ".join)
def test_every_launch_is_one_that_sbatch_could_take(words: list[str], ddsweep: Run) -> None:
    result = ddsweep(*words, *(["--dry-run"] if "--dry-run" not in words else []))
    assert result.exit_code == 0, result.output
    assert subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=False).returncode == 0


def test_the_script_is_what_the_command_prints(ddsweep: Run) -> None:
    (words,) = (words for words in LAUNCHES if "--dry-run" in words)
    printed = ddsweep(*words).stdout.replace(str(Path.cwd()), "/lab/alphas").replace(sys.executable, "python")
    assert printed.strip() == SCRIPT.strip()


def test_the_table_has_every_key() -> None:
    rows = [line.split("|") for line in GUIDE.text.partition("| key ")[2].partition("\n\n")[0].splitlines()[2:]]
    assert {key for row in rows for key in re.findall(r"`([a-z-]+)`", row[1])} == set(request.KEYS)
    assert {row[1].strip(): row[3].strip() for row in rows}["`notice`"] == str(request.NOTICE)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120.0
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.2)


@pytest.mark.slurm
@pytest.mark.usefixtures("cluster")
def test_the_page_on_a_cluster(ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own script works on what a launch registered; then each command that looks at a running sweep."""

    def slurm(*words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def done() -> int:
        store = connect("runs/ddsweep.db")
        try:
            return store.sweep("ablation-alpha@demo").status().count(State.COMPLETE)
        finally:
            store.close()

    demo = ["--profile", "demo"]
    launched = ddsweep(*LAUNCHES[0], *demo, "--device", "cpu", *tiny, "--set", "alpha=0,10")
    assert launched.exit_code == 0, launched.output
    slurm("scancel", "--name=ablation-alpha@demo")  # eight GPUs would wait for ever for six of them
    wait_for(lambda: not slurm("squeue", "--noheader"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    Path("own.sh").write_text(
        OWN_SCRIPT.replace("0-7", "0-1").replace("alpha --device cuda", "alpha@demo --device cpu")
    )
    slurm("sbatch", "own.sh")
    wait_for(lambda: done() == 2)
    for words in COMMANDS:
        if words[1] in ("status", "stop", "results"):
            result = ddsweep(*words[1:], *demo)
            assert result.exit_code == 0, result.output

"""What is submitted, and what is asked afterwards; Slurm's programs are stood in for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.launchers import Job
from ddsweep.launchers import slurm as launchers_slurm
from ddsweep.launchers.slurm import SlurmLauncher, advice, request
from tests.cli.conftest import Run
from tests.launchers.slurm.conftest import Desk

ASKED = request.parse("partition=gpu,gpus=8,time=12:00:00,cpus=6,mem=32G,account=lab,exclude=n[1,3],parallel=4")


def options(script: str) -> dict[str, str]:
    """``--key=value`` of an sbatch script."""
    found = re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", script, re.MULTILINE)
    return {key: value.strip("'") for key, value in found}


def test_the_script(job: Job) -> None:
    script = SlurmLauncher(job, ASKED).script()
    assert options(script) == {
        "array": "0-7%4", "gpus-per-node": "1", "time": "720", "partition": "gpu", "cpus-per-task": "6", "mem": "32G",
        "account": "lab", "exclude": "n[1,3]", "nodes": "1", "job-name": "ablation-alpha@demo", "requeue": "",
        "signal": "B:USR2@90", "open-mode": "append",
        "output": f"{job.runs}/ablation-alpha@demo/slurm/%A_%a_0_log.out",
    }  # fmt: skip
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands[-1].startswith(f"exec {sys.executable} -u -m submitit.core._submit ")
    assert "secret" not in script and "srun" not in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_what_is_submitted_is_what_the_dry_run_shows(job: Job, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "64")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    before = dict(os.environ)
    launcher = SlurmLauncher(job, ASKED)
    launcher.start()
    assert launcher.id == "4711"
    assert desk.script == launcher.script()
    told = set(desk.environment)
    assert {f"DDSWEEP_STORAGE={job.storage}", "SBATCH_EXPORT=ALL", "SLURM_CONF=/etc/slurm.conf"} <= told
    assert not [line for line in told if line.startswith(("SLURM_JOB_ID", "SLURM_CPUS"))]
    assert dict(os.environ) == before
    assert len(list(launcher.folder.glob("4711_*_submitted.pkl"))) == 8


def test_the_password_is_in_no_file_and_no_command(job: Job, desk: Desk) -> None:
    SlurmLauncher(job, ASKED).start()
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"secret" in path.read_bytes()]
    assert not [line for line in desk.told if "secret" in line]


def test_one_gpu_is_a_job_of_its_own(job: Job, desk: Desk) -> None:
    launcher = SlurmLauncher(job, request.parse("time=60"))
    launcher.start()
    assert desk.script == launcher.script()
    assert "array" not in options(desk.script)
    assert launcher.id == "4711"


@pytest.mark.parametrize(
    ("text", "wanted", "device"),
    [("time=60", "auto", "cuda"), ("time=60,gpus=0", "auto", "cpu"), ("time=60", "cpu", "cpu")],
)
def test_agents_without_a_gpu_do_not_slip_onto_the_cpu(text: str, wanted: str, device: str, job: Job) -> None:
    assert SlurmLauncher(job, request.parse(text), wanted)._device == device


def test_sbatchs_refusal_is_told_in_one_line(job: Job, desk: Desk) -> None:
    desk.refusal.write_text("sbatch: error: invalid partition specified: gpu\nsbatch: error: Batch job submission "
                            "failed: Invalid partition name specified\n")  # fmt: skip
    with pytest.raises(UserError) as error:
        SlurmLauncher(job, ASKED).start()
    assert str(error.value) == (
        "slurm: sbatch: invalid partition specified: gpu; Batch job submission failed: Invalid partition name specified"
    )


def test_without_submitit_the_line_says_what_to_install(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'ddsweep\[slurm\]'"):
        SlurmLauncher(job, ASKED).script()


def test_poll_asks_seldom_and_survives_a_silent_controller(
    job: Job, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = SlurmLauncher(job, ASKED)
    assert launcher.poll() == 0
    launcher.start()
    desk.queue.write_text("4711_0|RUNNING|None\n4711_1|PENDING|Priority\n")
    assert [launcher.poll(), launcher.poll()] == [2, 2]
    assert sum(line.startswith("squeue") for line in desk.told) == 1
    monkeypatch.setattr(launchers_slurm, "EVERY", 0.0)
    desk._program("squeue", "exit 1")
    assert launcher.poll() == 2
    desk._program("squeue", "true")
    assert launcher.poll() == 0


def test_stop_cancels_and_waits(job: Job, desk: Desk) -> None:
    launcher = SlurmLauncher(job, ASKED)
    launcher.stop()
    assert not desk.told
    launcher.start()
    desk.queue.write_text("4711_0|RUNNING|None\n")
    launcher.stop()
    assert "scancel 4711" in desk.told
    assert launcher.poll() == 0


def test_tasks_that_gave_up_are_named_with_their_reason(job: Job, desk: Desk) -> None:
    launcher = SlurmLauncher(job, ASKED)
    assert launcher.closed() == []
    launcher.start()
    (launcher.folder / "4711_3.closed").write_text("gpu 0: 3 agents died\n")
    (launcher.folder / "47111_3.closed").write_text("another job's\n")
    assert launcher.closed() == ["4711_3 gpu 0: 3 agents died"]


def test_advice_where_nodes_are_other_machines(job: Job, desk: Desk) -> None:
    (folder,) = advice(job, ASKED)
    assert folder.startswith(f"{job.runs} is on a local disk of this machine; 2 nodes must see it")
    _, sqlite = advice(replace(job, storage="sqlite:////x/ddsweep.db"), ASKED)
    assert "--storage postgresql://" in sqlite
    assert desk.told[0] == "sinfo --noheader --Node --format=%N --partition=gpu"
    desk.nodes.write_text(f"{os.uname().nodename.split('.')[0]}\n")
    assert advice(job, ASKED) == []


class TestCommand:
    def test_dry_run_touches_nothing_and_needs_no_slurm(self, ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        words = ("--slurm", "partition=gpu,gpus=8,time=12:00:00", "--dry-run", "--storage", "postgresql://u:secret@h/d")
        result = ddsweep("launch", "ablation-alpha@demo", *words)
        assert result.exit_code == 0
        assert options(result.stdout)["array"] == "0-7%8"
        assert "secret" not in result.output
        assert not list(Path().iterdir())

    def test_launch_submits_and_says_where_to_look(self, ddsweep: Run, tiny: list[str], desk: Desk) -> None:
        result = ddsweep("launch", "ablation-alpha@demo", "--slurm", "gpus=2,time=60", *tiny)
        assert result.exit_code == 0
        assert "submitted job 4711" in result.stdout
        assert "ddsweep status ablation-alpha@demo --watch" in result.stdout
        assert "note    SQLite supports a single machine" in result.stderr
        desk.queue.write_text("4711_0|RUNNING|None\n4711_1|PENDING|Resources\n")
        shown = ddsweep("status", "ablation-alpha@demo").stdout
        assert "slurm 4711   1 running, 1 pending (Resources)" in shown

    def test_nothing_is_submitted_when_sbatch_is_not_there(
        self, ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "")
        result = ddsweep("launch", "ablation-alpha@demo", "--slurm", "gpus=2,time=60", *tiny)
        assert result.exit_code == 2
        assert "slurm: sinfo is not installed on this machine" in result.stderr
        assert not Path("runs/ddsweep.db").exists()

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--dry-run"], "--dry-run and --watch need --slurm"),
            (["--watch"], "--dry-run and --watch need --slurm"),
            (["--slurm", "time=60", "--per-gpu", "2"], "--slurm gpus=N,per-gpu=K"),
            (["--slurm", "gpus=2"], "slurm: time is missing"),
        ],
    )
    def test_mistakes(self, words: list[str], says: str, ddsweep: Run) -> None:
        result = ddsweep("launch", "ablation-alpha@demo", *words)
        assert result.exit_code == 2
        assert says in " ".join(result.stderr.split())

"""A whole Slurm on this machine, with GPUs that are none: for tests, in a folder of its own, for root and for others.

By hand: ``python -m tests.launchers.slurm.onenode`` prints the line that brings sinfo, sbatch and squeue to it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ddsweep import processes

# Slurm sets CUDA_VISIBLE_DEVICES for GPUs whose files are character devices; any will do, and nobody opens these
FAKE_GPUS = ("/dev/null", "/dev/zero")
PROGRAMS = ("munged", "slurmctld", "slurmd")
DAEMONS = f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}"
CPUS = 4  # the node says so (config_overrides): tasks wait for GPUs here, not for cores
PATIENCE = 60.0
CONFIG = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
# a requeued job begins when the credential of its last run has expired: 5 s instead of 2 minutes
AuthInfo=socket={folder}/munge,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=scavenge Nodes=ALL MaxTime=INFINITE PriorityTier=1 PreemptMode=CANCEL
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10
"""


class Failed(Exception):
    """Slurm is not installed or does not start."""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in (*PROGRAMS, "sbatch", "squeue") if shutil.which(name, path=DAEMONS) is None]


@contextlib.contextmanager
def one_node() -> Iterator[Path]:
    """Start it; the path of its slurm.conf, which ``$SLURM_CONF`` must name.

    Raises:
        Failed: with the end of the logs.
    """
    if lacking := missing():
        raise Failed(f"not installed: {', '.join(lacking)}; on Debian: apt install slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="ddsweep-slurm-"))  # a socket's path must be short
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _configure(folder)
        key, socket_ = folder / "munge.key", folder / "munge"
        _start(daemons, folder, "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_}",
               f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed")  # fmt: skip
        _wait(folder, socket_.exists)
        _start(daemons, folder, "slurmctld", "-D", "-i")
        _start(daemons, folder, "slurmd", "-D", "-N", _host())
        _wait(folder, lambda: set(_answer(folder, "sinfo", "--noheader", "--format=%T").split()) == {"idle"})
        yield folder / "slurm.conf"
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            _answer(folder, "scancel", f"--user={_user()}")
            _wait(folder, lambda: not _answer(folder, "squeue", "--noheader"))
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _configure(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    values = {"host": _host(), "user": _user(), "folder": folder, "cpus": CPUS, "gpus": len(FAKE_GPUS)}
    (folder / "slurm.conf").write_text(CONFIG.format(**values, controller=_free_port(), node=_free_port()))
    (folder / "gres.conf").write_text("".join(f"Name=gpu File={path}\n" for path in FAKE_GPUS))
    version = _answer(folder, "slurmd", "-V").split()[-1]
    old = version.startswith(("21.", "22.", "23.02"))  # they do not know `disabled`
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={'cgroup/v1' if old else 'disabled'}\n")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": DAEMONS}


def _start(daemons: list[subprocess.Popen[bytes]], folder: Path, *command: str) -> None:
    with (folder / f"{command[0]}.log").open("wb") as log:
        daemons.append(
            subprocess.Popen(
                command, stdout=log, stderr=log, env=_environment(folder),
                start_new_session=True,  # Ctrl-C is ours: jobs are cancelled while there is somebody to cancel them
                preexec_fn=processes.tie,
            )
        )  # fmt: skip


def _answer(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=_environment(folder)
    )
    return done.stdout.strip()


def _wait(folder: Path, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            logs = [f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in folder.glob("*.log")]
            raise Failed("Slurm does not start\n" + "\n".join(logs))
        time.sleep(0.1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_node() as conf:
        print(f"export SLURM_CONF={conf}      # Ctrl-C here stops it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

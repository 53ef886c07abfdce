"""Parse and check ``--slurm`` (``partition=gpu,gpus=8,time=12:00:00``) before anything is submitted."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from ddsweep.errors import UserError, closest
from ddsweep.text import plural

PASSED = ("partition", "account", "qos", "constraint", "nodelist", "exclude")  # sbatch has options of the same names
COUNTS = ("agents", "cpus", "parallel", "per-gpu", "notice")
KEYS = ("gpus", "time", "mem", *COUNTS, *PASSED)
SPLIT = re.compile(r",(?![^\[]*\])")  # the comma of node[1,3] belongs to the value
VALUE = re.compile(r"[\w.:@%+\[\],|&*()-]+")  # no spaces or line breaks, because values are written into a shell script
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d{1,2}){0,2})")
TIMES = "MINUTES, H:MM:SS, D-H, D-H:MM or D-H:MM:SS"
NOTICE = 90  # seconds: agents stop within local.PATIENCE (30), and requeueing needs the controller


@dataclass(frozen=True)
class Request:
    """A job array, each task of which runs its own agents.

    Attributes:
        tasks: size of the array: one task per GPU or, without GPUs, one per agent.
        minutes: time limit of a task; it is then requeued and resumes.
        gpu: a task's GPU in sbatch's notation (``1``, ``a100:1``); empty for none.
        agents: agents per task.
        cpus: CPUs per task; 0 for the cluster's default.
        mem: memory per task (``32G``); empty for the cluster's default.
        parallel: tasks that may run at the same time.
        notice: seconds before the time limit at which agents return their cells to the queue.
        passed: further sbatch options by name.
    """

    tasks: int
    minutes: int
    gpu: str = ""
    agents: int = 1
    cpus: int = 0
    mem: str = ""
    parallel: int = 0
    notice: int = NOTICE
    passed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """``8 tasks with a GPU each in gpu``."""
        what = f"{plural(self.tasks, 'task')} {'with a GPU each' if self.gpu else 'without GPUs'}"
        return " in ".join([what, *([self.passed["partition"]] if "partition" in self.passed else [])])


def parse(text: str) -> Request:
    """Parse a request.

    Raises:
        UserError: a key or value is not allowed, ``time`` is missing, or numbers contradict each other.
    """
    given = _pairs(text)
    if "time" not in given:
        raise UserError(f"slurm: time is missing; set the time limit of a task, for example time=12:00:00 ({TIMES})")
    kind, gpus = _gpus(given.get("gpus", "1"))
    counts = {key: _count(key, given[key]) for key in COUNTS if key in given}
    if gpus and "agents" in counts:
        raise UserError(
            "slurm: agents needs gpus=0; with GPUs, there is one task per GPU, and per-gpu sets the agents on each"
        )
    if not gpus and "per-gpu" in counts:
        raise UserError("slurm: per-gpu needs gpus; without GPUs, use agents=N")
    tasks, minutes, notice = gpus or counts.get("agents", 1), _minutes(given["time"]), counts.get("notice", NOTICE)
    if notice >= minutes * 60:
        raise UserError(f"slurm: time={given['time']} is {minutes} min, which must be longer than notice={notice} s")
    return Request(
        tasks=tasks,
        minutes=minutes,
        gpu=f"{kind}1" if gpus else "",
        agents=counts.get("per-gpu", 1),
        cpus=counts.get("cpus", 0),
        mem=_mem(given.get("mem", "")),
        parallel=min(tasks, counts.get("parallel", tasks)),
        notice=notice,
        passed={key: given[key] for key in PASSED if key in given},
    )


def _pairs(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in SPLIT.split(text.strip()):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value:
            raise UserError(f"slurm: {pair!r}: write KEY=VALUE,KEY=VALUE; keys: {', '.join(sorted(KEYS))}")
        if key not in KEYS:
            raise UserError(f"slurm: unknown key {key!r}; {closest(key, KEYS)}")
        if key in given:
            raise UserError(f"slurm: {key} is given twice")
        if not VALUE.fullmatch(value):
            raise UserError(
                f"slurm: {key}={value!r}: only letters, digits and . : @ % + - _ [ ] , | & * ( ) are allowed"
            )
        given[key] = value
    return given


def _count(key: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"slurm: {key}={text}: must be a whole number of at least 1")
    return int(text)


def _gpus(text: str) -> tuple[str, int]:
    """Split ``8`` or ``a100:8`` into the prefix and the number."""
    kind, colon, number = text.rpartition(":")
    if not number.isdecimal() or (colon and (not kind or number == "0")):
        raise UserError(f"slurm: gpus={text}: must be a number, or KIND:NUMBER such as a100:8; 0 for none")
    return kind + colon, int(number)


def _mem(text: str) -> str:
    if text and not re.fullmatch(r"[1-9]\d*[KMGT]", text):
        raise UserError(f"slurm: mem={text}: must be a number with unit K, M, G or T, such as 32G")
    return text


def _minutes(text: str) -> int:
    """Parse a time in Slurm's notation into minutes, rounded up."""
    match = TIME.fullmatch(text)
    if match is None:
        raise UserError(f"slurm: time={text}: must be {TIMES}")
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:  # as Slurm reads it: one part is minutes, two are minutes and seconds
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    total = math.ceil((int(match["days"] or 0) * 24 + hours) * 60 + minutes + seconds / 60)
    if not total:
        raise UserError(f"slurm: time={text}: must be greater than 0")
    return total

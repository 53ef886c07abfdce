"""What one asks of Slurm: ``partition=gpu,gpus=8,time=12:00:00``, checked before anything is submitted."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from ddsweep.errors import UserError, closest

PASSED = ("partition", "account", "qos", "constraint", "nodelist", "exclude")  # sbatch has an option of that name
COUNTS = ("agents", "cpus", "parallel", "per-gpu", "notice")
KEYS = ("gpus", "time", "mem", *COUNTS, *PASSED)
SPLIT = re.compile(r",(?![^\[]*\])")  # the comma of node[1,3] belongs to the value
VALUE = re.compile(r"[\w.:@%+\[\],|&*()-]+")  # no blanks or line ends: a value is written into a shell script
TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d{1,2}){0,2})")
TIMES = "MINUTES, H:MM:SS, D-H, D-H:MM or D-H:MM:SS"
NOTICE = (
    90  # seconds: an agent leaves in a few, 30 are given to it (local.PATIENCE), and requeueing asks the controller
)


@dataclass(frozen=True)
class Request:
    """An array of tasks, each with agents of its own.

    Attributes:
        tasks: size of the array: one task per GPU, or without GPUs one per agent.
        minutes: time limit of a task. What is not done by then goes on in the same task, queued again.
        gpu: a task's GPU as sbatch wants it (``1``, ``a100:1``); empty: none.
        agents: agents per task.
        cpus: CPUs per task; 0: the cluster's default.
        mem: memory per task (``32G``); empty: the cluster's default.
        parallel: tasks that may run at the same time.
        notice: seconds before the time limit at which agents give their cells back.
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
        """For people: ``8 tasks with a GPU in gpu``."""
        what = f"{self.tasks} task{'s' * (self.tasks != 1)} {'with a GPU each' if self.gpu else 'without GPUs'}"
        return " in ".join([what, *([self.passed["partition"]] if "partition" in self.passed else [])])


def parse(text: str) -> Request:
    """The request that ``text`` spells.

    Raises:
        UserError: a key or a value that is not allowed, a missing ``time``, or numbers that contradict each other.
    """
    given = _pairs(text)
    if "time" not in given:
        raise UserError(f"slurm: time is missing: how long a task may take, for instance time=12:00:00 ({TIMES})")
    kind, gpus = _gpus(given.get("gpus", "1"))
    counts = {key: _count(key, given[key]) for key in COUNTS if key in given}
    if gpus and "agents" in counts:
        raise UserError("slurm: agents is for gpus=0; with GPUs there is one task per GPU (per-gpu: agents on each)")
    if not gpus and "per-gpu" in counts:
        raise UserError("slurm: per-gpu needs gpus; without GPUs say agents=N")
    tasks, minutes, notice = gpus or counts.get("agents", 1), _minutes(given["time"]), counts.get("notice", NOTICE)
    if notice >= minutes * 60:
        raise UserError(f"slurm: time {given['time']} is {minutes} min, which leaves nothing before notice={notice} s")
    return Request(
        tasks, minutes, f"{kind}1" if gpus else "", counts.get("per-gpu", 1), counts.get("cpus", 0),
        _mem(given.get("mem", "")), min(tasks, counts.get("parallel", tasks)), notice,
        {key: given[key] for key in PASSED if key in given},
    )  # fmt: skip


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in SPLIT.split(text.strip()):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value:
            raise UserError(f"slurm: {pair!r}: write KEY=VALUE,KEY=VALUE with KEY one of {', '.join(sorted(KEYS))}")
        if key not in KEYS:
            raise UserError(f"slurm: no key {key!r}; {closest(key, KEYS)}")
        if key in found:
            raise UserError(f"slurm: {key} is there twice")
        if not VALUE.fullmatch(value):
            raise UserError(f"slurm: {key}={value!r}: letters, digits and . : @ % + - _ [ ] , | & * ( ) are allowed")
        found[key] = value
    return found


def _count(key: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"slurm: {key}={text}: must be a whole number from 1")
    return int(text)


def _gpus(text: str) -> tuple[str, int]:
    """``8`` or ``a100:8`` as what stands before the number, and the number."""
    kind, colon, number = text.rpartition(":")
    if not number.isdecimal() or (colon and (not kind or number == "0")):
        raise UserError(f"slurm: gpus={text}: must be a number, or KIND:NUMBER such as a100:8; 0 is none")
    return kind + colon, int(number)


def _mem(text: str) -> str:
    if text and not re.fullmatch(r"[1-9]\d*[KMGT]", text):
        raise UserError(f"slurm: mem={text}: must be a number and a unit, K, M, G or T, such as 32G")
    return text


def _minutes(text: str) -> int:
    """Slurm's own forms of a time; a part of a minute counts as one."""
    match = TIME.fullmatch(text)
    if match is None:
        raise UserError(f"slurm: time={text}: must be {TIMES}")
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:  # as Slurm reads it: alone minutes, two of them minutes and seconds
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    total = math.ceil((int(match["days"] or 0) * 24 + hours) * 60 + minutes + seconds / 60)
    if not total:
        raise UserError(f"slurm: time={text}: must be more than nothing")
    return total

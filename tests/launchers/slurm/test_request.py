from __future__ import annotations

import pytest

from ddsweep.errors import UserError
from ddsweep.launchers.slurm.request import NOTICE, Request, parse


def test_the_issues_own_example() -> None:
    found = parse("partition=gpu,gpus=8,time=12:00:00")
    assert found == Request(tasks=8, minutes=720, gpu="1", parallel=8, passed={"partition": "gpu"})
    assert str(found) == "8 tasks with a GPU each in gpu"
    assert found.notice == NOTICE


def test_every_key() -> None:
    text = (
        "gpus=a100:4,time=1-0,mem=32G,cpus=6,parallel=2,per-gpu=3,notice=300,partition=p,account=a,qos=q,"
        "constraint=a|b&c,nodelist=n[1,3-5],exclude=n[7,8]"
    )
    passed = {"partition": "p", "account": "a", "qos": "q", "constraint": "a|b&c", "nodelist": "n[1,3-5]"}
    assert parse(text) == Request(4, 1440, "a100:1", 3, 6, "32G", 2, 300, {**passed, "exclude": "n[7,8]"})


def test_without_gpus_there_is_a_task_per_agent() -> None:
    found = parse("gpus=0,cpus=4,agents=8,time=60")
    assert (found.tasks, found.gpu, found.agents, found.cpus) == (8, "", 1, 4)
    assert str(found) == "8 tasks without GPUs"
    assert parse("gpus=0,time=60").tasks == 1


@pytest.mark.parametrize(
    ("time", "minutes"),
    [("90", 90), ("90:30", 91), ("12:00:00", 720), ("0:30:01", 31), ("2-0", 2880), ("1-12", 2160), ("1-0:30", 1470),
     ("1-00:00:01", 1441)],
)  # fmt: skip
def test_times_are_read_as_slurm_reads_them(time: str, minutes: int) -> None:
    assert parse(f"time={time}").minutes == minutes


def test_bounds() -> None:
    assert parse("time=2,notice=119").notice == 119
    assert parse("gpus=2,time=60,parallel=9").parallel == 2, "no more tasks run than there are"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gpus=8", "time is missing"),
        ("", "write KEY=VALUE"),
        ("time", "write KEY=VALUE"),
        ("time=60,partitoin=gpu", "unknown key 'partitoin'; did you mean partition?"),
        ("time=60,time=70", "time is given twice"),
        ("time=12h", "time=12h: must be MINUTES, H:MM:SS"),
        ("time=0", "must be greater than 0"),
        ("time=1:2:3:4", "must be MINUTES"),
        ("time=1", "time=1 is 1 min, which must be longer than notice=90 s"),
        ("time=2,notice=120", "time=2 is 2 min, which must be longer than notice=120 s"),
        ("time=60,gpus=many", "gpus=many: must be a number, or KIND:NUMBER"),
        ("time=60,gpus=a100:0", "must be a number, or KIND:NUMBER"),
        ("time=60,gpus=:2", "must be a number, or KIND:NUMBER"),
        ("time=60,cpus=0", "cpus=0: must be a whole number of at least 1"),
        ("time=60,per-gpu=two", "per-gpu=two: must be a whole number of at least 1"),
        ("time=60,mem=32", "mem=32: must be a number with unit K, M, G or T"),
        ("time=60,gpus=2,agents=4", "agents needs gpus=0"),
        ("time=60,gpus=0,per-gpu=2", "per-gpu needs gpus"),
        ("time=60,partition=a b", "letters, digits and"),
        ("time=60,account=x\nrm -r /", "letters, digits and"),
        ("time=60,qos=$(id)", "letters, digits and"),
    ],
)
def test_mistakes_are_told_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text)
    assert says in str(error.value)
    assert str(error.value).startswith("slurm: ")
    assert "\n" not in str(error.value)

"""The schedule against a simulation that goes from second to second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ddsweep.estimate.schedule import Job, wall_clock


def second_by_second(jobs: list[Job], trainings: dict[str, int], agents: int) -> int:
    """Every agent has a list of things to do; at each second, whoever can go on does."""
    queue, doing = list(jobs), [[] for _ in range(agents)]  # type: ignore[var-annotated]
    trained: dict[str, bool] = {}
    now = 0
    while True:
        moved = True
        while moved:
            moved = False
            for todo in doing:
                if not todo and queue:
                    job = queue.pop(0)
                    todo += [["work", job.before], *(["ptm", one] for one in job.ptms), ["work", job.after]]
                    moved = True
                elif todo and todo[0][0] == "ptm":
                    name = todo[0][1]
                    if name not in trained and name in trainings:
                        trained[name] = False
                        todo[0] = ["train", trainings[name], name]
                        moved = True
                    elif trained.get(name, True):
                        todo.pop(0)
                        moved = True
                elif todo and todo[0][1] == 0:
                    if todo[0][0] == "train":
                        trained[todo[0][2]] = True
                    todo.pop(0)
                    moved = True
        if not queue and not any(doing):
            return now
        now += 1
        for todo in doing:
            if todo and todo[0][0] != "ptm":
                todo[0][1] -= 1


NAMES = st.sampled_from("abcd")
JOBS = st.builds(
    Job, st.integers(0, 3), st.lists(NAMES, max_size=3, unique=True).map(tuple), st.integers(1, 9)
)  # fmt: skip


@given(st.lists(JOBS, max_size=8), st.dictionaries(NAMES, st.integers(1, 7)), st.integers(1, 4))
def test_as_an_agent_would_go_from_second_to_second(jobs: list[Job], trainings: dict[str, int], agents: int) -> None:
    assert wall_clock(jobs, trainings, agents) == second_by_second(jobs, trainings, agents)


def test_one_trains_and_the_others_wait() -> None:
    cell = Job(1, ("ptm",), 10)
    assert wall_clock([cell] * 4, {"ptm": 100}, 2) == 1 + 100 + 10 + 1 + 10
    assert wall_clock([cell] * 4, {}, 2) == 2 * 11


def test_it_is_no_division() -> None:
    assert wall_clock([Job(0, (), 10)] * 3, {}, 2) == 20  # and not 15

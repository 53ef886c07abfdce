"""Real trials under real blows: whatever dies, every cell ends once, in the bits of a sweep that nobody disturbed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ddsweep.backends import Lease, Row, State, connect
from ddsweep.backends.rules import Attempt, Phase
from tests.backends.conftest import Server, own_server
from tests.havoc import intact, until
from tests.havoc.adversary import Adversary
from tests.havoc.disk import small_disk
from tests.havoc.launch import LEASE, NAME, Launch

__all__ = ["own_server"]
pytestmark = pytest.mark.xdist_group("chaos")  # one process: they have the undisturbed sweep in common

FIRST = "epoch*.safetensors"  # of a PTM: the first file that all others wait for
BLOWS = [
    *["kill"] * 3, *["freeze"] * 2, *["behead"] * 2, "fill", "cut result.json", "cut synthetic.safetensors",
    "cut distill.safetensors", "cut evaluate-*.safetensors", "cut synthetic_*.png",
]  # fmt: skip
Restart = Callable[[float], None] | None  # of the database, after so many seconds
LOST = re.compile(r"lost: (?:no heartbeat from )?\S+:(\d+) (?:for|was killed)")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> intact.Findings:
    """The same sweep in peace."""
    place, beside = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("beside")
    launch = Launch(place, beside, havoc=False)
    try:
        launch.start()
        until(lambda: launch.left() is not None, "the end of the undisturbed sweep")
        assert launch.left() == 0, launch.said
        return intact.findings(launch.runs, launch.pool)
    finally:
        launch.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as place:
        yield place


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    place = tmp_path / "beside"
    place.mkdir()
    return place


@dataclass(frozen=True)
class Outcome:
    """What the storage says at the end, and what it took.

    Attributes:
        rows: every cell.
        attempts: every attempt.
        pictures: those on the dashboard.
        adversary: who kept count of the blows.
        left: cells that were not done at the last blow.
    """

    rows: list[Row]
    attempts: list[Attempt]
    pictures: int
    adversary: Adversary
    left: int


def struck(launch: Launch, blows: list[str], restart: Restart) -> Outcome:
    """Launch the sweep, strike it, and see it end."""
    launch.cut(FIRST)
    launch.start()
    if not launch.storage.startswith("postgresql"):
        until(Path(launch.storage).is_file, "the storage")
    store = connect(launch.storage, Lease.parse(LEASE))
    try:
        backend = store.sweep(NAME)
        until(lambda: NAME in store.names(), "the sweep is registered")
        adversary = Adversary(launch, backend, restart)
        adversary.await_cut()
        adversary.befall(blows)
        launch.spare()
        status = backend.status()
        adversary.see_it_end()
        pictures = intact.on_the_dashboard(backend)
        return Outcome(backend.status().rows, backend.attempts(), pictures, adversary, len(status.rows) - status.ended)
    finally:
        launch.close()
        store.close()


def survive(launch: Launch, expected: intact.Findings, blows: list[str], restart: Restart = None) -> None:
    """Strike the sweep, and look at all that is left when it has ended."""
    began, outcome = time.monotonic(), struck(launch, blows, restart)
    rows, adversary, notes = outcome.rows, outcome.adversary, [note for note in launch.diary() if note.path.suffix]
    executions = sum(note.path.name == "distill.safetensors" and note.what != "torn" for note in notes)
    resumed = sum(note.what == "resumed" for note in notes)
    print(
        f"\n{len(rows)} cells, {executions} executions, {dict(adversary.toll)}, {resumed} resumes from checkpoints, "
        f"{adversary.dropped} late answers dropped, {lost(outcome.attempts).total()} leases lost, "
        f"{outcome.left} cells left at the last blow, {outcome.pictures} pictures; {time.monotonic() - began:.0f} s"
    )
    completions = Counter(one.point.id for one in outcome.attempts if one.phase is Phase.COMPLETE)
    assert completions == {row.point.id: 1 for row in rows}
    assert {row.state for row in rows} == {State.COMPLETE}
    assert lost(outcome.attempts) <= adversary.harmed, "an agent that was not harmed was taken for dead"
    assert {row.attempts for row in rows} == {1}, "a kill has spent an attempt"
    assert intact.temporaries(launch.place) == []
    assert outcome.pictures >= 2 * len(rows)
    assert resumed > 0, "nobody went on from a checkpoint, so nothing was tested"
    assert adversary.dropped > 0, "nobody ever woke up too late, so nothing was tested"
    found = intact.findings(launch.runs, launch.pool)
    assert found.keys() == expected.keys()
    assert [key for key in found if found[key] != expected[key]] == []


def lost(attempts: list[Attempt]) -> Counter[int]:
    """How many attempts each agent lost, because it was dead or not heard of; none failed for another reason."""
    failed = [one.reason for one in attempts if one.phase is Phase.FAILED]
    matches = [LOST.match(reason) for reason in failed]
    assert all(matches), failed
    return Counter(int(match[1]) for match in matches if match)


@pytest.mark.slow
def test_a_sweep_on_sqlite(disk: Path, beside: Path, undisturbed: intact.Findings) -> None:
    survive(Launch(disk, beside), undisturbed, BLOWS)


@pytest.mark.postgres
def test_a_sweep_on_postgresql(own_server: Server, disk: Path, beside: Path, undisturbed: intact.Findings) -> None:
    def restart(seconds: float) -> None:
        own_server.stop()
        time.sleep(seconds)
        own_server.start()

    survive(Launch(disk, beside, own_server.database()), undisturbed, [*BLOWS, *["restart"] * 3], restart)

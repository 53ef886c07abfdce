"""A check that raises, or does not end in time, is a finding."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ddsweep import doctor
from ddsweep.doctor import Check, Place, State, check
from ddsweep.doctor.check import run

PLACE = Place(Path("runs"), "postgresql://me:s3cret@db/x", Path("cache"))


def fine(facts: object) -> list[doctor.Finding]:
    return [check.ok("fine", f"saw {facts}")]


def raises(facts: object) -> list[doctor.Finding]:
    raise ValueError(f"cannot make sense of {PLACE.storage}")


@pytest.mark.parametrize(("vital", "state"), [(False, State.WARNING), (True, State.ERROR)])
def test_an_inspection_that_raises(vital: bool, state: State) -> None:
    (found,) = run(Check("odd", raises, (fine,), vital=vital), PLACE)
    assert (found.name, found.state) == ("odd", state)
    assert "ValueError at test_check.py:" in found.message
    assert found.fix
    assert "s3cret" not in found.message


def test_a_judge_that_raises_does_not_stop_the_others() -> None:
    found = run(Check("odd", lambda place: 7, (raises, fine)), PLACE)
    assert [finding.state for finding in found] == [State.WARNING, State.OK]
    assert found[1].message == "saw 7"


def test_a_check_that_hangs_ends_at_its_time_limit() -> None:
    for_ever = threading.Event()
    try:
        (found,) = run(Check("stuck", lambda place: for_ever.wait(), (fine,), seconds=0.05, vital=True), PLACE)
    finally:
        for_ever.set()
    assert found.state is State.ERROR
    assert found.message == "no answer within 0.05 s"


def test_findings_come_in_order_and_each_check_is_announced_first() -> None:
    announced: list[str] = []
    checks = [Check(name, lambda place, name=name: name, (fine,)) for name in ("a", "b")]  # type: ignore[misc]
    found = doctor.examine(PLACE, announced.append, checks)
    assert next(found).message == "saw a"
    assert announced == ["a"]
    assert [finding.message for finding in found] == ["saw b"]


def test_a_check_that_starts_ahead_runs_beside_the_others() -> None:
    """Its findings keep their place; it ends only once a later check lets it."""
    announced: list[str] = []
    released = threading.Event()

    def release(place: Place) -> str:
        released.set()
        return "c"

    checks = [
        Check("a", lambda place: "a", (fine,)),
        Check("b", lambda place: "b" if released.wait(20) else "nothing", (fine,), ahead=True),
        Check("c", release, (fine,)),
    ]
    found = [finding.message for finding in doctor.examine(PLACE, announced.append, checks)]
    assert found == ["saw a", "saw b", "saw c"]
    assert announced == ["a", "c", "b"]


def test_the_time_limit_of_a_check_that_starts_ahead_is_its_own() -> None:
    for_ever = threading.Event()
    checks = [
        Check("stuck", lambda place: for_ever.wait(), (fine,), seconds=0.05, ahead=True),
        Check("c", lambda place: "c", (fine,)),
    ]
    try:
        found = [finding.message for finding in doctor.examine(PLACE, checks=checks)]
    finally:
        for_ever.set()
    assert found == ["no answer within 0.05 s", "saw c"]


def test_only_an_ok_finding_has_no_fix() -> None:
    assert not check.ok("x", "y").fix
    assert check.warning("x", "y", "z").fix == check.error("x", "y", "z").fix == "z"

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


def test_only_an_ok_finding_has_no_fix() -> None:
    assert not check.ok("x", "y").fix
    assert check.warning("x", "y", "z").fix == check.error("x", "y", "z").fix == "z"

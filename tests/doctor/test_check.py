"""A check that breaks, or never answers, is a finding."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ddsweep import doctor
from ddsweep.doctor import Check, Place, State, check
from ddsweep.doctor.check import conduct

PLACE = Place(Path("runs"), "postgresql://me:s3cret@db/x", Path("cache"))


def fine(facts: object) -> list[doctor.Finding]:
    return [check.ok("fine", f"saw {facts}")]


def raises(facts: object) -> list[doctor.Finding]:
    raise ValueError(f"cannot make sense of {PLACE.storage}")


@pytest.mark.parametrize(("vital", "state"), [(False, State.WARNING), (True, State.BROKEN)])
def test_a_look_that_breaks(vital: bool, state: State) -> None:
    (found,) = conduct(Check("odd", raises, (fine,), vital=vital), PLACE)
    assert (found.name, found.state) == ("odd", state)
    assert "ValueError at test_check.py:" in found.found
    assert found.cure
    assert "s3cret" not in found.found


def test_a_judge_that_breaks_silences_no_other() -> None:
    found = conduct(Check("odd", lambda place: 7, (raises, fine)), PLACE)
    assert [one.state for one in found] == [State.WARNING, State.OK]
    assert found[1].found == "saw 7"


def test_what_never_answers_is_not_waited_for() -> None:
    for_ever = threading.Event()
    try:
        (found,) = conduct(Check("stuck", lambda place: for_ever.wait(), (fine,), seconds=0.05, vital=True), PLACE)
    finally:
        for_ever.set()
    assert found.state is State.BROKEN
    assert found.found == "no answer within 0.05 s"


def test_findings_come_in_order_and_each_check_is_named_first() -> None:
    told: list[str] = []
    checks = [Check(name, lambda place, name=name: name, (fine,)) for name in ("a", "b")]  # type: ignore[misc]
    found = doctor.examine(PLACE, told.append, checks)
    assert next(found).found == "saw a"
    assert told == ["a"]
    assert [one.found for one in found] == ["saw b"]


def test_only_what_is_well_has_no_cure() -> None:
    assert not check.ok("x", "y").cure
    assert check.warning("x", "y", "z").cure == check.broken("x", "y", "z").cure == "z"

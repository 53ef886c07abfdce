"""Every time that is printed or stored says its zone, which is UTC, whatever the zone of the machine."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ddsweep import text
from ddsweep.backends import Point, rules
from ddsweep.backends.rules import Attempt, Phase
from ddsweep.cli import console
from ddsweep.launchers.slurm import control

PACKAGE = Path(text.__file__).parent
NOON = datetime(2026, 11, 30, 12, 5, 30, tzinfo=UTC)


@pytest.fixture(params=["Asia/Kolkata", "America/St_Johns", "UTC"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_moment() -> None:
    assert text.moment(NOON) == "2026-11-30 12:05 UTC"
    assert text.moment(NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-11-30 12:05 UTC"
    assert text.moment(NOON.replace(tzinfo=None)) == "2026-11-30 12:05 UTC"  # as stored by earlier versions


def test_lines_of_logs() -> None:
    record = logging.LogRecord("ddsweep", logging.INFO, "", 0, "hello", None, None)
    record.created, record.msecs = NOON.timestamp(), 0.0
    line = console._Formatter(console.LOG_FORMAT, console.LOG_DATES).format(record)
    assert line == "2026-11-30 12:05:30 UTC ddsweep hello"


def test_when_an_agent_was_last_seen(attempt: Attempt) -> None:
    assert "at 2026-11-30 12:05 UTC" in rules.often_lost(3, attempt)
    there = NOON.astimezone(timezone(timedelta(hours=-8)))  # as a service may report it
    assert "at 2026-11-30 12:05 UTC" in rules.often_lost(3, replace(attempt, finished=there))


@pytest.fixture
def attempt() -> Attempt:
    return Attempt(1, 0, Point("a", {"alpha": 0}, "a"), Phase.FAILED, agent="host:1", finished=NOON)


def test_ends_of_slurm_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *words: "")
    control.note_end(tmp_path, "4711_0", "preempted")
    stored = datetime.fromisoformat(json.loads((tmp_path / "4711_0.ended").read_text())["at"])
    assert stored.utcoffset() == timedelta(0)
    assert abs((stored - datetime.now(UTC)).total_seconds()) < 60
    assert control.ended(tmp_path, "4711") == {"preempted": text.moment(stored)}
    (tmp_path / "4712_0.ended").write_text(json.dumps({"reason": "stopped", "at": "2026-11-30 12:05"}))
    assert control.ended(tmp_path, "4712") == {"stopped": "2026-11-30 12:05 UTC"}


def test_no_other_place_writes_a_time() -> None:
    """A format with hours says UTC (or Z, in names of files), and no clock without a zone is read."""
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for line in source.splitlines():
            if re.search(r"%H|%I:|%c\b|%X\b|strftime|ctime\(", line):
                assert re.search(r"UTC|Z\b", line), f"{path}: {line}"
        for call in re.findall(r"(?:datetime\.now|fromtimestamp|utcnow|localtime)\(.*", source):
            assert "UTC" in call, f"{path}: {call}"

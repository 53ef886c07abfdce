"""A check, its findings, and how it runs: for a bounded time, and never ending in a traceback."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """Severity of a finding. Only an error changes the exit status."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was checked, in one or two words.
        state: its severity.
        message: what the check found, in one line.
        fix: a suggested fix in one line, a command if possible. Empty if and only if ``state`` is ok.
    """

    name: str
    state: State
    message: str
    fix: str = ""


def ok(name: str, message: str) -> Finding:
    """A finding that needs no fix."""
    return Finding(name, State.OK, message)


def warning(name: str, message: str, fix: str) -> Finding:
    """A finding about something that works, but perhaps not as the user expects."""
    return Finding(name, State.WARNING, message, fix)


def error(name: str, message: str, fix: str) -> Finding:
    """A finding about something that does not work."""
    return Finding(name, State.ERROR, message, fix)


Judge = Callable[[Any], Sequence[Finding]]


@dataclass(frozen=True)
class Place:
    """What the doctor inspects.

    Attributes:
        runs: the folder of all runs, which need not exist.
        storage: the URL that commands would use; it may contain a password.
        cache: the folder of datasets and PTMs, which need not exist.
    """

    runs: Path
    storage: str
    cache: Path


@dataclass(frozen=True)
class Check:
    """One row of ``CHECKS``.

    Attributes:
        name: what is checked.
        inspect: collects facts about the machine; changes nothing.
        judges: each turns the facts of ``inspect`` into findings.
        seconds: time limit for all of it.
        vital: whether a timeout or an exception is an error rather than a warning.
        ahead: whether it starts before all others and runs beside them, because it waits for another process.
    """

    name: str
    inspect: Callable[[Place], Any]
    judges: tuple[Judge, ...]
    seconds: float = 20.0
    vital: bool = False
    ahead: bool = False


def run(check: Check, place: Place) -> list[Finding]:
    """The findings of a check. A check that raises or exceeds its time limit is itself a finding."""
    return start(check, place)()


def start(check: Check, place: Place) -> Callable[[], list[Finding]]:
    """Start a check; return a function that waits for its findings."""
    began = time.monotonic()
    answer: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    # a system call that hangs cannot be interrupted; a daemon thread does not keep the process from exiting
    threading.Thread(
        target=lambda: answer.put(_findings(check, place)), name=f"check {check.name}", daemon=True
    ).start()

    def findings() -> list[Finding]:
        try:
            return answer.get(timeout=max(0.0, began + check.seconds - time.monotonic()))
        except queue.Empty:
            message = f"no answer within {check.seconds:g} s"
            fix = "look for a file system or server that hangs, or a machine under load; then run this again"
            return [Finding(check.name, _severity(check), message, fix)]

    return findings


def _findings(check: Check, place: Place) -> list[Finding]:
    try:
        facts = check.inspect(place)
    except Exception as exception:
        return [_failed(check, exception)]
    findings: list[Finding] = []
    for judge in check.judges:
        try:
            findings += judge(facts)
        except Exception as exception:
            findings.append(_failed(check, exception))
    return findings


def _failed(check: Check, exception: Exception) -> Finding:
    """Report type and source line of an exception, but not its text, which may quote a URL with a password."""
    trace = exception.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    kind = type(exception).__name__
    reason = f": {exception.strerror}" if isinstance(exception, OSError) and exception.strerror else ""
    message = f"unknown: the check itself failed ({kind}{reason} at {where})"
    return Finding(check.name, _severity(check), message, "report this as a bug, with this line")


def _severity(check: Check) -> State:
    return State.ERROR if check.vital else State.WARNING

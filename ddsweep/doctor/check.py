"""A check, and how it is conducted: for a bounded time, and without a traceback whatever happens in it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """Whether it works. A warning does not fail anything; what is broken will."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """What a check says.

    Attributes:
        name: what was looked at, in a word or two.
        state: whether it works.
        found: what was found, in a line.
        cure: what to do, in a line: a command where there is one. Empty if and only if ``state`` is ok.
    """

    name: str
    state: State
    found: str
    cure: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, found)


def warning(name: str, found: str, cure: str) -> Finding:
    """It works, but not as somebody may expect."""
    return Finding(name, State.WARNING, found, cure)


def broken(name: str, found: str, cure: str) -> Finding:
    """Something will not work."""
    return Finding(name, State.BROKEN, found, cure)


Judge = Callable[[Any], Sequence[Finding]]


@dataclass(frozen=True)
class Place:
    """What is looked at.

    Attributes:
        runs: the folder of all runs, which need not exist.
        storage: the URL that commands would use; it may hold a password.
        cache: the folder of datasets and PTMs, which need not exist.
    """

    runs: Path
    storage: str
    cache: Path


@dataclass(frozen=True)
class Check:
    """One look at the machine, and what it means.

    Attributes:
        name: what is looked at.
        look: asks the machine; changes nothing.
        judges: each turns what ``look`` gave into findings.
        seconds: how long all of it may take.
        vital: whether silence or an error means that something will not work.
    """

    name: str
    look: Callable[[Place], Any]
    judges: tuple[Judge, ...]
    seconds: float = 20.0
    vital: bool = False


def conduct(check: Check, place: Place) -> list[Finding]:
    """The findings of a check. One that breaks or does not answer in time is itself a finding."""
    answer: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    # a system call that hangs cannot be broken off; a daemon does not keep the process from ending
    threading.Thread(
        target=lambda: answer.put(_safely(check, place)), name=f"look at {check.name}", daemon=True
    ).start()
    try:
        return answer.get(timeout=check.seconds)
    except queue.Empty:
        said = f"no answer within {check.seconds:g} s"
        cure = "see what keeps it: a file system or server that hangs, or a machine under load; then ask again"
        return [Finding(check.name, _silence(check), said, cure)]


def _safely(check: Check, place: Place) -> list[Finding]:
    try:
        facts = check.look(place)
    except Exception as error:
        return [_broke(check, error)]
    found: list[Finding] = []
    for judge in check.judges:
        try:
            found += judge(facts)
        except Exception as error:
            found.append(_broke(check, error))
    return found


def _broke(check: Check, error: Exception) -> Finding:
    """Type and place of an error and not its text, which may quote a URL with its password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    kind = type(error).__name__
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    said = f"cannot tell: the check itself broke ({kind}{why} at {where})"
    return Finding(check.name, _silence(check), said, "report it, with this line")


def _silence(check: Check) -> State:
    return State.BROKEN if check.vital else State.WARNING

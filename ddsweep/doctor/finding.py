"""One thing that was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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

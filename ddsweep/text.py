"""Numbers as people read them: sizes of data, durations, times, counts. Every screen, error and report uses these."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

DAY = 86_400.0
YEAR = 365 * DAY
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def number(value: float) -> str:
    """At most three significant digits, whole above 100: ``1,240``, ``212``, ``11.3``, ``0.041``."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def data_size(count: float) -> str:
    """Bytes in decimal units: ``0 B``, ``614 B``, ``1.1 GB``, ``1.5 TB``, ``1,500 TB``."""
    rounded = float(f"{count:.3g}")  # 999.9 MB is 1 GB
    for unit, factor in _SIZES:
        if rounded >= factor:
            return f"{number(count / factor)} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Two units at most: ``0.4 s``, ``41 s``, ``12 min 5 s``, ``5 h 10 min``, ``2 d 4 h``, ``12 d``, ``3.2 years``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds >= YEAR:
        return f"{number(seconds / YEAR)} years"
    smallest = 86_400 if seconds >= 10 * DAY else 3_600 if seconds >= DAY else 60 if seconds >= 3_600 else 1
    rest = round(seconds / smallest) * smallest
    parts = []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def age(seconds: float) -> str:
    """How long ago, in one unit: ``just now``, ``5 min ago``, ``3 d ago``."""
    for unit, length in _UNITS[:-1]:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def moment(when: datetime) -> str:
    """A time in UTC, which it says: ``2026-11-30 14:05 UTC``. One without a time zone is in UTC already."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{aware.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def pace(seconds: float, unit: str) -> str:
    """The time of a step: ``212 steps/s``, or ``3.5 s per step`` if it takes longer than a second."""
    if seconds > 1:
        return f"{number(seconds)} s per {unit}"
    units = plural(2, unit).removeprefix("2 ")
    return f"{number(1 / max(seconds, 1e-9))} {units}/s"


def joined(*parts: str) -> str:
    """The parts that are not empty, as in a headline: ``mine@demo · My question · 4 cells``."""
    return " · ".join(filter(None, parts))


def plural(count: int, noun: str, nouns: str = "") -> str:
    """A count and its noun: ``1 cell``, ``2 cells``, ``3 epochs``, ``2 classes``; ``nouns`` is an irregular plural."""
    regular = f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else nouns or regular}"


def listed(numbers: Iterable[int]) -> str:
    """``1 4 150``."""
    return " ".join(map(str, numbers))


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers with successive ones as a range: ``0-41``, ``0-2 5``."""
    found: list[list[int]] = []
    for value in numbers:
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)


def is_number(text: str) -> bool:
    """Return whether a text would be read as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True

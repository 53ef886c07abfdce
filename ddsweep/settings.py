"""Parse the ``KEY=VALUE`` pairs of the command line."""

from __future__ import annotations

from typing import Any

from ddsweep.errors import UserError


def settings(pairs: list[str] | None) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` pairs into recipe choices; ``a,b,c`` becomes a list.

    Raises:
        UserError: a pair has no ``=``.
    """
    chosen: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UserError(f"{pair!r}: write KEY=VALUE")
        many = "," in text and not text.startswith("imagefolder:")
        chosen[key] = [scalar(part) for part in text.split(",")] if many else scalar(text)
    return chosen


def scalar(text: str) -> bool | int | float | str:
    """Parse a value; unlike in YAML, ``1e-3`` is a number."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)

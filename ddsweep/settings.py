"""Parse the ``KEY=VALUE`` pairs of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ddsweep.errors import UserError

_COMMA = re.compile(r",(?!(?:align|severity)=)")  # not those in cmnist:align=0.95,severity=2
# Python reads these as whole numbers; their author may have meant 8 (octal), 1000 in 0,1,000, or text
_UNUSUAL = re.compile(r"[+-]?(0\d+|\d+(_\d+)+)")


def settings(pairs: list[str] | None) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` pairs into recipe choices; ``a,b,c`` becomes a list.

    Raises:
        UserError: a pair has no ``=``, two pairs have the same key, or a number begins with a 0 or has a ``_``.
    """
    chosen: dict[str, Any] = {}
    given: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UserError(f"{pair!r}: write KEY=VALUE")
        if key in given:
            both = "" if given[key] == pair else f"; for both values, write {key}={given[key].partition('=')[2]},{text}"
            raise UserError(f"{key}: is given twice, as {given[key]} and as {pair}{both}")
        given[key] = pair
        parts = [text] if text.startswith("imagefolder:") else _COMMA.split(text)
        many = len(parts) > 1
        for part in parts:
            if _UNUSUAL.fullmatch(part.strip()):
                raise UserError(f"{pair}: {part!r} is read as {int(part)}; write {int(part)}, or correct the list")
        chosen[key] = [scalar(part) for part in parts] if many else scalar(text)
    return chosen


def once(options: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The values of options of their own (``--width 4``) together with those of ``--set``.

    Raises:
        UserError: one is given in both ways.
    """
    for key in chosen:
        if key in options:
            raise UserError(f"{key}: is given twice, as an option ({options[key]}) and with --set ({chosen[key]})")
    return {**options, **chosen}


def scalar(text: str) -> bool | int | float | str:
    """Parse a value; unlike in YAML, ``1e-3`` is a number."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)

"""Parse the ``KEY=VALUE`` pairs of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ddsweep.errors import UserError


def settings(pairs: list[str] | None) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` pairs into recipe choices; ``a,b,c`` becomes a list.

    Raises:
        UserError: a pair has no ``=``, or two pairs have the same key.
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
        many = "," in text and not text.startswith("imagefolder:")
        chosen[key] = [scalar(part) for part in text.split(",")] if many else scalar(text)
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

"""The records of a table (CSV, JSON, ``ddsweep.results``) against the oracle's entries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tests.oracle.expected import STATES, Expected, average_gain

Record = dict[str, Any]


def problems(records: list[Record], entries: list[Expected], axis: list[str]) -> Iterator[str]:
    """What is wrong with the records of a table with these entries."""
    shown: dict[int, list[Record]] = {}
    for record in records:
        found = find(record, entries, axis)
        if len(found) != 1:
            yield f"{len(found)} entries are at {place(record)}"
            continue
        shown.setdefault(id(found[0]), []).append(record)
        yield from wrong(record, found[0], entries)
    for entry in entries:
        count = len(shown.get(id(entry), []))
        serves = [other for other in entries if other.baseline is entry and other is not entry]
        if count == 0:
            yield f"no record of {name(entry)}"
        elif count > 1 and not (entry.is_baseline and serves):
            yield f"{count} records of {name(entry)}"


def place(record: Record) -> Record:
    """What a record says about where it is."""
    from ddsweep.recipe import Recipe

    return {name: value for name, value in record.items() if name in Recipe.model_fields and name != "seed"}


def find(record: Record, entries: list[Expected], axis: list[str]) -> list[Expected]:
    """The entries that a record may be; a baseline also stands in the rows of the entries that it serves."""
    here, place_ = [entry for entry in entries if _flagged(record, entry)], place(record)
    along = {field: value for field, value in place_.items() if field in axis}
    across = {field: value for field, value in place_.items() if field not in axis}
    if found := [entry for entry in here if has(entry, place_)]:
        return found
    rows = [other.baseline for other in entries if other.baseline is not other and has(other, across)]
    return [entry for entry in here if any(entry is one for one in rows) and has(entry, along)]


def _flagged(record: Record, entry: Expected) -> bool:
    same_arch = record.get("eval_arch") in (None, "", entry.arch)
    return same_arch and bool_of(record.get("baseline")) == entry.is_baseline


def has(entry: Expected, values: Record) -> bool:
    """Whether an entry has these values of settings; ``baseline``: is a baseline."""
    for field, value in values.items():
        own = (
            entry.fields["target"] if (field, entry.fields.get(field)) == ("source", "target") else entry.fields[field]
        )
        if not (entry.is_baseline if value == "baseline" else equal(own, value)):
            return False
    return True


def equal(own: Any, value: Any) -> bool:
    if own in ("", None):
        return value in ("", None) or (number(value) is None and not isinstance(value, str))
    if isinstance(own, int | float) and not isinstance(own, bool):
        return number(value) == own
    return str(own) == str(value)


def number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(found) else found  # pandas writes None as NaN


def bool_of(value: Any) -> bool:
    return value in (True, "True", "true")


def name(entry: Expected) -> str:
    fields = {field: entry.fields[field] for field in ("alpha", "regularizer", "method", "ipc", "n_models", "init")}
    return f"{fields} {entry.arch}"


def wrong(record: Record, entry: Expected, entries: list[Expected]) -> Iterator[str]:
    """The numbers of a record that are not the entry's."""
    expected: dict[str, Any] = {
        "accuracy": entry.accuracy, "accuracy_std": entry.std, "n": len(entry.values), "seeds": len(entry.by_seed),
        "cells": len(entry.cells), "difference": entry.difference, "pairs": len(entry.pairs), "p": entry.p,
        "p_holm": entry.holm,
    }  # fmt: skip
    expected |= {state.replace(" ", "_"): entry.states[state] for state in STATES}
    if "average_gain" in record:
        alike = [other for other in entries if other.fields == entry.fields]
        expected["average_gain"] = average_gain(alike)
    if "test" not in record:  # of a search, whose trials are not tested
        del expected["p"], expected["p_holm"]
    for field, value in expected.items():
        found = number(record.get(field, record.get(field.replace("_", " "))))
        if (found is None) != (value is None) or (value is not None and abs(value - (found or 0.0)) > 1e-9):
            yield f"{field} of {name(entry)} is {found}, not {value}"
    if (record.get("paired_by") or "") != entry.unit:
        yield f"paired_by of {name(entry)} is {record.get('paired_by')!r}, not {entry.unit!r}"

"""The records of a table (CSV, JSON, ``ddsweep.results``) against the oracle's entries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tests.oracle.expected import STATES, Expected, average_gain

PTM_FIELDS = {
    "regularizer", "alpha", "alpha_by_arch", "source", "ptm_archs", "n_models", "ptm_epoch", "ptm_train_epochs",
    "ptm_lr", "ptm_weight_decay", "ptm_batch", "ptm_statistics", "cclom_batch",
}  # fmt: skip
"""Settings that mean nothing without guidance."""
NOTHING = ("", None, "baseline")
Record = dict[str, Any]


def problems(records: list[Record], entries: list[Expected]) -> Iterator[str]:
    """What is wrong with the records of a table with these entries."""
    shown: dict[int, list[Record]] = {}
    for record in records:
        found = find(record, entries)
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

    return {name: value for name, value in record.items() if name in Recipe.model_fields or name == "eval_arch"}


def find(record: Record, entries: list[Expected]) -> list[Expected]:
    """The entries that a record may be; a baseline may stand in a row whose settings have no effect on it."""
    found = [entry for entry in entries if matches(record, entry)]
    return found or [entry for entry in entries if matches(record, entry, elsewhere=True)]


def matches(record: Record, entry: Expected, elsewhere: bool = False) -> bool:
    """Whether a record has the settings of an entry; ``elsewhere``: except those without effect in a baseline."""
    if bool_of(record.get("baseline")) != entry.is_baseline:
        return False
    if record.get("eval_arch") not in (None, "", entry.arch):
        return False
    for field, value in place(record).items():
        if field in ("eval_arch", "seed"):
            continue
        if (
            elsewhere
            and entry.is_baseline
            and entry.fields["regularizer"] == "none"
            and field in PTM_FIELDS - {"alpha"}
        ):
            continue
        if value in NOTHING and (entry.is_baseline or not entry.fields[field]):
            continue
        own = entry.fields["target"] if (field, entry.fields[field]) == ("source", "target") else entry.fields[field]
        if not equal(own, value):
            return False
    return True


def equal(own: Any, value: Any) -> bool:
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
    for field, value in expected.items():
        found = number(record.get(field, record.get(field.replace("_", " "))))
        if (found is None) != (value is None) or (value is not None and abs(value - (found or 0.0)) > 1e-9):
            yield f"{field} of {name(entry)} is {found}, not {value}"
    if (record.get("paired_by") or "") != entry.unit:
        yield f"paired_by of {name(entry)} is {record.get('paired_by')!r}, not {entry.unit!r}"

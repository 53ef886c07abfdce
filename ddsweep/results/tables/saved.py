"""Compare a table with a file that ``ddsweep results --format csv`` (or ``json``) wrote."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddsweep.errors import UserError
from ddsweep.markup import from_spreadsheet
from ddsweep.results.tables import comparison, formats
from ddsweep.results.tables.comparison import Comparison, Other
from ddsweep.results.tables.formats import Record
from ddsweep.results.tables.naming import shown
from ddsweep.results.tables.table import BASELINE, Entry, Table

SUFFIXES = (".csv", ".json")
NEEDED = ("accuracy", "accuracy_std", "n")


def read(path: Path) -> list[Record]:
    """Read the records of a file; empty values are left out.

    Raises:
        UserError: it cannot be read, or was not written by ``ddsweep results``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
        found = json.loads(text) if path.suffix == ".json" else _from_csv(text)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--against {path}: cannot be read ({error})") from None
    how = "it must be one that `results --format csv` (or json) wrote"
    if not isinstance(found, list) or not found:
        raise UserError(f"--against {path}: contains no list of records; {how}")
    for number, record in enumerate(found, start=1):
        lacking = [name for name in NEEDED if not isinstance(record, dict) or name not in record]
        if lacking:
            raise UserError(f"--against {path}: record {number} has no {lacking[0]}; {how}")
        for name in ("accuracy", "accuracy_std"):
            if record[name] not in ("", None):
                _check_fraction(record[name], f"--against {path}: record {number}: {name}")
    return [{name: value for name, value in record.items() if value not in ("", None)} for record in found]


def _check_fraction(value: Any, what: str) -> None:
    number = _number(value)
    if number is None:
        raise UserError(f"{what} is not a number ({value!r})")
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise UserError(f"{what} is {value}; needed: a fraction from 0 to 1 (0.94 for 94 %)")


def _from_csv(text: str) -> list[Record]:
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():  # cut off, or decimal commas
            raise ValueError(f"record {number} has another number of columns than the first line")
    return [{name: from_spreadsheet(value) for name, value in row.items()} for row in rows]


def compare(table: Table, path: Path) -> Comparison:
    """Put ``table`` beside the records of a file.

    A record matches an entry if all fields that identify the entries of either side are equal. A field that the table
    varies and the file does not name is unknown, and matches nothing.

    Raises:
        UserError: the file cannot be read, or was not written by ``ddsweep results``.
    """
    records = read(path)

    def match(entry: Entry) -> tuple[Any, Other | None] | None:
        same = [record for record in records if _agrees(table, entry, record)]
        if len(same) != 1:  # several: the file varies a field that it does not name, or contains the experiment twice
            return None
        mean, std = (_number(same[0].get(name)) for name in ("accuracy", "accuracy_std"))
        return entry.recipe, None if mean is None else Other(mean, std)

    found = comparison.beside(table, path.name, match)
    return replace(found, caveat=f"{path.name} names only what it varies: other settings may differ")


def _agrees(table: Table, entry: Entry, record: Mapping[str, Any]) -> bool:
    ours = formats.identity(table, entry)
    theirs = {
        name: value
        for name, value in record.items()
        if name not in formats.NUMBERS and not name.startswith("against") and name != "sweep"
    }
    return set(ours) <= set(theirs) and all(
        _same(ours[name], value) if name in ours else _fixed(entry, name, value) for name, value in theirs.items()
    )


def _fixed(entry: Entry, name: str, value: Any) -> bool:
    """Whether an entry has the ``value`` of a field that its table does not vary."""
    if name == "eval_arch":
        return entry.eval_arch == value
    if value == BASELINE:
        return entry.baseline
    return hasattr(entry.recipe, name) and _same(shown(entry.recipe, name), value)


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal as numbers, or else as texts: a CSV file contains only texts."""
    one, other = _number(ours), _number(theirs)
    return str(ours) == str(theirs) if one is None or other is None else one == other


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None

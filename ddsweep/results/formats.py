"""A table as csv, json or markdown. Files hold fractions, what people read holds per cent."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from ddsweep.results.table import Entry, Table


def records(table: Table) -> list[dict[str, Any]]:
    """One flat record per entry, accuracies as fractions."""
    flat = []
    for entry in table.entries:
        values = asdict(entry)
        setting, column = values.pop("setting"), values.pop("column")
        values["failed"] = "; ".join(entry.failed)
        renamed = {"accuracy": values.pop("mean"), "accuracy_std": values.pop("std")}
        flat.append(setting | {table.axis: column, **renamed, **values})
    return flat


def as_json(table: Table) -> str:
    """A list of records."""
    return json.dumps(records(table), indent=2, ensure_ascii=False)


def as_csv(table: Table) -> str:
    """A line per record under a line of names."""
    lines = records(table)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")


def as_markdown(table: Table) -> str:
    """Values of the axis down the page, settings across; mean ± std and the difference in per cent."""
    names = [setting_label(row) or "accuracy" for row in table.rows]
    lines = [f"| {' | '.join([table.axis, *names])} |", f"|{'---|' * (len(names) + 1)}"]
    for column in table.columns:
        places = [plain(row[column]) if column in row else "" for row in table.rows]
        lines.append(f"| {' | '.join([column, *places])} |")
    return "\n".join(lines)


def setting_label(row: dict[str, Entry]) -> str:
    """The setting of a row in words: ``dm · ipc 10``."""
    setting = next(iter(row.values())).setting
    return " · ".join(
        str(value) if name in ("method", "target") else f"{name} {value}" for name, value in setting.items()
    )


def plain(entry: Entry) -> str:
    """``88.2 ± 0.4 (+2.1)``, or why there is no number."""
    if entry.mean is None or entry.std is None:
        return "failed" if entry.failed else "–"
    text = f"{100 * entry.mean:.1f} ± {100 * entry.std:.1f}"
    return text if entry.difference is None else f"{text} ({100 * entry.difference:+.1f})"

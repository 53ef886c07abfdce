"""The data of a report: the table of a sweep, its finished runs, and the states of its other cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.backends.values import Row, State, Status
from ddsweep.errors import NO_REASON
from ddsweep.results import stored
from ddsweep.results.tables import naming, table

if TYPE_CHECKING:
    from ddsweep.results.result import Result
    from ddsweep.results.stored import LeftOut
    from ddsweep.results.tables.comparison import Comparison
    from ddsweep.results.tables.table import Table
    from ddsweep.sweep import Cell, Sweep

Cells = dict[str, "list[Cell]"]


@dataclass(frozen=True)
class Absence:
    """The reason that a cell has no result: its state, and the error if it failed."""

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Material:
    """A sweep and its state at the time of the report.

    Attributes:
        sweep: the sweep as launched.
        runs: the runs folder.
        status: the states of its cells in the storage.
        found: its finished runs, by key.
        table: the table of the finished runs.
        against: the comparison with the paper or another sweep; None without a comparison.
        left_out: the results that are not in the table, by key.
    """

    sweep: Sweep
    runs: Path
    status: Status
    found: dict[str, Result]
    table: Table
    against: Comparison | None = None
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)

    @classmethod
    def of(cls, sweep: Sweep, runs: Path, status: Status, against: Comparison | None = None) -> Material:
        """Read the run folders. Without ``against``, accuracies are compared with those of the paper, if it has any."""
        from ddsweep.results.tables import comparison as beside

        files = stored.collect(sweep, runs)
        built = table.build(sweep, files)
        if against is None:
            paper = beside.with_paper(sweep, built)
            against = paper if any(line.other for line in paper.lines) else None
        return cls(sweep, runs, status, files.results, built, against, files.left_out)

    @property
    def settings(self) -> dict[str, Cells]:
        """The cells of every setting of the table, by setting and column."""
        settings: dict[str, Cells] = {}
        for row, *_ in self.table.settings:
            chosen = table.setting_of(row)
            places = settings.setdefault(naming.setting(chosen), {})
            for cell in self.sweep.cells:
                if all(getattr(cell.recipe, name) == value for name, value in chosen.items()):
                    places.setdefault(naming.column_label(self.sweep, cell.recipe), []).append(cell)
        return settings

    @property
    def rows(self) -> dict[str, Row]:
        """The storage's row of every cell, by key."""
        return {row.point.key: row for row in self.status.rows}

    def absence(self, cell: Cell) -> Absence | None:
        """The reason that a cell has no result; None if it is complete."""
        result, row = self.found.get(cell.key), self.rows.get(cell.key)
        if result is not None:
            return Absence("failed", result.reason or NO_REASON) if result.state == "failed" else None
        if left_out := self.left_out.get(cell.key):
            return Absence(left_out.fault.value, left_out.reason)
        if row is None:
            return Absence("not in the queue")
        if row.state is State.COMPLETE:
            return Absence("its files are on another host")
        if row.state is State.FAILED:
            return Absence("failed", row.reason or NO_REASON)
        return Absence(row.state.value, row.reason if row.state is State.PRUNED else "")

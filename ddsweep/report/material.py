"""The data of a report: the table of a sweep, its finished runs, and the states of its other cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.results import states
from ddsweep.results.states import CellState
from ddsweep.results.stored import Stored, collect
from ddsweep.results.tables import naming, ranking, table

if TYPE_CHECKING:
    from ddsweep.backends.values import Row, Status
    from ddsweep.results.result import Result
    from ddsweep.results.tables.comparison import Comparison
    from ddsweep.results.tables.ranking import Ranking
    from ddsweep.results.tables.table import Table
    from ddsweep.sweep import Cell, Sweep

Cells = dict[str, "tuple[Cell, ...]"]


@dataclass(frozen=True)
class Material:
    """A sweep and its state at the time of the report.

    Attributes:
        sweep: the sweep as launched, with the states of its cells in the storage.
        runs: the runs folder.
        status: the states of its cells in the storage.
        stored: its results in the runs folder.
        table: the table of the results.
        ranking: the trials of a search; None for a grid.
        against: the comparison with the paper or another sweep; None without a comparison.
    """

    sweep: Sweep
    runs: Path
    status: Status
    stored: Stored
    table: Table
    ranking: Ranking | None = None
    against: Comparison | None = None

    @classmethod
    def of(cls, sweep: Sweep, runs: Path, status: Status, against: Comparison | None = None) -> Material:
        """Read the run folders. Without ``against``, accuracies are compared with those of the paper, if it has any."""
        from ddsweep.results.tables import comparison as beside

        sweep = replace(sweep, progress=status.progress) if status.rows else sweep
        files = collect(sweep, runs)
        built = table.build(sweep, files)
        if sweep.search:
            return cls(sweep, runs, status, files, built, ranking.build(sweep, files, runs))
        if against is None:
            paper = beside.with_paper(sweep, built)
            against = paper if any(line.other for line in paper.lines) else None
        return cls(sweep, runs, status, files, built, against=against)

    @property
    def found(self) -> dict[str, Result]:
        """Its finished runs, by key."""
        return self.stored.results

    @property
    def settings(self) -> dict[str, Cells]:
        """The cells of every setting of the table, by setting and column."""
        return {
            naming.setting(table.setting_of(row), labels=self.table.labels): {
                column: entry.cells for column, entry in row.items()
            }
            for row, *_ in self.table.settings
        }

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The storage's row of every cell, by key."""
        return {row.point.key: row for row in self.status.rows}

    @cached_property
    def states(self) -> dict[str, CellState]:
        """The state of every cell, by key."""
        return {cell.key: states.of(cell, self.sweep, self.stored) for cell in self.sweep.cells}

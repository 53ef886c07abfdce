"""Every output of a drawn sweep against the oracle."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import traceback
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ddsweep import launches
from ddsweep.backends.optuna import notes
from ddsweep.cli import results as command
from ddsweep.report import numbers
from ddsweep.report.material import Material
from ddsweep.results import result as results
from ddsweep.results import stored
from ddsweep.results.plots import panels
from ddsweep.results.tables import table as tables
from tests.oracle import display, drawn, parse, records, world
from tests.oracle.case import Case, draw, smaller
from tests.oracle.expected import Expected, table

WIDTHS = (60, 100, 400)
CHUNK = 50


def problems(case: Case) -> list[str]:
    """What is wrong in the outputs of a case; empty: nothing."""
    quiet = contextlib.redirect_stderr(io.StringIO())
    # names of the paper's tables: looked up in every sweep file that ships, for every name
    with world.folder(), quiet, mock.patch("ddsweep.sweep.registry.paper_names", dict):
        try:
            return list(_Outputs(case).problems())
        except Exception as error:
            trace = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({trace.name}, line {trace.lineno})"]


def chunk(start: int) -> dict[str, Any]:
    """Check the sweeps of ``CHUNK`` seeds; the problems by seed."""
    found = {seed: problems(draw(seed)) for seed in range(start, start + CHUNK)}
    return {"start": start, "failed": {seed: some for seed, some in found.items() if some}}


class _Outputs:
    """The outputs of a case in the current folder."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._axis: list[str] = case.block["axis"]
        self._world = world.build(case)
        self._every = table(self._world.trials, case.block.get("baseline", {}))
        # trials are compared by the accuracy that is reported: that of the distillation network, if it is evaluated
        self._entries = [entry for entry in self._every if not case.searched or entry.arch == reported(entry)]
        with (
            mock.patch("ddsweep.launches.reading", lambda *_: self._world.store),
            mock.patch("ddsweep.launches.registered_name", lambda name, _: name),
        ):
            self._sweep = launches.finished(self._world.name, None, world.RUNS, None)

    def problems(self) -> Iterator[str]:
        lines = json.loads(self._print("json"))
        yield from named("json", records.problems(lines, self._entries, self._axis))
        as_csv = list(csv.DictReader(io.StringIO(self._print("csv"))))
        yield from named("csv", records.problems(as_csv, self._entries, self._axis))
        yield from named("cells", drawn.cells(json.loads(self._print("json", cells=True)), self._every))
        for trial in self._world.trials:
            if trial.state == "done" and (result := results.read(world.RUNS / trial.key)):
                yield from named("summary", drawn.summary(result, trial))
        if self._case.searched:
            yield from self._search(lines)
            return
        try:
            plan, paper = (display.Plan.of(lines, self._entries, self._axis, paper) for paper in (False, True))
        except ValueError:  # a record is not at the place of one entry, as was said
            return
        self._screen = plan
        for width in WIDTHS:
            shown = parse.screen(self._print("table", width))
            yield from named(f"screen of {width}", display.problems(plan, shown))
            yield from named(f"below {width}", self._footer(shown))
        yield from named("markdown", display.problems(plan, parse.markdown(self._print("markdown"))))
        yield from named("below markdown", self._footer(parse.markdown(self._print("markdown"))))
        yield from named("caption", self._footer(parse.latex(self._print("latex"))))
        yield from self._drawn(paper)
        yield from named("latex", display.problems(paper, parse.latex(self._print("latex")), latex=True))

    def _footer(self, printed: parse.Printed) -> Iterator[str]:
        return display.footer(self._entries, "baseline" in self._case.block, printed.below)

    def _drawn(self, plan: display.Plan) -> Iterator[str]:
        """Figures, report and dashboard."""
        assert self._world.store
        files = stored.collect(self._sweep, world.RUNS)
        built = tables.build(self._sweep, files)
        yield from named("chart", drawn.chart(plan, panels.chart(built)))
        status = self._world.store.sweep(self._world.name).status()
        yield from named(
            "report", drawn.report(plan, numbers.view(Material(self._sweep, world.RUNS, status, files, built)))
        )
        if not {"left out", "missing"} & {trial.state for trial in self._world.trials}:  # which the storage cannot know
            definition = self._world.store.load_definition(self._world.name).definition
            yield from named("dashboard", drawn.chart(plan, notes.describe(status, definition)))
            if note := notes.table_note(status, definition):
                own = self._screen
                yield from named("note", display.problems(own, parse.markdown(note)))

    def _search(self, lines: list[dict[str, Any]]) -> Iterator[str]:
        outputs = {f"screen of {width}": parse.screen(self._print("table", width)) for width in WIDTHS}
        outputs |= {"markdown": parse.markdown(self._print("markdown")), "latex": parse.latex(self._print("latex"))}
        for output, printed in outputs.items():
            yield from named(output, display.of_search(lines, self._entries, printed))

    def _print(self, format_: str, width: int = 100, *, cells: bool = False) -> str:
        """What ``ddsweep results`` prints."""
        out = io.StringIO()
        with (
            mock.patch("ddsweep.launches.finished", lambda *_: self._sweep),
            mock.patch("ddsweep.cli.console.WIDTH_WITHOUT_TERMINAL", width),
            contextlib.redirect_stdout(out),
        ):
            command.results([self._world.name], format_=command.Format(format_), cells=cells, runs=world.RUNS)
        return out.getvalue()


def reported(entry: Expected) -> str:
    evaluated = str(entry.fields["eval_archs"]).split("+")
    return entry.fields["arch"] if entry.fields["arch"] in evaluated else evaluated[0]


def named(output: str, found: Iterator[str]) -> Iterator[str]:
    for problem in found:
        yield f"{output}: {problem}"


def kind(problem: str) -> str:
    """A problem without its numbers and values."""
    return re.sub(r"\{.*\}|[-+]?\d[\d.e+-]*|'.*?'", "…", problem)


def smallest(case: Case) -> Case:
    """The smallest case with a problem of the same kind as the first of ``case``."""
    wanted = kind(problems(case)[0])
    while True:
        for one in smaller(case):
            with contextlib.suppress(Exception):
                if any(kind(problem) == wanted for problem in problems(one)):
                    case = one
                    break
        else:
            return case

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
from ddsweep.cli import results as command
from tests.oracle import display, parse, records, world
from tests.oracle.case import Case, smaller
from tests.oracle.expected import Expected, table

WIDTHS = (60, 100, 400)


def problems(case: Case) -> list[str]:
    """What is wrong in the outputs of a case; empty: nothing."""
    with world.folder(), contextlib.redirect_stderr(io.StringIO()):
        try:
            return list(_Outputs(case).problems())
        except Exception as error:
            trace = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({trace.name}, line {trace.lineno})"]


class _Outputs:
    """The outputs of a case in the current folder."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._axis: list[str] = case.block["axis"]
        self._world = world.build(case)
        every = table(self._world.trials, case.block.get("baseline", {}))
        # trials are compared by the accuracy that is reported: that of the distillation network, if it is evaluated
        self._entries = [entry for entry in every if not case.searched or entry.arch == reported(entry)]
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
        if self._case.searched:
            yield from self._search(lines)
            return
        try:
            plan, paper = (display.Plan.of(lines, self._entries, self._axis, paper) for paper in (False, True))
        except ValueError:  # a record is not at the place of one entry, as was said
            return
        for width in WIDTHS:
            shown = parse.screen(self._print("table", width))
            yield from named(f"screen of {width}", display.problems(plan, shown))
        yield from named("markdown", display.problems(plan, parse.markdown(self._print("markdown"))))
        yield from named("latex", display.problems(paper, parse.latex(self._print("latex")), latex=True))

    def _search(self, lines: list[dict[str, Any]]) -> Iterator[str]:
        outputs = {f"screen of {width}": parse.screen(self._print("table", width)) for width in WIDTHS}
        outputs |= {"markdown": parse.markdown(self._print("markdown")), "latex": parse.latex(self._print("latex"))}
        for output, printed in outputs.items():
            yield from named(output, display.of_search(lines, self._entries, printed))

    def _print(self, format_: str, width: int = 100) -> str:
        """What ``ddsweep results`` prints."""
        out = io.StringIO()
        with (
            mock.patch("ddsweep.launches.finished", lambda *_: self._sweep),
            mock.patch("ddsweep.cli.console.WIDTH_WITHOUT_TERMINAL", width),
            contextlib.redirect_stdout(out),
        ):
            command.results([self._world.name], format_=command.Format(format_), runs=world.RUNS)
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

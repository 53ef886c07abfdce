"""Every output of a drawn sweep against the oracle."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from unittest import mock

from tests.oracle import records, world
from tests.oracle.case import Case, smaller
from tests.oracle.expected import Expected, table

if TYPE_CHECKING:
    from tests.oracle.world import World


def problems(case: Case) -> list[str]:
    """What is wrong in the outputs of a case; empty: nothing."""
    with world.folder(), contextlib.redirect_stderr(io.StringIO()):
        try:
            built = world.build(case)
            entries = table(built.trials, case.block.get("baseline", {}))
            with mock.patch("ddsweep.launches.reading", lambda *_: built.store):
                return [*_as_json(built, entries)]
        except Exception as error:
            import traceback

            last = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({last.name}, line {last.lineno})"]


def _print(*words: str) -> str:
    from typer.testing import CliRunner

    from ddsweep.cli import app

    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def _as_json(built: World, entries: list[Expected]) -> Iterator[str]:
    for problem in records.problems(json.loads(_print("results", built.name, "-f", "json")), entries):
        yield f"json: {problem}"


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

"""A drawn sweep as the product has it: the file is loaded, the cells are queued, claimed and ended, the results are
written. What this module calls is not under test here.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ddsweep import sweep as sweeps
from ddsweep.agent.outcomes import record_result
from ddsweep.backends import Definition, Point, State
from ddsweep.backends.memory import MemoryStore
from ddsweep.results.result import Result
from ddsweep.results.run_files import RESULT
from tests.oracle.expected import resolve

if TYPE_CHECKING:
    from ddsweep.backends import Queue
    from ddsweep.backends.claim import Claim
    from ddsweep.sweep import Sweep
    from tests.oracle.case import Case
    from tests.oracle.expected import Trial

RUNS = Path("runs")
DIVERGED, GIVEN_UP = "the loss is nan at step 7", "the disk was full"
CLASSES = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class World:
    """A launched sweep.

    Attributes:
        name: ``NAME@PROFILE``.
        trials: its cells, as the case says.
        store: the storage in memory; None: a SQLite file in the runs folder.
    """

    name: str
    trials: list[Trial]
    store: MemoryStore | None


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """An empty working folder."""
    path = Path(tempfile.mkdtemp(prefix="ddsweep-oracle-"))
    try:
        with contextlib.chdir(path):
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def build(
    case: Case,
    name: str = "drawn",
    *,
    sqlite: bool = False,
    store: MemoryStore | None = None,
    happened: Callable[[Trial], None] | None = None,
) -> World:
    """Launch a case in the current folder, and let its cells come to their ends.

    Args:
        case: the sweep.
        name: the name of its file.
        sqlite: use a real storage.
        store: the storage in memory that other sweeps are in.
        happened: sets the state and the accuracies of a cell; default: as the case says.
    """
    Path(f"{name}.yaml").write_text(yaml.safe_dump(case.document, sort_keys=False), encoding="utf-8")
    trials = case.trials()
    for trial in trials if happened else ():
        trial.state, trial.accuracies = "done", {}
        happened(trial)  # type: ignore[misc]
    launches = [sweeps.load(f"{name}.yaml")]
    if case.again:
        launches.append(sweeps.load(f"{name}.yaml", None, case.again))
    if sqlite:
        from ddsweep.launches import connect

        real = connect(RUNS, None, create=True)
        try:
            _launch(real.sweep(launches[0].full_name), launches, case, trials)
        finally:
            real.close()
        return World(launches[0].full_name, trials, None)
    store = store or MemoryStore()
    _launch(store.sweep(launches[0].full_name), launches, case, trials)
    return World(launches[0].full_name, trials, store)


def _launch(queue: Queue, launches: list[Sweep], case: Case, trials: list[Trial]) -> None:
    """Register each launch, and let its cells come to their ends."""
    for one in launches:
        queue.register(_definition(one, case))
        _end(queue, trials)
    known = {row.point.key for row in queue.status().rows}
    missing = {trial.key for trial in trials} ^ known
    assert not missing, f"the sweep has other cells than its file: {sorted(missing)}"


def _definition(loaded: Sweep, case: Case) -> Definition:
    """The definition of a sweep; of a search with the points as they were drawn."""
    known = Definition.of(loaded)
    if not case.searched:
        return known
    fixed = {name: values[0] for name, values in case.parameters.items()}
    points = {point.key: point for point in known.points}
    for drawn in case.sampled():
        key = resolve(fixed | drawn)[1]
        points.setdefault(key, Point(key, drawn, key))
    return replace(known, points=list(points.values()), cap=len(points))


def _end(queue: Queue, trials: list[Trial]) -> None:
    """Claim every cell and end it as the case says; those that wait are released when all have been claimed."""
    by_key = {trial.key: trial for trial in trials}
    waiting = []
    while any(row.state is State.WAITING for row in queue.status().rows) and (claim := queue.claim("host:1")):
        trial = by_key.get(claim.point.key)
        if trial is None or trial.state == "waiting":  # a cell that is not in the case is withdrawn later
            waiting.append(claim)
        else:
            _finish(claim, trial)
    for claim in waiting:
        claim.release()


def _finish(claim: Claim, trial: Trial) -> None:
    result = Result(trial.resolved, trial.accuracies, classes=CLASSES, seconds={"distill": 1.0})
    match trial.state:
        case "done":
            result.write(RUNS / trial.key)
            record_result(claim, result)
        case "missing":
            claim.complete(0.5, {"accuracy_std": 0.1})
        case "left out":
            Result(result.recipe, {result.recipe.arch: [0.5]}).write(RUNS / trial.key)
            place = RUNS / trial.key / RESULT
            place.write_text(place.read_text(encoding="utf-8").replace("0.5", "0.6"), encoding="utf-8")
            claim.complete(0.5, {"accuracy_std": 0.0})
        case "diverged":
            Result(result.recipe, state="failed", reason=DIVERGED).write(RUNS / trial.key)
            claim.fail(DIVERGED, final=True)
            trial.state = "failed"
        case "failed":
            claim.fail(GIVEN_UP, final=True)
        case "pruned":
            claim.prune(3, 0.4)
        case "running":
            pass

"""Measurement under the conditions of agents: in separate processes, as many in parallel as share one device."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from queue import Empty, Queue
from typing import Any, NamedTuple

from ddsweep.errors import UserError
from ddsweep.estimate import work
from ddsweep.estimate.work import Distilled, Finding

Found = dict[work.Kind, Finding]
PATIENCE = 5.0  # seconds in which a terminated process must exit before it is killed
LEAST = 45.0  # seconds until processes are given up at the earliest: starting them can take half of this


class Report:
    """Follows a measurement; does nothing by default."""

    def begins(self, number: int, kind: work.Kind) -> None:
        """Kind ``number``, counted from 1, is measured next."""

    def ended(self, number: int, kind: work.Kind, finding: Finding) -> None:
        """Kind ``number`` was measured."""


class Measured(NamedTuple):
    """The result of a measurement.

    Attributes:
        found: the finding of every kind.
        start: seconds in which a process starts; 0 if none was started.
        guessed: the kinds for which there was no time, whose findings are computed from their operations.
    """

    found: Found
    start: float
    guessed: frozenset[work.Kind] = frozenset()


@dataclass(frozen=True)
class Order:
    """The settings of a measurement.

    Attributes:
        device: torch name of the device inside the processes.
        seconds: measuring time for all kinds of work.
        agents: number of processes that measure the same work in parallel; 0: measure in this process.
        threads: CPU threads of each process; 0: torch's default.
        environment: environment variables of the processes, in addition to those of this process.
    """

    device: str
    seconds: float
    agents: int = 0
    threads: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


def measure(wanted: Sequence[work.Kind], order: Order, report: Report | None = None) -> Measured:
    """Return the measurement of each kind of work.

    Args:
        wanted: kinds of work.
        order: the settings of the measurement.
        report: follows it.

    Raises:
        UserError: data cannot be read, or a process ended early; the message contains its last line.
    """
    report = report or Report()
    if not order.agents:
        from ddsweep.estimate import serving

        found: Found = {}
        measured = serving.each(serving.bench(wanted, order), wanted, order.seconds)
        for number, kind in enumerate(wanted, 1):
            report.begins(number, kind)
            found[kind] = next(measured)
            report.ended(number, kind, found[kind])
        return Measured(found, 0.0)
    return _beside(wanted, order, report)


def _beside(wanted: Sequence[work.Kind], order: Order, report: Report) -> Measured:
    began, found, start = time.perf_counter(), Found(), 0.0
    ends = began + max(order.seconds, LEAST)
    crew = [_Process(wanted, order) for _ in range(order.agents)]
    try:
        for one in crew:
            one.answer(ends)
        start = time.perf_counter() - began
        first, *_ = [one.answer(ends) for one in crew]
        guesses = {
            kind: work.finding_from_json(values)
            for kind, values in zip(wanted, first["operations"], strict=True)
            if values is not None
        }
        for number, kind in enumerate(in_order(wanted, guesses), 1):
            report.begins(number, kind)
            try:
                found[kind] = work.mean([work.finding_from_json(one.answer(ends)) for one in crew])
            except TimeoutError:
                if any(kind not in found for kind in wanted if kind not in guesses):
                    raise  # a dataset was not read
                break
            report.ended(number, kind, found[kind])
        return Measured(fill(found, guesses, first["rate"]), start, frozenset(wanted) - found.keys())
    except TimeoutError:
        line = f"estimate: nothing was measured within {max(order.seconds, LEAST):.0f} s; try again with more --seconds"
        raise UserError(line) from None
    finally:
        for one in crew:
            one.end()


def fill(
    found: Mapping[work.Kind, Finding], guesses: Mapping[work.Kind, Finding], machine: float
) -> dict[work.Kind, Finding]:
    """Return the findings with a guess for each kind that was not measured.

    Args:
        found: the measurements.
        guesses: ``operations`` of every kind.
        machine: operations per second of the machine, where nothing was measured (``rate``).
    """
    rates = [_step(guesses[kind]) / step for kind, one in found.items() if kind in guesses and (step := _step(one)) > 0]
    usual = statistics.median(rates) if rates else machine
    missing = {kind: work.times(guess, 1 / usual) for kind, guess in guesses.items() if kind not in found}
    return {**found, **missing}


def in_order(wanted: Sequence[work.Kind], operations: Mapping[work.Kind, Finding]) -> list[work.Kind]:
    """Return the kinds in the order of their measurement: datasets, and then those with few operations first.

    If the time ends, the rates of these tell the seconds of the others (``fill``).
    """
    return sorted(wanted, key=lambda kind: _step(operations[kind]) if kind in operations else -1.0)


class _Process:
    """A measuring process, whose answers are read by a thread, so that one that does not come can be given up."""

    def __init__(self, wanted: Sequence[work.Kind], order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ddsweep.estimate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **order.environment},
        )
        self._answers = Queue[str]()
        said = {**asdict(order), "environment": {}, "agents": 0, "parent": os.getpid()}
        assert self._process.stdin is not None
        json.dump({"order": said, "kinds": [work.kind_as_json(kind) for kind in wanted]}, self._process.stdin)
        self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def answer(self, ends: float) -> dict[str, Any]:
        """Return the next answer.

        Args:
            ends: the latest time (``time.perf_counter``).

        Raises:
            UserError: the process reports an error, or has ended.
            TimeoutError: there was no answer in time.
        """
        try:
            line = self._answers.get(timeout=max(0.0, ends - time.perf_counter()))
        except Empty:
            raise TimeoutError from None
        if not line:
            assert self._process.stderr is not None
            status = f"status {self._process.wait()}"
            last = (self._process.stderr.read().strip().splitlines() or [status])[-1]
            raise UserError(f"estimate: measuring ended with: {last}")
        values = json.loads(line)
        if "error" in values:
            raise UserError(values["error"])
        return dict(values)

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _step(finding: Finding) -> float:
    """The seconds or operations of a step."""
    return finding.first if isinstance(finding, Distilled) else float(getattr(finding, "step", 0.0))

"""Sweeps of the stand-in: points are assigned one by one to agents that ask for work.

A grid is the product of its values. ``random`` and ``bayes`` both sample at random, up to ``run_cap``, because the
samples of the service's Gaussian process cannot be predicted. ``early_terminate`` is W&B's published rule (PyPI sweeps,
hyperband).
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.standin.state import State, fresh, now, opaque

Command = dict[str, Any]


@dataclass
class Agent:
    """A ``wandb agent`` process, and the runs assigned to it."""

    id: str
    host: str
    assigned: list[str] = field(default_factory=list)
    heard: str = field(default_factory=now)


class Sweep:
    """A registered sweep: PENDING → RUNNING ⇄ PAUSED → FINISHED or CANCELED."""

    def __init__(self, entity: str, project: str, text: str) -> None:
        self.name, self.entity, self.project = fresh(), entity, project
        self.state, self.created = "PENDING", now()
        self.display: str | None = None
        self.agents: dict[str, Agent] = {}
        self.runs: list[str] = []
        self.configure(text)

    def configure(self, text: str) -> None:
        """Set the configuration, and restart its sequence of points."""
        self.text, self.config = text, yaml.safe_load(text) or {}
        self._rest = self._points()

    @property
    def id(self) -> str:
        return opaque("Sweep", self.name)

    @property
    def size(self) -> int | None:
        """The number of points; None for a search without ``run_cap``."""
        return sum(1 for _ in self._points()) if self.config.get("method") == "grid" else self.config.get("run_cap")

    def _points(self) -> Iterator[dict[str, Any]]:
        spec = self.config.get("parameters") or {}
        if self.config.get("method") != "grid":
            return itertools.islice(_drawn(spec), self.config.get("run_cap"))
        values = [[one["value"]] if "value" in one else one["values"] for one in spec.values()]
        return (dict(zip(spec, point, strict=True)) for point in itertools.product(*values))

    def to_stop(self, state: State) -> list[str]:
        """The runs that ``early_terminate`` ends now, because others are better at the last band they passed."""
        rule = self.config.get("early_terminate")
        if not rule:
            return []
        told = {name: [-row["accuracy"] for row in state.runs[name].history if "accuracy" in row] for name in self.runs}
        found = []
        for name in (name for name in self.runs if state.runs[name].state == "running"):
            passed = [band for band in _bands(rule) if band < len(told[name])]
            if passed:
                values = sorted(one[passed[-1]] for one in told.values() if len(one) > passed[-1])
                if told[name][passed[-1]] > values[int(len(values) / rule["eta"])]:
                    found.append(name)
        return found

    def enrol(self, host: str) -> Agent:
        """Register a new agent."""
        agent = Agent(opaque("Agent", fresh()), host)
        self.agents[agent.id] = agent
        return agent

    def commands(self, agent: Agent, running: list[str], state: State) -> list[Command]:
        """The commands for an agent that sends a heartbeat with these running runs."""
        agent.heard = now()
        if self.state == "CANCELED":
            return [{"type": "stop", "run_id": run} for run in running] or [{"type": "exit"}]
        if running:
            stop = [name for name in self.to_stop(state) if name in running]
            for name in stop:
                state.runs[name].stopped = True
            return [{"type": "stop", "run_id": name} for name in stop]
        if self.state == "PAUSED":
            return []
        if self.state == "FINISHED":
            return [{"type": "exit"}]
        point = next(self._rest, None)
        if point is None:
            self._finish_when_idle(state)
            return [{"type": "exit"}]
        self.state = "RUNNING"
        agent.assigned.append(fresh())
        arguments = {name: {"value": value} for name, value in point.items()}
        program = self.config.get("program")
        return [{"type": "run", "run_id": agent.assigned[-1], "args": arguments, "program": program}]

    def _finish_when_idle(self, state: State) -> None:
        """Finish the sweep, whose points are all assigned, if no run is running."""
        if not any(state.runs[name].state == "running" for name in self.runs):
            self.state = "FINISHED"


def heartbeat(state: State, identifier: str, running: dict[str, bool]) -> str:
    """The answer to an agent's heartbeat: a list of commands as JSON."""
    sweep = state.agents[identifier]
    state.look_for_crashes()
    return json.dumps(sweep.commands(sweep.agents[identifier], [run for run, lives in running.items() if lives], state))


def _drawn(spec: Command) -> Iterator[dict[str, Any]]:
    """Random points of a search space, with a fixed seed."""
    generator = random.Random(0)
    while True:
        yield {name: _draw(one, generator) for name, one in spec.items()}


def _draw(one: Command, generator: random.Random) -> Any:
    if "value" in one:
        return one["value"]
    if "values" in one:
        return generator.choice(one["values"])
    low, high = one["min"], one["max"]
    kind = one.get("distribution") or ("int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform")
    match kind:
        case "int_uniform":
            return generator.randint(low, high)
        case "uniform":
            return generator.uniform(low, high)
        case "q_uniform":
            return round(generator.uniform(low, high) / one.get("q", 1)) * one.get("q", 1)
        case "log_uniform_values":
            return math.exp(generator.uniform(math.log(low), math.log(high)))
    raise NotImplementedError(f"the stand-in does not draw {kind}")


def _bands(rule: Command) -> list[int]:
    if "max_iter" in rule:
        return sorted(int(rule["max_iter"] / rule["eta"] ** power) for power in range(1, rule["s"] + 1))
    return [rule["min_iter"] * rule["eta"] ** power for power in range(10)]

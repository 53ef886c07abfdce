"""Sweeps of the stand-in: a grid that is dealt point by point to the agents that ask for work."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.standin.state import State, fresh, now, opaque

Command = dict[str, Any]


@dataclass
class Agent:
    """A ``wandb agent`` process, and the runs that it was given."""

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
        """Take a configuration; its grid begins anew."""
        self.text, self.config = text, yaml.safe_load(text) or {}
        self._rest = self._points()

    @property
    def id(self) -> str:
        return opaque("Sweep", self.name)

    @property
    def size(self) -> int:
        """How many points the grid has."""
        return sum(1 for _ in self._points())

    def _points(self) -> Iterator[dict[str, Any]]:
        if self.config.get("method") != "grid":
            raise NotImplementedError("the stand-in deals grids only")
        spec = self.config.get("parameters") or {}
        values = [[one["value"]] if "value" in one else one["values"] for one in spec.values()]
        return (dict(zip(spec, point, strict=True)) for point in itertools.product(*values))

    def enrol(self, host: str) -> Agent:
        """A new agent."""
        agent = Agent(opaque("Agent", fresh()), host)
        self.agents[agent.id] = agent
        return agent

    def commands(self, agent: Agent, running: list[str], state: State) -> list[Command]:
        """What an agent that has these runs alive is told to do at its heartbeat."""
        agent.heard = now()
        if self.state == "CANCELED":
            return [{"type": "stop", "run_id": run} for run in running] or [{"type": "exit"}]
        if running or self.state == "PAUSED":
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
        """The grid is dealt: the sweep ends when nobody runs any more."""
        if not any(state.runs[name].state == "running" for name in self.runs):
            self.state = "FINISHED"


def heartbeat(state: State, identifier: str, running: dict[str, bool]) -> str:
    """The answer to an agent's heartbeat: a list of commands as JSON."""
    sweep = state.agents[identifier]
    state.look_for_crashes()
    return json.dumps(sweep.commands(sweep.agents[identifier], [run for run, lives in running.items() if lives], state))

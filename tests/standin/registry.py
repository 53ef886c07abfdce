"""Answers to the GraphQL operations about sweeps: registration, control, agents and states."""

from __future__ import annotations

import json

from tests.standin.call import Answer, Call, Refusal, Resolver, page, project_of
from tests.standin.runs import run_node
from tests.standin.state import NotFoundError, State
from tests.standin.sweeps import Sweep, heartbeat


def upsert_sweep(call: Call) -> Answer:
    """Register, change or control (pause, resume, stop, cancel) a sweep."""
    given, state = call.variables, call.state
    if given.get("id"):
        sweep = next((one for one in state.sweeps.values() if given["id"] in (one.id, one.name)), None)
        if sweep is None:
            raise Refusal("sweep not found")
        sweep.state = (given.get("state") or sweep.state).upper()
        if given.get("config"):
            sweep.configure(given["config"])
    else:
        sweep = Sweep(call.entity, call.project, given["config"])
        state.sweeps[sweep.name] = sweep
        state.projects.add((call.entity, call.project))
    sweep.display = given.get("displayName") or sweep.display
    foreign = sorted(set(sweep.config) - KEYS)
    warnings = [f"Additional properties are not allowed ({', '.join(map(repr, foreign))})"] if foreign else []
    about = {"id": sweep.id, "name": sweep.name, "state": sweep.state}
    return {
        "upsertSweep": {
            "sweep": about | {"project": project_of(sweep.entity, sweep.project)},
            "configValidationWarnings": warnings,
        }
    }


# top-level keys of W&B's schema of sweep configurations (PyPI sweeps 0.3.0, config/schema.json; no others are allowed)
KEYS = {
    "command", "controller", "description", "early_terminate", "entity", "imageuri", "job", "method", "metric", "name",
    "parameters", "program", "project", "resource", "resource_args", "run_cap", "run_limit", "scheduler", "settings",
    "template_variables", "$schema", "image_uri",
}  # fmt: skip


def create_agent(call: Call) -> Answer:
    sweep = _sweep(call, "sweep")
    agent = sweep.enrol(call.variables["host"])
    call.state.agents[agent.id] = sweep
    return {"createAgent": {"agent": {"id": agent.id}}}


def agent_heartbeat(call: Call) -> Answer:
    identifier = call.variables["id"]
    running = json.loads(call.variables.get("runState") or "{}")
    commands = heartbeat(call.state, identifier, running)
    return {"agentHeartbeat": {"agent": {"id": identifier}, "commands": commands}}


def sweep(call: Call) -> Answer:
    """A sweep with its runs."""
    if not call.known:
        return {"project": None}
    name = str(call.variables.get("sweep") or call.variables.get("name"))
    one = call.state.sweeps.get(name)
    project = project_of(call.entity, call.project)
    return {"project": project | {"sweep": _sweep_node(call.state, one) if one else None}}


def sweeps(call: Call) -> Answer:
    """The sweeps of a project, newest first."""
    if not call.known:
        return {"project": None}
    found = [one for one in call.state.sweeps.values() if (one.entity, one.project) == (call.entity, call.project)]
    nodes = [_sweep_node(call.state, one) for one in reversed(found)]
    return {"project": project_of(call.entity, call.project) | {"totalSweeps": len(nodes), "sweeps": page(call, nodes)}}


def _sweep(call: Call, variable: str) -> Sweep:
    try:
        return call.state.sweep(str(call.variables[variable]))
    except NotFoundError as error:
        raise Refusal(str(error)) from None


def _sweep_node(state: State, one: Sweep) -> Answer:
    runs = [run_node(state.runs[name]) for name in one.runs]
    agents = [
        {"id": agent.id, "name": agent.id, "host": agent.host, "state": "RUNNING", "totalRuns": len(agent.assigned),
         "createdAt": agent.heard, "heartbeatAt": agent.heard}
        for agent in one.agents.values()
    ]  # fmt: skip
    return {
        "__typename": "Sweep", "id": one.id, "name": one.name, "displayName": one.display, "description": None,
        "method": one.config.get("method"), "state": one.state, "config": one.text, "bestLoss": None,
        "createdAt": one.created, "updatedAt": one.created, "heartbeatAt": None, "earlyStopJobRunning": False,
        "controller": None, "scheduler": None, "priorRuns": {"edges": []}, "runCount": len(runs),
        "runCountExpected": one.size, "runs": {"edges": [{"node": node} for node in runs]},
        "agents": {"edges": [{"node": agent} for agent in agents]},
    }  # fmt: skip


ANSWERS: dict[str, Resolver] = {
    "UpsertSweep": upsert_sweep, "CreateAgent": create_agent, "Heartbeat": agent_heartbeat,
    "SweepWithRuns": sweep, "GetSweep": sweep, "GetSweepLegacy": sweep, "GetSweepState": sweep,
    "GetSweepAgents": sweep, "GetSweeps": sweeps,
}  # fmt: skip

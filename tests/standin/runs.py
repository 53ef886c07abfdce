"""Answers to the GraphQL operations about runs: creating, resuming and listing them, their files and history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from tests.standin.call import Answer, Call, Refusal, Resolver, page, project_of
from tests.standin.state import ENTITY, EVENTS, HISTORY, OUTPUT, SUMMARY, Run, fresh, now, opaque


def upsert_run(call: Call) -> Answer:
    """Create, resume or update a run."""
    given, state = call.variables, call.state
    name = given.get("name") or fresh()
    if given.get("id"):  # the public API updates a run by its id
        name = next((run.name for run in state.runs.values() if run.id == given["id"]), name)
    inserted = name not in state.runs
    if inserted:
        state.runs[name] = Run(name, call.project, call.entity)
        state.projects.add((call.entity, call.project))
    run = state.runs[name]
    hear(run)
    for variable, attribute in FIELDS.items():
        if given.get(variable) is not None:
            setattr(run, attribute, given[variable])
    if given.get("config"):
        run.config = json.loads(given["config"])
    if given.get("summaryMetrics"):
        run.receive(SUMMARY, 0, [given["summaryMetrics"]])
    if not given.get("id"):
        run.state, run.exitcode = "running", None
    members = state.sweeps[run.sweep].runs if run.sweep in state.sweeps else []
    if run.sweep in state.sweeps and name not in members:
        members.append(name)
    return {"upsertBucket": {"bucket": run_node(run), "inserted": inserted}}


FIELDS = {
    "displayName": "display", "groupName": "group", "jobType": "job_type", "tags": "tags", "notes": "notes",
    "sweep": "sweep", "host": "host",
}  # fmt: skip


def resume_status(call: Call) -> Answer:
    """The stored state of a run that a client wants to resume."""
    run = call.state.runs.get(call.variables["name"])
    bucket = None
    if run is not None:
        bucket = run_node(run) | {
            "logLineCount": len(run.lines(OUTPUT)), "eventsLineCount": len(run.lines(EVENTS)),
            "historyTail": json.dumps(run.lines(HISTORY)[-1:]), "eventsTail": json.dumps(run.lines(EVENTS)[-1:]),
            "wandbConfig": json.dumps({"t": 1}),
        }  # fmt: skip
    return {"model": project_of(call.entity, call.project) | {"bucket": bucket}}


def run(call: Call) -> Answer:
    """A run with all fields that any operation may request."""
    name = str(call.variables.get("name") or call.variables.get("run") or call.variables.get("runName"))
    one = call.state.runs.get(name)
    call.state.look_for_crashes()
    return {"project": project_of(call.entity, call.project) | {"run": _run_page(call, one) if one else None}}


def runs(call: Call) -> Answer:
    """The runs of a project that match the filters."""
    if not call.known:
        return {"project": None}
    call.state.look_for_crashes()
    chosen = json.loads(call.variables.get("filters") or "{}")
    found = [one for one in call.state.runs.values() if one.project == call.project and matches(one, chosen)]
    if str(call.variables.get("order") or "").startswith("-"):
        found.reverse()
    nodes = [run_node(one) for one in found]
    answer = {"runCount": len(nodes), "runs": page(call, nodes)}
    return {"project": project_of(call.entity, call.project) | answer}


NAMES: dict[str, Callable[[Run], Any]] = {
    "sweep": lambda run: run.sweep, "group": lambda run: run.group, "state": lambda run: run.state,
    "name": lambda run: run.name, "display_name": lambda run: run.display, "jobType": lambda run: run.job_type,
}  # fmt: skip


def matches(one: Run, filters: dict[str, Any]) -> bool:
    """Whether a run matches filters in MongoDB's syntax. Raises Refusal for fields that the stand-in does not know."""
    for name, wanted in filters.items():
        if name in ("$and", "$or"):
            agreeing = [matches(one, part) for part in wanted]
            if agreeing and not (all(agreeing) if name == "$and" else any(agreeing)):
                return False
        elif name not in NAMES:
            raise Refusal(f"the stand-in cannot filter by {name}", HTTPStatus.BAD_REQUEST)
        else:
            value = NAMES[name](one)
            if value not in wanted["$in"] if isinstance(wanted, dict) else value != wanted:
                return False
    return True


def stopped(call: Call) -> Answer:
    one = call.state.runs.get(call.variables.get("runId") or call.variables.get("runName") or "")
    return {"project": {"run": {"stopped": bool(one and one.stopped)}}}


def create_run_files(call: Call) -> Answer:
    """Upload URLs for the files of a run."""
    one = call.state.runs.get(call.variables["run"])
    if one is None:
        raise Refusal(f"run {call.variables['run']} not found")
    files = [{"name": file, "uploadUrl": call.upload(f"{storage(one)}/{file}")} for file in call.variables["files"]]
    return {"createRunFiles": {"runID": one.id, "uploadHeaders": [], "files": files}}


def files_uploaded(_: Call) -> Answer:
    return {"markRunFilesUploaded": {"success": True}}


def hear(one: Run) -> None:
    """Record a heartbeat of a run."""
    one.beat, one.heard = time.monotonic(), now()


def storage(one: Run) -> str:
    """The path of a run's files in the stand-in's folder."""
    return f"storage/runs/{one.name}"


def run_node(one: Run) -> Answer:
    return {
        "id": one.id, "projectId": "1", "name": one.name, "displayName": one.display or one.name, "state": one.state,
        "config": json.dumps(one.config), "summaryMetrics": json.dumps(one.summary), "systemMetrics": "{}",
        "group": one.group, "jobType": one.job_type, "tags": one.tags, "notes": one.notes, "description": one.notes,
        "sweepName": one.sweep or None, "host": one.host, "commit": None, "readOnly": False, "exitcode": one.exitcode,
        "createdAt": one.created, "heartbeatAt": one.heard, "historyLineCount": len(one.lines(HISTORY)),
        "historyKeys": {"lastStep": len(one.lines(HISTORY)) - 1, "sets": [], "keys": {}},
        "user": {"name": ENTITY, "username": ENTITY}, "shouldStop": one.stopped,
        "failed": one.state in ("failed", "crashed"), "stopped": one.stopped, "running": one.state == "running",
        "sampledHistory": [one.history], "project": project_of(one.entity, one.project),
    }  # fmt: skip


def _run_page(call: Call, one: Run) -> Answer:
    """A run with its history and files."""
    folder = call.state.folder / storage(one)
    files = [
        {"id": opaque("File", name), "name": name, "url": None, "mimetype": "application/octet-stream", "md5": "",
         "directUrl": call.upload(f"{storage(one)}/{name}"), "sizeBytes": str(path.stat().st_size), "updatedAt": now()}
        for path in sorted(folder.rglob("*")) if path.is_file()
        for name in [str(path.relative_to(folder))]
    ]  # fmt: skip
    history = one.history
    if call.variables.get("maxStep") is not None:
        low, high = int(call.variables.get("minStep") or 0), int(call.variables["maxStep"])
        history = [line for line in history if low <= line.get("_step", 0) < high]
    specs = call.variables.get("specs") or call.variables.get("spec")
    sampled = [history] * (len(specs) if isinstance(specs, list) else 1)
    return run_node(one) | {
        "history": [json.dumps(line) for line in history], "sampledHistory": sampled, "fileCount": len(files),
        "files": page(call, files), "parquetHistory": {"parquetUrls": [], "liveData": history},
    }  # fmt: skip


ANSWERS: dict[str, Resolver] = {
    "UpsertBucket": upsert_run, "RunResumeStatus": resume_status, "RunStoppedStatus": stopped,
    "Run": run, "RunState": run, "RunFiles": run, "RunFullHistory": run, "RunSampledHistory": run,
    "RunHistoryKeys": run, "HistoryPage": run, "QueryRunInfo": run, "RunParquetHistory": run,
    "Runs": runs, "CreateRunFiles": create_run_files, "MarkRunFilesUploaded": files_uploaded,
}  # fmt: skip

"""The state of the stand-in: runs, sweeps, artifacts, and counts of the operations that it received."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.standin.sweeps import Sweep

ENTITY = "standin"
HISTORY, SUMMARY, EVENTS, OUTPUT = "wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl", "output.log"


class NotFoundError(Exception):
    """The requested run or sweep does not exist."""


def opaque(kind: str, *names: str) -> str:
    """An id in the format of the service: base64 of the kind and names of the object."""
    return base64.b64encode(":".join((kind, *names)).encode()).decode()


def fresh() -> str:
    """A new eight-letter id."""
    return uuid.uuid4().hex[:8]


def now() -> str:
    """The current time in the service's format."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Run:
    """A run. ``streams`` contains the files that arrive line by line (file name → line number → line)."""

    name: str
    project: str
    entity: str
    config: dict[str, Any] = field(default_factory=dict)
    display: str = ""
    group: str = ""
    job_type: str = ""
    notes: str = ""
    host: str = ""
    sweep: str = ""
    tags: list[str] = field(default_factory=list)
    state: str = "running"
    exitcode: int | None = None
    stopped: bool = False
    streams: dict[str, dict[int, str]] = field(default_factory=dict)
    uploaded: set[str] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    created: str = field(default_factory=now)
    beat: float = field(default_factory=time.monotonic)
    heard: str = field(default_factory=now)

    @property
    def id(self) -> str:
        return opaque("Run", "v1", self.name, self.project, self.entity)

    def lines(self, stream: str) -> list[str]:
        """The received lines of a stream, in order."""
        return [line for _, line in sorted(self.streams.get(stream, {}).items())]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(HISTORY)]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines(SUMMARY)
        return json.loads(lines[-1]) if lines else {}

    @property
    def values(self) -> dict[str, Any]:
        """The configuration without W&B's internal entry."""
        return {name: entry["value"] for name, entry in self.config.items() if name != "_wandb"}

    def receive(self, stream: str, offset: int, content: list[str]) -> None:
        """Store lines of a stream; a new summary replaces the previous one."""
        kept = self.streams.setdefault(stream, {})
        for number, line in enumerate(content):
            kept[0 if stream == SUMMARY else offset + number] = line

    def end(self, exitcode: int) -> None:
        self.exitcode, self.state = exitcode, "finished" if exitcode == 0 else "failed"


@dataclass
class Artifact:
    """A version of a collection. ``files`` has the uploaded files: name in the artifact → path in the storage."""

    id: str
    project: str
    entity: str
    type: str
    collection: str
    digest: str
    metadata: dict[str, Any]
    description: str = ""
    state: str = "PENDING"
    version: int = 0
    aliases: list[str] = field(default_factory=list)
    client: str = ""
    manifest: str = ""
    size: int = 0
    files: dict[str, str] = field(default_factory=dict)
    created_by: str = ""
    used_by: list[str] = field(default_factory=list)
    created: str = field(default_factory=now)

    @property
    def name(self) -> str:
        return f"{self.collection}:v{self.version}"


class State:
    """The state of the server, protected by one lock. ``folder`` contains the uploaded files."""

    def __init__(self, folder: Path, key: str, crashes_after: float | None) -> None:
        self.folder, self.key, self.crashes_after = folder, key, crashes_after
        self.lock = threading.RLock()
        self.runs: dict[str, Run] = {}
        self.sweeps: dict[str, Sweep] = {}
        self.agents: dict[str, Sweep] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.operations: Counter[str] = Counter()
        self.unhandled: list[str] = []
        self.failures: dict[str, list[int]] = {}
        self.projects: set[tuple[str, str]] = set()

    def run(self, name: str) -> Run:
        if name not in self.runs:
            raise NotFoundError(f"run {name} not found")
        return self.runs[name]

    def sweep(self, name: str) -> Sweep:
        if name not in self.sweeps:
            raise NotFoundError(f"could not find sweep {name}")
        return self.sweeps[name]

    def versions(self, project: str, collection: str) -> list[Artifact]:
        """The committed versions of a collection, oldest first."""
        return [
            one for one in self.artifacts.values()
            if (one.project, one.collection, one.state) == (project, collection, "COMMITTED")
        ]  # fmt: skip

    def find_artifact(self, project: str, name: str) -> Artifact | None:
        """The artifact ``COLLECTION[:ALIAS]``, with ``latest`` as the default alias; None if it does not exist."""
        collection, _, alias = name.partition(":")
        wanted = alias or "latest"
        for one in reversed(self.versions(project, collection)):
            if wanted in (f"v{one.version}", *one.aliases):
                return one
        return None

    def look_for_crashes(self) -> None:
        """Mark runs without a recent heartbeat as crashed, as the service does after a few minutes."""
        if self.crashes_after is None:
            return
        for run in self.runs.values():
            if run.state == "running" and time.monotonic() - run.beat > self.crashes_after:
                run.state = "crashed"

    def failure(self, operation: str) -> int | None:
        """The HTTP status of the next injected error for an operation; None if none is injected."""
        queue = self.failures.get(operation)
        return queue.pop(0) if queue else None

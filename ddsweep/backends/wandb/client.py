"""A client of the W&B service for the backend: sweeps and runs of one project, and one-line errors.

Nothing is printed, nothing prompts at the terminal, and no message contains an API key. The server is probed first, and
requests end after ``TIMEOUT`` seconds, however long W&B's client would retry.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ddsweep.errors import UserError
from ddsweep.trackers import wandb_service

TIMEOUT = 5  # seconds; W&B's client requires an integer
SETTLE = 0.2  # seconds; W&B's client hangs forever if its process exits right after a request that timed out
PAGE = 100
DEFAULT_PROJECT = "ddsweep"

# wandb.Api needs one more request per sweep to list them; this query lists all at once
LISTING = """
query GetSweeps($entity: String!, $project: String!, $cursor: String, $perPage: Int) {
  project(name: $project, entityName: $entity) {
    sweeps(after: $cursor, first: $perPage) {
      edges { node { id name state config createdAt } }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""
# wandb.sweep does the same, but prints to the terminal and leaves its arguments in the environment
UPSERT = """
mutation UpsertSweep($id: ID, $state: String, $config: String, $entityName: String, $projectName: String) {
  upsertSweep(input: {id: $id, state: $state, config: $config, entityName: $entityName, projectName: $projectName}) {
    sweep { name }
  }
}
"""


@dataclass(frozen=True)
class Registration:
    """A sweep that is registered on W&B.

    Attributes:
        id: its id on W&B, eight letters.
        state: PENDING, RUNNING, PAUSED, FINISHED, CANCELED …
        text: its configuration as YAML.
        created: when it was registered, as ISO text.
        node: its id in W&B's GraphQL API.
    """

    id: str
    state: str
    text: str
    created: str
    node: str

    @property
    def config(self) -> dict[str, Any]:
        """Its configuration."""
        import yaml

        return yaml.safe_load(self.text) or {}


@dataclass(frozen=True)
class Trial:
    """A run of a sweep on W&B. Times are ISO texts; ``heartbeat`` is the time of the last one."""

    id: str
    sweep: str
    state: str
    config: dict[str, Any]
    summary: dict[str, Any]
    created: str
    heartbeat: str


class Service:
    """One project on W&B; an empty ``entity`` is the account's default.

    Every method raises UserError, in one line without the API key, if W&B is unavailable: not logged in, key rejected,
    server unreachable, no permission.
    """

    def __init__(self, project: str = "", entity: str = "") -> None:
        self.project, self._entity = project or DEFAULT_PROJECT, entity

    @cached_property
    def entity(self) -> str:
        """The owner of the project."""
        if self._entity:
            return self._entity
        with self._one_line_errors():
            entity = self._api.default_entity
        if not entity:
            raise UserError("entity: this W&B account has no default entity; set one with --entity")
        return str(entity)

    @property
    def path(self) -> str:
        """``ENTITY/PROJECT``."""
        return f"{self.entity}/{self.project}"

    def url(self, sweep: str) -> str:
        """The page of a sweep."""
        import wandb

        pages = wandb.Settings(base_url=self._api.settings["base_url"]).app_url
        return f"{pages}/{self.path}/sweeps/{sweep}"

    def available(self) -> str:
        """Why W&B is unavailable now; empty if it is available."""
        try:
            _ = self._api, self.entity
        except UserError as error:
            return str(error)
        return ""

    def sweeps(self) -> list[Registration]:
        """Every sweep of the project, newest first; none if the project does not exist."""
        registrations = [
            Registration(
                node["name"],
                str(node["state"] or "PENDING").upper(),
                node["config"] or "",
                node["createdAt"] or "",
                node["id"],
            )
            for node in self._listed()
        ]
        return sorted(registrations, key=lambda registration: registration.created, reverse=True)

    def trials(self, sweeps: Iterable[str]) -> list[Trial]:
        """The runs of these sweeps, oldest first."""
        filters = {"$or": [{"sweep": sweep} for sweep in sweeps]}
        with self._one_line_errors():
            self._api.flush()  # otherwise it returns its cached answer
            runs = self._api.runs(self.path, filters=filters, order="+created_at", per_page=PAGE, lazy=False)
            return [
                Trial(
                    run.id,
                    run.sweep_name or "",
                    run.state,
                    dict(run.config),
                    dict(run.summary_metrics),
                    run.created_at or "",
                    run.heartbeat_at or "",
                )
                for run in runs
            ]

    def create(self, config: str) -> str:
        """Register a sweep (and the project, if it does not exist) from a YAML configuration; returns its id."""
        return self._upsert(config=config)

    def stop(self, sweep: Registration) -> None:
        """Stop a sweep: W&B assigns no further points; running trials continue."""
        self._upsert(id=sweep.node, state="FINISHED")

    def _upsert(self, **changes: str) -> str:
        where = {"entityName": self.entity, "projectName": self.project}
        return str(self._execute(UPSERT, changes | where)["upsertSweep"]["sweep"]["name"])

    def _listed(self) -> Iterator[dict[str, Any]]:
        cursor, more = None, True
        while more:
            variables = {"entity": self.entity, "project": self.project, "cursor": cursor, "perPage": PAGE}
            project = self._execute(LISTING, variables)["project"]
            if not project:
                return
            yield from (edge["node"] for edge in project["sweeps"]["edges"])
            cursor, more = (project["sweeps"]["pageInfo"][name] for name in ("endCursor", "hasNextPage"))

    def _execute(self, query: str, variables: dict[str, Any]) -> Any:
        with self._one_line_errors():
            return self._api._service_api.execute_graphql(query, variables)

    @cached_property
    def _api(self) -> Any:
        import wandb

        if mode := wandb_service.offline_mode():
            raise UserError(f"WANDB_MODE: is {mode}, but --backend wandb needs online")
        host = wandb_service.base_url()
        if not wandb_service.responds(host):
            raise UserError(f"wandb: cannot reach {host}")
        with self._one_line_errors():
            return wandb.Api(timeout=TIMEOUT)

    @contextlib.contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Turn exceptions of W&B's client into a one-line UserError."""
        try:
            yield
        except wandb_service.failures() as error:
            time.sleep(SETTLE)
            reason = wandb_service.explain(error, self._entity or "your account", self.project)
            raise UserError(f"wandb: {reason}") from None

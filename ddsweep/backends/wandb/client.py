"""The W&B service as the backend needs it: sweeps and runs of one project, and one line for whatever goes wrong.

Nothing is printed and nothing asks at the terminal; a key never appears in what is said. Whether the server is there is
asked first; requests end after ``PATIENCE``, however long W&B's client would go on trying.
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

PATIENCE = 5  # seconds; W&B's client takes whole ones
SETTLE = 0.2  # seconds; W&B's client hangs for good if its process ends within moments of a request that was given up
PAGE = 100
DEFAULT_PROJECT = "ddsweep"

# wandb.Api lists sweeps with one request more for each of them; here is one for all
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
# wandb.sweep does the same, prints what it did and leaves its arguments in our environment
UPSERT = """
mutation UpsertSweep($id: ID, $state: String, $config: String, $entityName: String, $projectName: String) {
  upsertSweep(input: {id: $id, state: $state, config: $config, entityName: $entityName, projectName: $projectName}) {
    sweep { name }
  }
}
"""


@dataclass(frozen=True)
class Registration:
    """A sweep as W&B has it.

    Attributes:
        id: what W&B calls it: eight letters.
        state: PENDING, RUNNING, PAUSED, FINISHED, CANCELED …
        text: its configuration as YAML.
        created: when, as ISO text.
        node: what W&B's API calls it.
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
    """A run of a sweep as W&B has it; times are ISO texts, ``heard`` the last sign of life."""

    id: str
    sweep: str
    state: str
    config: dict[str, Any]
    summary: dict[str, Any]
    created: str
    heard: str


class Service:
    """One project. ``entity`` may be empty: the account's own.

    Every method raises UserError, in one line without the key, when W&B is not to be had: not logged in, key rejected,
    not reached, no permission.
    """

    def __init__(self, project: str = "", entity: str = "") -> None:
        self.project, self._wanted = project or DEFAULT_PROJECT, entity

    @cached_property
    def entity(self) -> str:
        """Whose project it is."""
        if self._wanted:
            return self._wanted
        with self._said():
            entity = self._api.default_entity
        if not entity:
            raise UserError("entity: this W&B account has no default one; name one with --entity")
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
        """Why W&B cannot be used now; empty if it can."""
        try:
            _ = self._api, self.entity
        except UserError as error:
            return str(error)
        return ""

    def sweeps(self) -> list[Registration]:
        """Every sweep of the project, newest first; none if W&B has no such project."""
        found = [
            Registration(
                node["name"], str(node["state"] or "PENDING").upper(), node["config"] or "", node["createdAt"] or "",
                node["id"],
            )
            for node in self._listed()
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.created, reverse=True)

    def trials(self, sweeps: Iterable[str]) -> list[Trial]:
        """The runs of these sweeps, oldest first."""
        chosen = {"$or": [{"sweep": one} for one in sweeps]}
        with self._said():
            self._api.flush()  # or it answers what it answered before
            runs = self._api.runs(self.path, filters=chosen, order="+created_at", per_page=PAGE, lazy=False)
            return [
                Trial(
                    run.id, run.sweep_name or "", run.state, dict(run.config), dict(run.summary_metrics),
                    run.created_at or "", run.heartbeat_at or "",
                )
                for run in runs
            ]  # fmt: skip

    def create(self, config: str) -> str:
        """Register a sweep (and the project, if need be) from its configuration as YAML; its id."""
        return self._upsert(config=config)

    def stop(self, sweep: Registration) -> None:
        """Deal no more points of a sweep; trials that run are left alone."""
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
        with self._said():
            return self._api._service_api.execute_graphql(query, variables)

    @cached_property
    def _api(self) -> Any:
        import wandb

        if mode := wandb_service.offline_mode():
            raise UserError(f"WANDB_MODE: is {mode}, so that W&B cannot be asked; W&B's queue needs online")
        host = wandb_service.base_url()
        if not wandb_service.responds(host):
            raise UserError(f"wandb: {host} cannot be reached")
        with self._said():
            return wandb.Api(timeout=PATIENCE)

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """What W&B's client raises as one line."""
        try:
            yield
        except wandb_service.failures() as error:
            time.sleep(SETTLE)
            reason = wandb_service.explain(error, self._wanted or "your account", self.project)
            raise UserError(f"wandb: {reason}") from None

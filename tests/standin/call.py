"""A request to the stand-in's GraphQL endpoint, and common parts of the answers."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.standin.state import ENTITY, State, now, opaque

Answer = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request: the state of the server, its variables, the base URL of uploads, and whether its API key is valid."""

    state: State
    variables: dict[str, Any]
    base: str
    authorised: bool

    @property
    def entity(self) -> str:
        """The owner of the project. Raises Refusal if it is another account."""
        entity = self.variables.get("entity") or self.variables.get("entityName") or ENTITY
        if entity != ENTITY:
            raise Refusal(f"permission denied to access {entity}", HTTPStatus.FORBIDDEN)
        return str(entity)

    @property
    def project(self) -> str:
        return str(self.variables.get("project") or self.variables.get("projectName") or "uncategorized")

    @property
    def known(self) -> bool:
        """Whether the project exists."""
        return (self.entity, self.project) in self.state.projects

    def upload(self, path: str) -> str:
        return f"{self.base}/{urllib.parse.quote(path)}"


class Refusal(Exception):
    """An error that the service returns to the client."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> None:
        super().__init__(message)
        self.status = status


Resolver = Callable[[Call], Answer]


def project_of(entity: str, project: str) -> Answer:
    return {
        "__typename": "Project", "id": opaque("Project", "v1", project, entity), "internalId": opaque("P", project),
        "name": project, "entityName": entity, "entity": {"id": opaque("Entity", entity), "name": entity},
        "createdAt": now(), "isBenchmark": False, "user": None, "readOnly": False,
    }  # fmt: skip


def page(call: Call, nodes: list[Answer]) -> Answer:
    """One page of the nodes, and whether more follow."""
    start, size = int(call.variables.get("cursor") or 0), int(call.variables.get("perPage") or 50)
    end = start + size
    edges = [{"node": node, "cursor": str(start + index + 1)} for index, node in enumerate(nodes[start:end])]
    more = {"__typename": "PageInfo", "endCursor": str(end), "hasNextPage": end < len(nodes)}
    return {"edges": edges, "pageInfo": more}

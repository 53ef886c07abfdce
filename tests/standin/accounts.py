"""Operations on the account and its projects. Operations are recognized by name; queries are not parsed."""

from __future__ import annotations

from tests.standin.call import Answer, Call, Resolver, project_of
from tests.standin.state import ENTITY, opaque


def viewer(call: Call) -> Answer:
    """The account; null if the API key is unknown, as the service returns it."""
    if not call.authorised:
        return {"viewer": None}
    return {
        "viewer": {
            "id": opaque("User", ENTITY), "name": ENTITY, "username": ENTITY, "email": "tests@example.invalid",
            "entity": ENTITY, "admin": False, "flags": "{}", "deletedAt": None, "apiKeys": {"edges": []},
            "teams": {"edges": [{"node": {"name": ENTITY}}]},
        }
    }  # fmt: skip


def server_features(_: Call) -> Answer:
    return {"serverInfo": {"features": []}}


def get_project(call: Call) -> Answer:
    name = call.variables["name"]
    known = (call.entity, name) in call.state.projects
    return {"project": project_of(call.entity, name) if known else None}


ANONYMOUS = {"Viewer", "GetViewer", "GetDefaultEntity", "ServerFeaturesQuery"}
ANSWERS: dict[str, Resolver] = {
    "Viewer": viewer, "GetViewer": viewer, "GetDefaultEntity": viewer, "ServerFeaturesQuery": server_features,
    "GetProject": get_project,
}  # fmt: skip

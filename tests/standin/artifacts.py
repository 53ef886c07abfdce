"""Answers to the GraphQL operations about artifacts: versions, aliases, manifests, lineage."""

from __future__ import annotations

import json
from typing import Any

from tests.standin.call import Answer, Call, Refusal, Resolver, project_of
from tests.standin.state import Artifact, fresh, now, opaque


def create(call: Call) -> Answer:
    """Create a version; identical content returns the existing version."""
    given = call.variables.get("input") or call.variables
    collection = given.get("artifactCollectionName") or given["artifactCollectionNames"][0]
    project, digest = given["projectName"], given["digest"]
    versions = call.state.versions(project, collection)
    same = next((one for one in versions if one.digest == digest), None)
    one = same or Artifact(
        opaque("Artifact", fresh()), project, given["entityName"], given["artifactTypeName"], collection, digest,
        json.loads(given.get("metadata") or "{}"), given.get("description") or "",
    )  # fmt: skip
    call.state.artifacts[one.id] = one
    one.client = given.get("clientID") or one.client
    one.created_by = one.created_by or given.get("runName") or ""
    run = call.state.runs.get(given.get("runName") or "")
    if run and one.id not in run.outputs:
        run.outputs.append(one.id)
    wanted = [alias["alias"] for alias in given.get("aliases") or []]
    one.aliases += [alias for alias in wanted if alias not in one.aliases]
    latest = {"id": versions[-1].id, "versionIndex": versions[-1].version} if versions else None
    sequence = {"id": opaque("Sequence", collection), "latestArtifact": latest}
    return {"createArtifact": {"artifact": {"id": one.id, "state": one.state, "artifactSequence": sequence}}}


def create_manifest(call: Call) -> Answer:
    identifier = opaque("Manifest", call.variables["artifactID"])
    call.state.artifacts[call.variables["artifactID"]].manifest = identifier
    return {"createArtifactManifest": {"artifactManifest": _manifest(call, call.variables["artifactID"], identifier)}}


def update_manifest(call: Call) -> Answer:
    identifier = call.variables["artifactManifestID"]
    one = next(one for one in call.state.artifacts.values() if one.manifest == identifier)
    return {"updateArtifactManifest": {"artifactManifest": _manifest(call, one.id, identifier)}}


def manifest_path(artifact: str) -> str:
    """The path of a manifest in the stand-in's folder."""
    return f"storage/manifests/{artifact}"


def _manifest(call: Call, artifact: str, identifier: str) -> Answer:
    url = call.upload(manifest_path(artifact))
    return {"id": identifier, "file": {"id": opaque("File", artifact), "uploadUrl": url, "uploadHeaders": []}}


def create_files(call: Call) -> Answer:
    """Upload URLs for the files of an artifact."""
    edges = []
    for file in (call.variables.get("input") or call.variables)["artifactFiles"]:
        one = call.state.artifacts[file["artifactID"]]
        path = f"storage/artifacts/{one.id}/{file['name']}"
        one.files[file["name"]] = path
        node: Answer = {
            "storagePath": path,
            "uploadUrl": call.upload(path),
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
        }
        edges.append({"node": node | {"artifact": {"id": one.id}}})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit(call: Call) -> Answer:
    """Commit a version: assign its number, and move its aliases, such as ``latest``, from older versions to it."""
    one = call.state.artifacts[call.variables["artifactID"]]
    if one.state != "COMMITTED":
        one.version = len(call.state.versions(one.project, one.collection))
        one.state = "COMMITTED"
    for other in call.state.versions(one.project, one.collection):
        if other is not one:
            other.aliases = [alias for alias in other.aliases if alias not in one.aliases]
    one.size = sum((call.state.folder / path).stat().st_size for path in one.files.values())
    return {"commitArtifact": {"artifact": {"id": one.id, "digest": one.digest}}}


def use(call: Call) -> Answer:
    """Record an artifact as the input of a run, an edge of the lineage."""
    given = call.variables.get("input") or call.variables
    one = call.state.artifacts[given["artifactID"]]
    run = call.state.runs[given["runName"]]
    if one.id not in run.inputs:
        run.inputs.append(one.id)
        one.used_by.append(run.name)
    return {"useArtifact": {"artifact": _node(one)}}


def update(call: Call) -> Answer:
    given = call.variables.get("input") or call.variables
    one = call.state.artifacts[given["artifactID"]]
    if given.get("metadata"):
        one.metadata = json.loads(given["metadata"])
    return {"updateArtifact": {"artifact": _node(one)}}


def add_aliases(call: Call) -> Answer:
    given = call.variables["input"]
    one = call.state.artifacts[given["artifactID"]]
    one.aliases += [alias["alias"] for alias in given["aliases"] if alias["alias"] not in one.aliases]
    return {"result": {"success": True}}


def client_mapping(call: Call) -> Answer:
    """The service's id of an artifact, given the client's id."""
    found = [one.id for one in call.state.artifacts.values() if one.client == call.variables["clientID"]]
    return {"clientIDMapping": {"serverID": found[0]} if found else None}


def by_id(call: Call) -> Answer:
    """An artifact with its manifest, its lineage and the URLs of its files."""
    one = call.state.artifacts.get(call.variables.get("id") or call.variables.get("artifact_id") or "")
    if one is None:
        return {"artifact": None}
    runs = call.state.runs
    manifest = {"file": {"directUrl": call.upload(manifest_path(one.id))}}
    creator = runs.get(one.created_by)
    files = [{"node": {"name": name, "directUrl": call.upload(path)}} for name, path in one.files.items()]
    more = {"endCursor": None, "hasNextPage": False}
    lineage = {
        "createdBy": _run(creator.name, one) if creator else None,
        "usedBy": {"edges": [{"node": _run(name, one)} for name in one.used_by]},
    }
    return {
        "artifact": _node(one)
        | lineage
        | {"currentManifest": manifest, "filesByManifestEntries": {"edges": files, "pageInfo": more}}
    }


def by_name(call: Call) -> Answer:
    """The artifact ``COLLECTION:ALIAS`` of a project."""
    name = call.variables["name"]
    one = call.state.find_artifact(call.project, name)
    membership = _membership(one) if one else None
    return {"project": project_of(call.entity, call.project) | {"artifactCollectionMembership": membership}}


def kind(call: Call) -> Answer:
    one = call.state.find_artifact(call.project, call.variables["name"])
    return {"project": {"artifact": {"artifactType": {"name": one.type}} if one else None}}


def inputs(call: Call) -> Answer:
    return _of_run(call, call.state.runs[call.variables["run"]].inputs)


def outputs(call: Call) -> Answer:
    return _of_run(call, call.state.runs[call.variables["run"]].outputs)


def _of_run(call: Call, identifiers: list[str]) -> Answer:
    found = [call.state.artifacts[one] for one in identifiers]
    edges = [{"node": _node(one)} for one in found if one.state == "COMMITTED"]
    more = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    page = {"totalCount": len(edges), "edges": edges, "pageInfo": more}
    return {"project": project_of(call.entity, call.project) | {"run": {"artifacts": page}}}


def _run(name: str, one: Artifact) -> Answer:
    return {
        "__typename": "Run",
        "id": opaque("Run", name),
        "name": name,
        "project": project_of(one.entity, one.project),
    }


def _collection(one: Artifact) -> Answer:
    return {"__typename": "ArtifactSequence", "name": one.collection, "project": project_of(one.entity, one.project)}


def _node(one: Artifact) -> Answer:
    aliases = [
        {
            "__typename": "ArtifactAlias",
            "id": opaque("Alias", alias),
            "alias": alias,
            "artifactCollection": _collection(one),
        }
        for alias in (*one.aliases, f"v{one.version}")
    ]
    return {
        "__typename": "Artifact", "id": one.id, "artifactSequence": _collection(one), "versionIndex": one.version,
        "artifactType": {"name": one.type}, "description": one.description, "metadata": json.dumps(one.metadata),
        "ttlDurationSeconds": -2, "ttlIsInherited": True, "tags": [], "historyStep": None, "state": one.state,
        "size": str(one.size), "digest": one.digest, "digestAlgorithm": "MANIFEST_MD5", "commitHash": fresh(),
        "fileCount": len(one.files), "createdAt": one.created, "updatedAt": now(), "aliases": aliases,
    }  # fmt: skip


def _membership(one: Artifact) -> Answer:
    return {
        "__typename": "ArtifactCollectionMembership", "id": opaque("Membership", one.id), "versionIndex": one.version,
        "createdAt": one.created, "aliases": _node(one)["aliases"], "artifactCollection": _collection(one),
        "artifact": _node(one),
    }  # fmt: skip


def xxhash(_: Call) -> Answer:
    return {"entity": {"xxhashDigestsEnabled": False}}


def digest_algorithm(_: Call) -> Answer:
    return {"project": {"artifactType": {"artifactCollection": None}}}


def file_urls(call: Call) -> dict[str, Any]:
    """The files of a version with their URLs."""
    one = call.state.find_artifact(call.project, f"{call.variables['collection']}:{call.variables['alias']}")
    if one is None:
        raise Refusal("artifact not found")
    edges = [
        {"node": {"__typename": "File", "id": opaque("File", name), "name": name, "directUrl": call.upload(path)}}
        for name, path in one.files.items()
    ]
    more = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    files = {"totalCount": len(edges), "edges": edges, "pageInfo": more}
    collection = {"__typename": "ArtifactSequence", "artifactMembership": {"files": files}}
    return {"project": project_of(call.entity, call.project) | {"artifactCollection": collection}}


ANSWERS: dict[str, Resolver] = {
    "CreateArtifact": create, "CreateArtifactManifest": create_manifest, "UpdateArtifactManifest": update_manifest,
    "CreateArtifactFiles": create_files, "CommitArtifact": commit, "UseArtifact": use, "UpdateArtifact": update,
    "AddAliases": add_aliases, "ClientIDMapping": client_mapping, "ArtifactType": kind,
    "ArtifactByID": by_id, "FetchArtifactManifest": by_id, "ArtifactManifest": by_id, "ArtifactCreatedBy": by_id,
    "ArtifactUsedBy": by_id, "ArtifactFileURLsByManifestEntries": by_id, "ArtifactMembershipByName": by_name,
    "RunInputArtifacts": inputs, "RunOutputArtifacts": outputs, "GetArtifactMembershipFileUrls": file_urls,
    "ArtifactMembershipFiles": file_urls, "XXHashDigestsEnabled": xxhash,
    "FetchArtifactDigestAlgorithm": digest_algorithm,
}  # fmt: skip

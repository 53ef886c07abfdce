"""Files in the storage itself, so that the files of one host are available on all others without a shared folder.

There are two kinds: images that belong to a trial (Optuna's artifacts, which the dashboard shows), and the results of
finished recipes by key, which replace a run folder for hosts without a shared one. ``results.transfer`` lists the
files of a result. Both kinds are small, a few MB at most, and are read and written as a whole; they are stored in parts
so that no row is large.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import orm

from ddsweep.backends.optuna import tables
from ddsweep.backends.optuna.database import Database, one_line, retry, shown
from ddsweep.errors import Damaged

PART = 2**20  # bytes per row

TABLES = sa.MetaData()
HEADS = sa.Table(
    "ddsweep_artifacts",
    TABLES,
    sa.Column("artifact_id", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(64), index=True),  # the key of the recipe; null for an image of a trial
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)
PARTS = sa.Table(
    "ddsweep_artifact_parts",
    TABLES,
    sa.Column("artifact_id", sa.String(200), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


class Artifacts:
    """An artifact store (``optuna.artifacts``) for the images of a storage.

    New artifacts are written to the folder if the storage is an SQLite file, which is on the same machine, and to the
    database if it is a server. Artifacts are read from both, so that older images, which are in the folder, remain
    visible.

    Args:
        database: the storage.
        folder: the folder for artifacts that are files; default: ``artifacts`` beside an SQLite file.
    """

    def __init__(self, database: Database, folder: Path | None = None) -> None:
        beside = database.path.with_name("artifacts") if database.path else None
        self._database, self._folder = database, folder or beside
        self._files = FileSystemArtifactStore(self._folder) if self._folder else None

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open an artifact for reading. Raises ArtifactNotFound."""
        with self._database.transaction("read") as session:
            body = get(session, artifact_id)
        if body is not None:
            return io.BytesIO(body)
        if self._files is None:
            raise ArtifactNotFound("not found")
        return self._files.open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Store an artifact."""
        if self._folder and self._files and self._database.path:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files.write(artifact_id, content_body)
            return
        body = content_body.read()
        with self._database.transaction() as session:
            put(session, artifact_id, body)

    def remove(self, artifact_id: str) -> None:
        """Delete an artifact; the dashboard calls this when a study is deleted. Raises ArtifactNotFound."""
        with self._database.transaction() as session:
            there = drop(session, [artifact_id])
        if there:
            return
        if self._files is None:
            raise ArtifactNotFound("not found")
        self._files.remove(artifact_id)


def prepare(database: Database) -> None:
    """Create the tables if they do not exist; safe to call from several processes at once."""

    def create() -> None:
        if sa.inspect(database.rdb.engine).has_table(PARTS.name):
            return
        with database.mutex("schema"):
            TABLES.create_all(database.rdb.engine)

    with one_line(database.url):
        retry(create, shown(database.url))


def keep(session: orm.Session, key: str, contents: Mapping[str, bytes]) -> None:
    """Store the files of a finished recipe by name, replacing those already stored."""
    drop(session, list(session.scalars(sa.select(HEADS.c.artifact_id).where(HEADS.c.owner == key))))
    for name, body in contents.items():
        put(session, f"{key}/{name}", body, owner=key)


def kept(session: orm.Session, keys: Collection[str]) -> set[str]:
    """The subset of ``keys`` whose files are stored; a recipe's files are stored in one transaction, all or none."""
    query = sa.select(HEADS.c.owner).distinct()
    return {owner for some in tables.chunks(keys) for owner in session.scalars(query.where(HEADS.c.owner.in_(some)))}


def load(session: orm.Session, key: str) -> dict[str, bytes]:
    """Load the files of a finished recipe by name; empty if the storage has none.

    Raises:
        Damaged: the content of a file differs from what was stored.
    """
    names = session.scalars(sa.select(HEADS.c.artifact_id).where(HEADS.c.owner == key)).all()
    return {name.removeprefix(f"{key}/"): get(session, name) or b"" for name in names}


def put(session: orm.Session, artifact_id: str, body: bytes, owner: str | None = None) -> None:
    """Store one artifact in parts, with its size and SHA-256."""
    head = {"artifact_id": artifact_id, "owner": owner, "size": len(body), "sha256": _sha256(body)}
    session.execute(sa.insert(HEADS).values(head))
    for part, first in enumerate(range(0, len(body), PART)):
        row = {"artifact_id": artifact_id, "part": part, "body": body[first : first + PART]}
        session.execute(sa.insert(PARTS).values(row))


def get(session: orm.Session, artifact_id: str) -> bytes | None:
    """Load one artifact; None if the storage does not have it.

    Raises:
        Damaged: its size or SHA-256 differs from what was stored.
    """
    head = session.execute(sa.select(HEADS.c.size, HEADS.c.sha256).where(HEADS.c.artifact_id == artifact_id)).first()
    if head is None:
        return None
    parts = sa.select(PARTS.c.body).where(PARTS.c.artifact_id == artifact_id).order_by(PARTS.c.part)
    body = b"".join(session.scalars(parts))
    if (len(body), _sha256(body)) != tuple(head):
        raise Damaged(f"{artifact_id} is damaged in the storage: {len(body)} bytes of {head.size}, or other ones")
    return body


def drop(session: orm.Session, artifact_ids: Collection[str]) -> bool:
    """Delete artifacts; return whether any of them existed."""
    session.execute(sa.delete(PARTS).where(PARTS.c.artifact_id.in_(artifact_ids)))
    gone = session.execute(sa.delete(HEADS).where(HEADS.c.artifact_id.in_(artifact_ids)))
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

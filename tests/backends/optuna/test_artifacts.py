"""Files in the storage itself: pictures as Optuna's artifacts, and results by key."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from optuna.artifacts.exceptions import ArtifactNotFound

from ddsweep.backends.optuna import artifacts
from ddsweep.backends.optuna.artifacts import PART, Artifacts
from ddsweep.backends.optuna.database import Database, open_database
from ddsweep.errors import Damaged

BODY = bytes(range(256)) * (PART // 256) + b"and a little more than one part"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = str(tmp_path / "sweeps.db") if request.param == "sqlite" else request.getfixturevalue("postgresql")
    opened = open_database(url)
    artifacts.prepare(opened)
    artifacts.prepare(opened)
    yield opened
    opened.close()


def rows(database: Database) -> tuple[int, int]:
    """How many artifacts and how many parts there are."""
    count = sa.select(sa.func.count())
    with database.transaction("read") as session:
        heads, parts = (session.scalar(count.select_from(table)) for table in (artifacts.HEADS, artifacts.PARTS))
    return heads or 0, parts or 0


def content(store: Artifacts, name: str) -> bytes:
    with store.open_reader(name) as reader:
        return reader.read()


def put(database: Database, name: str, body: bytes) -> None:
    with database.transaction() as session:
        artifacts.put(session, name, body)


@pytest.mark.parametrize("body", [b"", b"picture", BODY, BODY[:PART], BODY[:PART] * 3], ids=lambda body: str(len(body)))
def test_what_comes_out_is_what_went_in(database: Database, body: bytes) -> None:
    put(database, "one", body)
    assert content(Artifacts(database), "one") == body
    assert rows(database) == (1, -(-len(body) // PART))
    with database.transaction("read") as session:
        longest = session.scalar(sa.select(sa.func.max(sa.func.length(artifacts.PARTS.c.body))))
    assert (longest or 0) <= PART


def test_pictures_go_into_the_folder_beside_a_file_and_into_the_database_of_a_server(database: Database) -> None:
    store = Artifacts(database)
    store.write("one", io.BytesIO(BODY))
    assert rows(database) == ((0, 0) if database.path else (1, 2))
    assert database.path is None or (database.path.parent / "artifacts" / "one").read_bytes() == BODY
    assert content(store, "one") == BODY


def test_a_removed_one_is_gone_with_all_its_parts(database: Database, tmp_path: Path) -> None:
    store = Artifacts(database, tmp_path / "older")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "from before").write_bytes(b"a picture of an earlier version")
    put(database, "one", BODY)
    for name in ("one", "from before"):
        assert content(store, name)
        store.remove(name)
        with pytest.raises(ArtifactNotFound):
            store.open_reader(name)
        with pytest.raises(ArtifactNotFound):
            store.remove(name)
    assert rows(database) == (0, 0)
    assert list((tmp_path / "older").iterdir()) == []


@pytest.mark.postgres
def test_a_server_needs_no_folder(postgresql: str) -> None:
    database = open_database(postgresql)
    artifacts.prepare(database)
    store = Artifacts(database)
    for ask in (store.open_reader, store.remove):
        with pytest.raises(ArtifactNotFound):
            ask("nothing")
    database.close()


@pytest.mark.parametrize("harm", ["a part less", "another byte"])
def test_damage_is_noticed(database: Database, harm: str) -> None:
    put(database, "one", BODY)
    last = (artifacts.PARTS.c.artifact_id == "one") & (artifacts.PARTS.c.part == 1)
    with database.transaction() as session:
        if harm == "a part less":
            session.execute(sa.delete(artifacts.PARTS).where(last))
        else:
            session.execute(sa.update(artifacts.PARTS).where(last).values(body=b"and a little more than one pork"))
    with pytest.raises(Damaged, match=r"^one is damaged in the storage"):
        Artifacts(database).open_reader("one")


def test_results_come_back_by_key_and_are_replaced_as_one(database: Database) -> None:
    first = {"result.json": b"{}", "synthetic.safetensors": BODY, "metrics.jsonl": b""}
    with database.transaction() as session:
        artifacts.keep(session, "abc", first)
        artifacts.keep(session, "abd", {"result.json": b"other"})
        artifacts.keep(session, "abc", {"result.json": b"{1}", "recipe.json": b"r"})
    with database.transaction("read") as session:
        assert artifacts.kept(session, ["abc", "ab", "abd", *(f"no {n}" for n in range(20_000))]) == {"abc", "abd"}
        assert artifacts.load(session, "abc") == {"result.json": b"{1}", "recipe.json": b"r"}
        assert artifacts.load(session, "ab") == {}
    assert rows(database) == (3, 3)


def test_a_transaction_that_fails_keeps_nothing(database: Database) -> None:
    def unlucky(session: object) -> None:
        artifacts.keep(session, "abc", {"result.json": BODY})  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.run(unlucky)
    assert rows(database) == (0, 0)

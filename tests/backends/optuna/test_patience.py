"""A storage that is away: what passes is tried again, and an answer that got through unheard is not given twice."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import psycopg
import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from sqlalchemy import orm

from ddsweep.backends import Claim, Definition, Lease, Point, State
from ddsweep.backends.optuna import database
from ddsweep.backends.optuna.backend import OptunaBackend
from ddsweep.backends.optuna.database import Database, Mode
from ddsweep.errors import UserError
from tests.backends.conftest import Opener, Server

NAME = "ablation-alpha@demo"
GRID = Definition(NAME, [Point("a", {"alpha": 0}, "key-a"), Point("b", {"alpha": 1}, "key-b")])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PAUSES", (0.01, 0.02))


@pytest.fixture
def backend(open_store: Opener, tmp_path: Path) -> OptunaBackend:
    backend = open_store(tmp_path / "sweeps.db").sweep(NAME)
    backend.register(GRID)
    return backend


def cut() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("COMMIT", {}, psycopg.OperationalError("server closed the connection"))


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After ``unheard()`` the next transaction is committed, and its caller does not get to know."""
    original, armed = Database._session, list[bool]()

    @contextlib.contextmanager
    def session(self: Database, mode: Mode) -> Iterator[orm.Session]:
        with original(self, mode) as one:
            yield one
        if armed:
            armed.clear()
            raise cut()

    monkeypatch.setattr(Database, "_session", session)
    return lambda: armed.append(True)


def test_pauses_double_up_to_five_seconds_and_end_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(database, "PAUSES", (0.1, 5.0))
    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    with pytest.raises(sa.exc.OperationalError, match="server closed the connection"):
        database.retry(Mock(side_effect=cut()), "storage")
    assert slept[:8] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert set(slept[6:]) == {5.0}
    assert sum(slept[:-1]) <= 300 < sum(slept)


def test_a_claim_that_was_not_heard_of_is_not_made_twice(backend: OptunaBackend, unheard: Callable[[], None]) -> None:
    unheard()
    claim = backend.claim("gpu0")
    assert claim is not None
    assert (claim.point.id, claim.attempt) == ("a", 1)
    assert [row.state for row in backend.status().rows] == [State.RUNNING, State.WAITING]
    assert claim.complete(0.5)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (lambda claim: claim.complete(0.5, {"accuracy_std": 0.1}), State.COMPLETE),
        (lambda claim: claim.fail("no"), State.FAILED),
        (lambda claim: claim.release(), State.WAITING),
    ],
)
def test_an_answer_that_was_not_heard_of_counts_once(
    backend: OptunaBackend, unheard: Callable[[], None], answer: Callable[[Claim], bool], state: State
) -> None:
    backend.register(Definition(NAME, GRID.points, max_attempts=1))
    claim = backend.claim("gpu0")
    assert claim is not None
    unheard()
    assert answer(claim) is True
    (row, _) = backend.status().rows
    assert (row.state, row.attempts) == (state, int(state is not State.WAITING))


def test_registering_twice_for_want_of_an_answer_is_registering_once(
    backend: OptunaBackend, unheard: Callable[[], None]
) -> None:
    more = Definition(NAME, [*GRID.points, Point("c", {"alpha": 2}, "key-c")])
    backend._create(more)
    unheard()
    backend.register(more)
    assert len(backend.attempts()) == 3


def test_a_locked_file_is_waited_for(open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.backends.optuna.database.BUSY_SECONDS", 0.05)
    backend = open_store(tmp_path / "sweeps.db", Lease(beat=0.01, grace=0.02)).sweep(NAME)
    backend.register(GRID)
    held = backend.claim("gpu0")
    with contextlib.closing(sqlite3.connect(tmp_path / "sweeps.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        tries = iter(range(3))
        monkeypatch.setattr(database.time, "sleep", lambda pause: next(tries, None) == 1 and writer.execute("ROLLBACK"))
        claim = backend.claim("gpu1")
    assert claim is not None and claim.point.id == "b"
    backend.reconcile()
    assert held is not None and held.complete(0.5), "who was kept waiting himself does not take others for dead"


def test_patience_ends(backend: OptunaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise cut()

    monkeypatch.setattr(database, "SECONDS", 0.05)
    with pytest.raises(sa.exc.OperationalError):
        database.retry(away, "here")


def test_what_optuna_wraps_is_known_again() -> None:
    tries = iter([cut(), cut()])

    def away_at_first() -> str:
        if (error := next(tries, None)) is not None:
            raise StorageInternalError("…") from error
        return "there"

    assert database.retry(away_at_first, "here") == "there"
    with pytest.raises(StorageInternalError):
        database.retry(broken := Mock(side_effect=StorageInternalError("of its own")), "here")
    assert broken.call_count == 1


@pytest.mark.parametrize(
    ("state", "passes"),
    [("08006", True), ("40P01", True), ("53100", True), ("57P01", True), ("57P03", True), ("25P03", True),
     ("42501", False), ("42P01", False), ("23505", False), ("28P01", False), (None, True)],
)  # fmt: skip
def test_what_passes_on_postgresql(state: str | None, passes: bool) -> None:
    error = psycopg.OperationalError("…")
    error.sqlstate = state
    assert database.is_temporary(sa.exc.OperationalError("", {}, error)) is passes


def test_what_does_not_pass_on_sqlite() -> None:
    engine = sa.create_engine("sqlite://")
    with pytest.raises(sa.exc.OperationalError) as caught, engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere"))
    engine.dispose()
    assert not database.is_temporary(caught.value)


@pytest.mark.postgres
def test_a_real_server_that_refuses_or_is_away_hears_and_tells_no_password(
    own_server: Server, open_store: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_server.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER USER postgres PASSWORD 'hunter2'")
    own_server.trust("scram-sha-256")
    for wrong in (url, url.replace("postgres@", "postgres:hunter3@"), f"{url}?password=hunter3"):
        with pytest.raises(UserError) as caught:
            open_store(wrong)
        assert "password" in str(caught.value) and "hunter" not in str(caught.value)
    backend = open_store(url.replace("postgres@", "postgres:hunter2@"), Lease(beat=0.05, grace=100)).sweep(NAME)
    backend.register(GRID)
    claim = backend.claim("gpu0")
    assert claim is not None
    own_server.stop()
    monkeypatch.setattr(database, "SECONDS", 0.2)
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as caught, claim:
        claim.complete(0.5)
    assert str(caught.value).startswith("storage postgresql+psycopg://postgres:***@127.0.0.1:")
    assert "is unavailable or busy; retrying" in caplog.text
    assert "hunter" not in caplog.text + str(caught.value)
    own_server.start()
    assert claim.complete(0.5), "the answer was not lost"

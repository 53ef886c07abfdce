from __future__ import annotations

import contextlib
import importlib.util
import logging
import multiprocessing
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage

from ddsweep.backends.optuna import tables
from ddsweep.backends.optuna.current import CurrentStorage, is_current
from ddsweep.backends.optuna.database import ALLOWED, open_database, parse
from ddsweep.backends.optuna.mounts import network_filesystem
from ddsweep.backends.optuna.reading import SCHEMA
from ddsweep.errors import UserError


def error_of(url: str) -> str:
    with pytest.raises(UserError) as caught:
        open_database(url)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("given", "drivername", "database"),
    [
        ("/data/a b.db", "sqlite", "/data/a b.db"),
        ("sqlite:////data/x.db", "sqlite", "/data/x.db"),
        ("postgresql://u@h/d", "postgresql+psycopg", "d"),
        ("postgres://u@h/d", "postgresql+psycopg", "d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg", "d"),
    ],
)
def test_what_a_storage_may_be(given: str, drivername: str, database: str) -> None:
    url = parse(given)
    assert (url.drivername, url.database) == (drivername, database)


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ("mysql://root:hunter2@h/d", "storage: cannot use mysql://"),
        ("postgresql+asyncpg://u:hunter2@h/d", "storage: cannot use postgresql+asyncpg://"),
        ("sqlite://", "storage: cannot use sqlite://"),
        ("sqlite:///:memory:", "storage: cannot use sqlite://"),
        ("postgresql://u:hunter2@h:port/d", "storage: not a URL"),
    ],
)
def test_what_it_may_not_be(given: str, start: str) -> None:
    text = error_of(given)
    assert text.startswith(start)
    assert text.endswith(ALLOWED)
    assert "hunter2" not in text


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    text = error_of("postgresql://me:hunter2@127.0.0.1:9/sweeps?passfile=hunter3")
    assert text.startswith("storage postgresql+psycopg://me:***@127.0.0.1:9/sweeps?passfile=***: ")
    assert "refused" in text
    assert "hunter" not in text


def test_a_missing_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert error_of("postgresql://h/d") == "storage: PostgreSQL needs a driver: pip install 'ddsweep[postgres]'"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = error_of(str(tmp_path / "file" / "sweeps.db"))
    assert text.startswith(f"storage {tmp_path}/file/sweeps.db: ")


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "sweeps.db").write_text("not a database at all " * 100)
    assert error_of(str(tmp_path / "sweeps.db")) == f"storage {tmp_path}/sweeps.db: file is not a database"


@pytest.mark.parametrize("revision", ["v2.6.0.a", "v99.0.0.a"])
def test_a_database_of_another_version(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "sweeps.db"
    open_database(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    assert error_of(str(path)).startswith(f"storage {path}: was made by another version of Optuna; ")


def test_a_transaction_that_writes_excludes_others_but_not_readers(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "sweeps.db"))
    other = sqlite3.connect(tmp_path / "sweeps.db", timeout=0)
    with database.transaction() as session:
        session.execute(sa.text("SELECT 1"))  # only a read so far
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with database.transaction("read") as reader:
            assert reader.scalar(sa.text("SELECT count(*) FROM trials")) == 0
    other.close()
    database.close()


def test_optunas_own_reads_do_not_wait_for_writers_when_read_only(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "sweeps.db"), read_only=True)
    other = sqlite3.connect(tmp_path / "sweeps.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert database.rdb.get_all_studies() == []
    other.close()
    database.close()


def test_an_error_in_a_transaction_leaves_nothing_behind(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "sweeps.db"))
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.execute(sa.text("INSERT INTO studies (study_name) VALUES ('half')"))
        raise ZeroDivisionError
    assert database.rdb.get_all_studies() == []
    database.close()


def _open(url: str) -> None:
    open_database(url).close()


def _open_together(url: str) -> list[int | None]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.backends.agents", "ddsweep.backends.optuna.backend"])
    processes = [context.Process(target=_open, args=(url,)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    assert _open_together(str(tmp_path / "new" / "sweeps.db")) == [0] * 6


@pytest.mark.postgres
def test_many_processes_may_open_a_new_database_at_once(postgresql: str) -> None:
    assert _open_together(postgresql) == [0] * 6


MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
server:/two /my\040data nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/srv/a.db", None), ("/home/me/a.db", "nfs4"), ("/home/local/a.db", None), ("/homes/a.db", None),
     ("/my data/x/a.db", "nfs")],
)  # fmt: skip
def test_which_folders_are_on_the_network(tmp_path: Path, path: str, kind: str | None) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert network_filesystem(Path(path), tmp_path / "mounts") == kind


def test_a_network_folder_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ddsweep.backends.optuna.database.network_filesystem", lambda path: "nfs4")
    with caplog.at_level(logging.WARNING):
        database = open_database(str(tmp_path / "sweeps.db"))
    assert "lies on nfs4: SQLite is safe on local disks only" in caplog.text
    with database.transaction("read") as session:
        assert session.scalar(sa.text("PRAGMA journal_mode")) == "delete"
    database.close()


def test_a_file_with_current_tables_is_opened_without_alembic(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first, again = open_database(str(path)), open_database(str(path))
    assert (type(first.rdb), type(again.rdb)) == (RDBStorage, CurrentStorage)
    assert vars(again.rdb).keys() == vars(first.rdb).keys() - {"_version_manager"}
    study = optuna.create_study(storage=again.rdb, study_name="mine")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert len(optuna.load_study(study_name="mine", storage=first.rdb).trials) == 2
    assert again.rdb.get_current_version() == again.rdb.get_head_version() == SCHEMA
    for one in (first, again):
        one.close()
    code = f"import sys; from ddsweep.backends import connect; connect({str(path)!r}); print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE alembic_version SET version_num = 'v2.6.0.a'", "DELETE FROM alembic_version", "DELETE FROM version_info",
     f"DROP INDEX {tables.INDEX}", "DROP TABLE alembic_version"],
)  # fmt: skip
def test_tables_in_another_state_are_left_to_optuna(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    open_database(str(path)).close()
    assert is_current(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    assert not is_current(path)
    assert not is_current(tmp_path / "none.db")


def test_a_newer_optuna_compares_the_versions_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    open_database(str(path)).close()
    versions = tmp_path / "storages" / "_rdb" / "alembic" / "versions"
    versions.mkdir(parents=True)
    for name in ("v3.2.0.a_.py", "v5.1.0.a.py"):
        (versions / name).touch()
    monkeypatch.setattr(optuna, "__file__", str(tmp_path / "__init__.py"))
    assert not is_current(path)

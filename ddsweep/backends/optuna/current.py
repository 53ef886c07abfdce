"""Open an SQLite file whose tables are those of the installed Optuna, without importing alembic.

``RDBStorage`` imports alembic to compare the version of the tables with its own, each time; that takes as long as
Optuna and SQLAlchemy together. Here the version is compared by a query.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.storages._rdb.storage import _VersionManager
from sqlalchemy import orm

from ddsweep.backends.optuna import tables
from ddsweep.backends.optuna.reading import SCHEMA


class CurrentStorage(RDBStorage):
    """Optuna's storage in a file for which ``is_current`` is true.

    Args:
        url: its URL.
        seconds: how long to wait for other writers.
    """

    def __init__(self, url: sa.URL, seconds: float) -> None:
        self.url, self.engine_kwargs = url.render_as_string(), {"connect_args": {"timeout": seconds}}
        self.skip_compatibility_check = False
        self.heartbeat_interval = self.grace_period = None
        self.heartbeat_stale_trial_callback = self.failed_trial_callback = None
        self.engine = sa.create_engine(url, **self.engine_kwargs)
        self.scoped_session = orm.scoped_session(orm.sessionmaker(bind=self.engine))

    @property
    def _version_manager(self) -> _VersionManager:
        """Compares versions, with alembic; made when it is asked for."""
        return _VersionManager(self.url, self.engine, self.scoped_session)

    @_version_manager.setter
    def _version_manager(self, value: Any) -> None:
        raise AttributeError("it is made when it is asked for")


def is_current(path: Path) -> bool:
    """Whether a file has all tables, Optuna's in the version of the installed Optuna, and ddsweep's index."""
    versions = Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic" / "versions"
    if max((one.stem.rstrip("_") for one in versions.glob("v*.py")), default="") != SCHEMA or not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            index = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (tables.INDEX,)).fetchone()
            initialized = connection.execute("SELECT 1 FROM version_info").fetchone()
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return False
    return bool(index and initialized and version == (SCHEMA,))

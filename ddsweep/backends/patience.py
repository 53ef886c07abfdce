"""What to do about a storage that is away for a while: wait and try again, and tell what passes from what does not."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

logger = logging.getLogger(__name__)
T = TypeVar("T")

SECONDS = 300.0  # how long a storage may be away before whoever needs it gives up
PAUSES = (0.1, 5.0)  # seconds before the second try, doubled with every further one up to the longest
SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")  # held by another process, or a full disk
# 08: connection, 40: deadlock, 53: no disk or connection left, 57P: shutdown and start, 25P03: frozen for too long
POSTGRESQL = ("08", "40", "53", "57P", "25P03")


def insist(work: Callable[[], T], where: str) -> T:
    """``work()``, again and again while its errors are of the passing kind; the last one after ``SECONDS``."""
    since, pause = time.monotonic(), PAUSES[0]
    while True:
        try:
            return work()
        except (sa.exc.DBAPIError, StorageInternalError) as error:  # Optuna's own calls wrap what the database said
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            if not isinstance(cause, sa.exc.DBAPIError) or not passing(cause) or time.monotonic() - since > SECONDS:
                raise
        if pause == PAUSES[0]:
            logger.warning("storage %s is away or busy; trying again for %.0f s", where, SECONDS)
        time.sleep(pause)
        pause = min(2 * pause, PAUSES[1])


def passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same may succeed later: a lost connection, a restart, a lock; not a wrong statement or password."""
    if isinstance(error.orig, sqlite3.Error):
        return str(getattr(error.orig, "sqlite_errorname", "")).startswith(SQLITE)
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(POSTGRESQL)
    # a connection that broke, or could not be made, has no state: nobody was there to give one
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)

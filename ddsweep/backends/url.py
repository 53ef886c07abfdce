"""Where a storage is, and what may be said about that: no line of ours has its password."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
import sqlalchemy as sa

from ddsweep.errors import UserError

ALLOWED = "a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
HIDDEN = "***"
# what may be shown of ?options: a mistyped ?pasword= is as secret as the right one
HARMLESS = {"application_name", "client_encoding", "connect_timeout", "host", "port", "sslmode", "target_session_attrs"}


def parse(storage: str) -> sa.URL:
    """The URL of ``storage``: a path is an SQLite file, ``postgresql://`` means the driver psycopg.

    Raises:
        UserError: neither of the two. What was given is not repeated: it may hold a password.
    """
    if "://" not in storage:
        if re.match(r"[\w+.-]{2,}:", storage):  # user:password@host, or postgresql:/…: nobody means a file by that
            raise UserError(f"storage: not a URL; {ALLOWED}")
        return sa.URL.create("sqlite", database=str(Path(storage).expanduser().absolute()))
    try:
        url = sa.make_url(storage)
    except (sa.exc.ArgumentError, ValueError):
        raise UserError(f"storage: not a URL; {ALLOWED}") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.query:
            raise UserError(f"storage: {shown(url)}: SQLite takes no ?options here; {ALLOWED}")
        return url.set(database=str(Path(url.database).expanduser().absolute()))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        if "@" in f"{url.host}{url.database}":  # a password with a / or @ in it that was not written %2F or %40
            raise UserError(f"storage: not a URL; in a password write / as %2F and @ as %40; {ALLOWED}")
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"storage: cannot use {url.drivername}://; {ALLOWED}")


def shown(url: sa.URL) -> str:
    """The URL for people: no password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    hidden = {key: value if key in HARMLESS else HIDDEN for key, value in url.query.items()}
    return url.set(query=hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


@contextlib.contextmanager
def one_line(url: sa.URL) -> Iterator[None]:
    """Turn what a database, Optuna and the system raise about a storage into one line, without the password.

    The original is not chained to it: a traceback in some log would show what the line hides.
    """
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # never the storage's fault
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
        raise UserError(f"storage {shown(url)}: {reason(error, url)}") from None
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"storage {shown(url)}: {reason(error.__cause__ or error, url)}") from None
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        advice = "use a new one, or `optuna storage upgrade --storage URL`"
        raise UserError(f"storage {shown(url)}: was made by another version of Optuna; {advice}") from None


def reason(error: BaseException, url: sa.URL) -> str:
    """What an error says, in one line of bounded length, without the password in any spelling."""
    text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    for secret in _secrets(url):
        text = text.replace(secret, HIDDEN)
    return text if len(text) <= 300 else f"{text[:300]} …"


def _secrets(url: sa.URL) -> list[str]:
    """What the URL hides, as it is and as URLs spell it, longest first."""
    values = [value for key, value in url.normalized_query.items() if key not in HARMLESS]
    plain = [str(url.password or ""), *(one for value in values for one in value)]
    spelled = {form for one in plain if len(one) > 1 for form in (one, quote(one, safe=""), quote_plus(one))}
    return sorted(spelled, key=len, reverse=True)

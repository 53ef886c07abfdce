"""Errors in code of a user's own, as a ``PluginError`` that names the part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddsweep.errors import Diverged, PluginError, UserError
from ddsweep.plugins.failure import describe, where


@contextmanager
def blamed(what: str, path: Path | None = None) -> Iterator[None]:
    """Turn an exception that comes from code of the user's own into a ``PluginError``; all others pass.

    An exception that is meant for the user, or says that a loss has diverged, passes as well.

    Args:
        what: the part whose code runs, such as ``method 'mine'``.
        path: the file or folder of an installed plugin, which counts as the user's own, too.

    Raises:
        PluginError: ``method 'mine': TypeError: … (mine.py line 12)``.
    """
    try:
        yield
    except (UserError, Diverged):
        raise
    except (Exception, SystemExit) as error:
        if not where(error, path):
            raise
        raise PluginError(f"{what}: {describe(error, path)}") from error

"""An error in the code of a plugin, in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

from ddsweep.plugins import own


def describe(error: BaseException, plugin: Path | None = None) -> str:
    """Return ``TypeError: … (mine.py line 12)``: the error, with the innermost line of the user's own code, if any.

    The user's own code is neither ddsweep's, nor the standard library's, nor that of an installed package. The type of
    a plain ``ValueError`` is left out, because its message is meant to be read.

    Args:
        error: the error.
        plugin: the file or folder of an installed plugin, which counts as the user's own, too.
    """
    line = where(error, plugin)
    place = f" ({line})" if line else ""
    message = (str(error).splitlines() or [""])[0]
    if isinstance(error, SystemExit):
        return f"calls sys.exit({message}){place}"
    return f"{message}{place}" if type(error) is ValueError else f"{type(error).__name__}: {message}{place}"


def where(error: BaseException, plugin: Path | None = None) -> str:
    """Return ``mine.py line 12``, the innermost line of the user's own code; empty if there is none."""
    lines = [one for one in traceback.extract_tb(error.__traceback__) if _is_own(one.filename, plugin)]
    return f"{Path(lines[-1].filename).name} line {lines[-1].lineno}" if lines else ""


def _is_own(filename: str, plugin: Path | None) -> bool:
    path = Path(filename)
    if plugin is not None and path.is_relative_to(plugin):
        return True
    if filename.startswith("<ipython"):  # a cell of a notebook
        return True
    return path.is_absolute() and own.is_own_file(filename)

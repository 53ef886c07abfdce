"""An error in a plugin, told in one line."""

from __future__ import annotations

import site
import sysconfig
import traceback
from functools import cache
from pathlib import Path

import ddsweep


def told(error: BaseException) -> str:
    """Return ``TypeError: … (mine.py line 12)``: the error, with the innermost line of the user's own code, if any.

    The user's own code is neither ddsweep's, nor the standard library's, nor that of an installed package. The type of
    a plain ``ValueError`` is left out, because its message is meant to be read.
    """
    lines = [one for one in traceback.extract_tb(error.__traceback__) if _is_own(one.filename)]
    where = f" ({Path(lines[-1].filename).name} line {lines[-1].lineno})" if lines else ""
    message = (str(error).splitlines() or [""])[0]
    return f"{message}{where}" if type(error) is ValueError else f"{type(error).__name__}: {message}{where}"


def _is_own(filename: str) -> bool:
    path = Path(filename)
    return path.is_absolute() and not any(path.is_relative_to(folder) for folder in _others())


@cache
def _others() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = [Path(ddsweep.__file__).parent, *map(Path, libraries), *map(Path, site.getsitepackages())]
    return tuple(found)

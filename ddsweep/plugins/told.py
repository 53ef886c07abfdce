"""An error in a plugin, told in one line."""

from __future__ import annotations

import site
import sysconfig
import traceback
from functools import cache
from pathlib import Path

import ddsweep

INSTALLED = ("site-packages", "dist-packages")  # also those of a folder that a .pth file names


def told(error: BaseException, plugin: Path | None = None) -> str:
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
    if not path.is_absolute() or any(part in INSTALLED for part in path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _others())


@cache
def _others() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = [Path(ddsweep.__file__).parent, *map(Path, libraries), *map(Path, site.getsitepackages())]
    return tuple(found)

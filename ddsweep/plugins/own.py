"""Which modules are the user's own code: not those of Python, of ddsweep, or of installed packages.

The versions of installed packages are recorded with each result; only the user's own code is identified by its digest.
A plugin that is installed is the user's own, too, with all modules of its top-level package.
"""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

OURS = "ddsweep"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_plugins: set[str] = set()


def claim(plugin: str) -> None:
    """Count the top-level package of a plugin as the user's own, wherever it is installed."""
    _plugins.add(plugin.partition(".")[0])


def is_own(name: str, path: str | Path) -> bool:
    """Return whether a module with this name and source file is the user's own."""
    top = name.partition(".")[0]
    return top != OURS and (top in _plugins or is_own_file(str(path)))


@cache
def is_own_file(path: str) -> bool:
    """Return whether a source file is the user's own, whatever module it is; an installed plugin's is not."""
    resolved = Path(path).resolve()
    if resolved.suffix != ".py" or _INSTALLED & set(resolved.parts) or _INSTALLED & set(Path(path).parts):
        return False
    return not any(resolved.is_relative_to(folder) for folder in _foreign())


@cache
def _foreign() -> tuple[Path, ...]:
    """The folders of Python, its packages, and ddsweep."""
    named = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*(Path(folder).resolve() for folder in named if folder), Path(__file__).resolve().parents[1])

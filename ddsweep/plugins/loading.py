"""Finding and importing plugins: ``$DDSWEEP_PLUGINS``, then the entry points of installed packages."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ddsweep.errors import UserError

VARIABLE = "DDSWEEP_PLUGINS"
GROUP = "ddsweep.plugins"

_done: set[str] = set()
_busy: list[str] = []


def load() -> None:
    """Import every plugin that was not imported yet. A plugin that asks for names while it is imported finds its own.

    Raises:
        UserError: one cannot be imported, or registers a part wrongly; the line names it.
    """
    if _busy:
        return
    for plugin in wanted():
        if plugin in _done:
            continue
        _busy.append(plugin)
        try:
            _import(plugin)
        finally:
            _busy.pop()
        _done.add(plugin)


def wanted() -> Iterator[str]:
    """Files (absolute paths) and modules that are to be imported, in that order."""
    yield from _named()
    yield from _installed()


def _named() -> list[str]:
    """What the variable says. Paths become absolute in it, so that agents that work elsewhere find the same files."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return []
    found = [_absolute(one.strip()) for one in text.split(os.pathsep) if one.strip()]
    os.environ[VARIABLE] = os.pathsep.join(found)
    return found


def _absolute(name: str) -> str:
    return str(Path(name).expanduser().resolve()) if _is_file(name) else name


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name or os.sep in name


@cache
def _installed() -> tuple[str, ...]:
    """The modules of installed packages, by name: the order of their installation says nothing."""
    from importlib.metadata import entry_points

    return tuple(sorted({one.module for one in entry_points(group=GROUP)}))


def _import(plugin: str) -> None:
    try:
        if _is_file(plugin):
            _import_file(Path(plugin))
        else:
            importlib.import_module(plugin)
    except UserError as error:
        raise UserError(_told(plugin, str(error).removeprefix("plugins: "))) from error
    except Exception as error:
        raise UserError(_told(plugin, f"cannot be imported ({type(error).__name__}: {error}{_line(error)})")) from error


def _told(plugin: str, reason: str) -> str:
    return f"plugins: {plugin}: {reason}"


def _line(error: Exception) -> str:
    """Where in somebody's code it went wrong: the innermost line that is not of the import system."""
    if isinstance(error, SyntaxError):
        return ""  # its message has the line
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<frozen")]
    frames = [one for one in frames if Path(one.filename) not in (Path(__file__), Path(importlib.__file__ or ""))]
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


class _FromSource(SourceFileLoader):
    """Never from bytecode: of two edits in one second it may be the older one's, and the digest is the source's."""

    def get_code(self, fullname: str) -> CodeType:
        """The file, compiled."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> ModuleType:
    """A file as the module of its name, as ``import`` would have it if its folder were on the path."""
    name = path.stem
    if not path.is_file():
        raise UserError("no such file")
    if not name.isidentifier():
        raise UserError(f"is imported under its own name, and {name!r} is none; use letters, digits and _")
    there = sys.modules.get(name)
    taken = there.__spec__ if there else importlib.util.find_spec(name)
    if taken is not None and not (taken.origin and Path(taken.origin).exists() and path.samefile(taken.origin)):
        raise UserError(f"there is another module called {name} ({taken.origin or 'a package'}); rename the file")
    if there is not None:
        return there
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

"""Find and import plugins: those in ``$DDSWEEP_PLUGINS``, then the entry points of installed packages."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ddsweep.errors import UserError

VARIABLE = "DDSWEEP_PLUGINS"
GROUP = "ddsweep.plugins"

_loaded: set[str] = set()
_loading: list[str] = []


def load() -> None:
    """Import every plugin that is not imported yet; a plugin that looks up names during its import loads no others.

    Raises:
        UserError: a plugin cannot be imported, or registers an invalid part; the line names the plugin.
    """
    if _loading:
        return
    for plugin in (*_from_variable(), *_from_entry_points()):
        if plugin in _loaded:
            continue
        _loading.append(plugin)
        try:
            _import(plugin)
        finally:
            _loading.pop()
        _loaded.add(plugin)


def _from_variable() -> list[str]:
    """The files and modules in the variable, where paths become absolute for agents that run in another folder."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return []
    plugins = [_absolute(entry.strip()) for entry in text.split(os.pathsep) if entry.strip()]
    os.environ[VARIABLE] = os.pathsep.join(plugins)
    return plugins


def _absolute(name: str) -> str:
    return str(Path(name).expanduser().resolve()) if _is_file(name) else name


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name or os.sep in name


@cache
def _from_entry_points() -> tuple[str, ...]:
    """The modules of installed packages, sorted by name, because the order of installation must not matter."""
    from importlib.metadata import entry_points

    return tuple(sorted({entry_point.module for entry_point in entry_points(group=GROUP)}))


def _import(plugin: str) -> None:
    try:
        if _is_file(plugin):
            _import_file(Path(plugin))
        else:
            importlib.import_module(plugin)
    except UserError as error:
        raise UserError(_message(plugin, str(error).removeprefix("plugins: "))) from error
    except Exception as error:
        raise UserError(
            _message(plugin, f"cannot be imported ({type(error).__name__}: {error}{_line(error)})")
        ) from error


def _message(plugin: str, reason: str) -> str:
    return f"plugins: {plugin}: {reason}"


def _line(error: Exception) -> str:
    """The innermost line of the traceback that is not in the import system."""
    if isinstance(error, SyntaxError):
        return ""  # its message names the line
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    frames = [frame for frame in frames if Path(frame.filename) not in (Path(__file__), Path(importlib.__file__ or ""))]
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


class _FromSource(SourceFileLoader):
    """Ignores bytecode: after two edits within a second it may be the older one's, but the digest is the source's."""

    def get_code(self, fullname: str) -> CodeType:
        """The compiled source file."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> ModuleType:
    """Import a file as a module, as ``import`` does if its folder is on ``sys.path``."""
    name = path.stem
    if not path.is_file():
        raise UserError("no such file")
    if not name.isidentifier():
        raise UserError(f"{name!r} is not a valid module name; rename the file, with letters, digits and _")
    imported = sys.modules.get(name)
    known = imported.__spec__ if imported else importlib.util.find_spec(name)
    if known is not None and not (known.origin and Path(known.origin).exists() and path.samefile(known.origin)):
        raise UserError(f"another module is named {name} ({known.origin or 'a package'}); rename the file")
    if imported is not None:
        return imported
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

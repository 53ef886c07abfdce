"""Find and import plugins: those in ``$DDSWEEP_PLUGINS``, then the entry points of installed packages."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ddsweep.errors import UserError
from ddsweep.plugins import guards, importing, imports, own
from ddsweep.plugins.failure import describe

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
        importing.install()
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
    path = Path(plugin)
    try:
        if _is_file(plugin):
            _check_file(path)
            importing.add_folder(path.parent)
        else:
            own.claim(plugin)
        if imports.mention("torch", path if _is_file(plugin) else plugin):
            importlib.import_module("torch")  # before the plugin, for its settings as they should be
        with guards.importing(path.name):
            _import_file(path) if _is_file(plugin) else importlib.import_module(plugin)
    except SystemExit as error:
        raise UserError(_message(plugin, describe(error))) from error
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
    machinery = {__file__, importing.__file__, importlib.__file__}
    frames = [frame for frame in frames if frame.filename not in machinery]
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UserError("no such file")
    if not path.stem.isidentifier():
        raise UserError(f"{path.stem!r} is not a valid module name; rename the file, with letters, digits and _")


def _import_file(path: Path) -> ModuleType:
    """Import a file as a module, as ``import`` does if its folder is on ``sys.path``.

    A file that a list names comes before one of the same name that ``sys.path`` has (in the working folder, which is on
    it in some ways of starting Python only), but never in place of a module of Python or of an installed package.
    """
    name = path.stem
    imported = sys.modules.get(name)
    if imported is None:
        known = importlib.util.find_spec(name)
        if known is not None and not _is_file_of_ours(name, known.origin) and not _is_folder(known):
            raise UserError(f"another module is named {name} ({known.origin or 'a package'}); rename the file")
    else:
        file = getattr(imported, "__file__", None)
        if not _is_file_of_ours(name, file):
            raise UserError(f"another module is named {name} ({file or 'a package'}); rename the file")
        if importing.source(name, Path(str(file))).content != path.read_bytes():
            raise UserError(f"another module is named {name} ({file}), and has other content; rename one of the files")
        return imported
    spec = importlib.util.spec_from_file_location(name, path, loader=importing.Loader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        _check_neighbors(importing.source(name, path))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_neighbors(module: importing.Module) -> None:
    """Check that no other plugin has a helper of the same name, which Python would import only once.

    Raises:
        UserError: there are two, with different content.
    """
    for name in imports.names(module.content, module.package):
        file = importing.beside(name, module.path.parent)
        there = getattr(sys.modules.get(name), "__file__", None)
        if file and there and not file.samefile(there) and file.read_bytes() != Path(there).read_bytes():
            raise UserError(f"imports {name} ({file}), but {there} has this name, too; rename one of them")


def _is_file_of_ours(name: str, file: str | None) -> bool:
    return file is not None and own.is_own(name, file)


def _is_folder(spec: ModuleSpec) -> bool:
    """Whether it is a folder without ``__init__.py`` that happens to be on ``sys.path``."""
    return spec.origin is None and spec.submodule_search_locations is not None

"""The source code that a part comes from: ddsweep's own, or a plugin's, which is identified by its digest.

The digest of a plugin covers the source of every module of its top-level package, of the user's own modules that these
import (directly or not), and the files that its decorators declare, each by name and content.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from ddsweep.errors import UserError
from ddsweep.plugins import declared, importing, imports, notebook, own
from ddsweep.plugins.notebook import MAIN
from ddsweep.plugins.own import OURS

Source = Callable[..., Any] | str
"""A function or class, or the ``module:name`` of one, which is imported when it is first needed."""


@dataclass(frozen=True)
class Code:
    """The source code of a plugin.

    Attributes:
        name: the top-level module: ``my_method`` for ``my_method.py``, ``lab`` for ``lab/methods.py``.
        digest: 12 hex digits: the hash of all its modules and files.
        path: the file, or the folder of the package.
        modules: the modules that the digest covers.
        files: the declared files that the digest covers.
        libraries: the installed packages that these modules import.
    """

    name: str
    digest: str
    path: Path
    modules: tuple[str, ...] = field(default=(), compare=False)
    files: tuple[str, ...] = field(default=(), compare=False)
    libraries: tuple[str, ...] = field(default=(), compare=False)

    @property
    def pin(self) -> str:
        """``my_method@3f2a9c01d47e``, as in the ``plugins`` field of a recipe."""
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True)
class Origin:
    """Where a part of a plugin comes from.

    Attributes:
        plugin: the top-level module; for a part of a notebook, the name of its pin, ``__main__.Mine``.
        modules: the module that registers it, and the one that defines its function or class.
        folder: the folder of the registering module's file.
        files: the declared files, relative to that folder.
        options: the options whose values are files.
        run: how often the registering module had been executed.
        source: the function or class, if it is defined in a notebook or script.
    """

    plugin: str
    modules: tuple[str, ...]
    folder: Path
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    run: int = field(default=0, compare=False)
    source: Source | None = field(default=None, compare=False)


_parts: dict[str, dict[tuple[str, str], Origin]] = {}
_codes: dict[str, tuple[tuple[Any, ...], Code]] = {}


def origin(source: Source, files: Iterable[str] = (), options: Iterable[str] = ()) -> Origin | None:
    """Return where a part comes from that is being registered; None for ddsweep's own.

    Args:
        source: its function or class.
        files: the files that its decorator declares.
        options: the names of its options.

    Raises:
        UserError: a file does not exist, or the list of files is invalid.
    """
    defining, registering = module_of(source), _registering(sys._getframe(1))
    module = registering or defining
    if module.partition(".")[0] == OURS:
        return None
    main = module == MAIN
    listed = declared.check(files, options)
    one = Origin(
        notebook.name_of(source) if main else _root(module)[0],
        tuple(dict.fromkeys((module, defining))),
        Path.cwd() if main else _file(module).parent,
        tuple(name for name in listed if not name.startswith(declared.OPTION)),
        tuple(name.removeprefix(declared.OPTION) for name in listed if name.startswith(declared.OPTION)),
        importing.runs(module),
        source if main else None,
    )
    for name in one.files:
        declared.find(one.folder, name)
    return one


def register(kind: str, name: str, one: Origin) -> None:
    """Make the modules and files of a part those of its plugin."""
    _parts.setdefault(one.plugin, {})[kind, name] = one


def code(one: Origin) -> Code:
    """Return the code of the plugin of a part: what was executed, and what its files contain now.

    Raises:
        UserError: a declared file no longer exists.
    """
    plugin = one.plugin
    if one.source is not None:
        found = {declared.shown(name): declared.find(one.folder, name) for name in one.files}
        digest, modules = notebook.digest(resolve(one.source), found.values())
        return Code(plugin, digest, Path(MAIN), modules, tuple(sorted(found)))
    parts = tuple(_parts[plugin].values())
    files = {declared.shown(name): declared.find(one.folder, name) for one in parts for name in one.files}
    state = (importing.runs(), parts, tuple((name, declared.version(path)) for name, path in files.items()))
    if plugin not in _codes or _codes[plugin][0] != state:
        _codes[plugin] = state, _read(plugin, parts, files)
    return _codes[plugin][1]


def _read(plugin: str, parts: Iterable[Origin], files: dict[str, Path]) -> Code:
    _, path = _root(plugin)
    starts = imports.of_package(plugin, path) if path.is_dir() else [importing.source(plugin, path)]
    # a function of an installed package, which the plugin registers, is identified by the version of the package
    needed = {name: _file(name) for one in parts for name in one.modules if name.partition(".")[0] != OURS}
    starts += [importing.source(name, file) for name, file in needed.items() if own.is_own(name, file)]
    modules, libraries = imports.closure(starts)
    lines = [f"module {name} {modules[name].digest}" for name in sorted(modules)]
    lines += [f"file {name} {declared.digest(files[name])}" for name in sorted(files)]
    digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=6).hexdigest()
    return Code(plugin, digest, path, tuple(sorted(modules)), tuple(sorted(files)), tuple(sorted(libraries)))


def has_notebook_parts() -> bool:
    """Return whether a part of a notebook or script is registered."""
    return any(one.source is not None for parts in _parts.values() for one in parts.values())


def name_of(source: Source) -> str:
    """The ``module:name`` of a source: ``my_method:Lite``."""
    if isinstance(source, str):
        return source
    return f"{module_of(source)}:{getattr(source, '__qualname__', type(source).__name__)}"


def module_of(source: Source) -> str:
    """The module that defines a function or class; of another callable, the module of its type."""
    if isinstance(source, str):
        return source.partition(":")[0]
    return getattr(source, "__module__", None) or type(source).__module__


def resolve(source: Source) -> Any:
    """The function or class of a source.

    Raises:
        UserError: its ``module:name`` cannot be imported.
    """
    if not isinstance(source, str):
        return source
    module, _, name = source.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"plugins: {source}: cannot be imported ({error})") from error


def _registering(frame: FrameType | None) -> str:
    """The module whose import runs the decorator; empty if it runs later, as in a notebook.

    It need not be the module that defines the function: a plugin may register the functions of others, with options of
    its own, or those that a helper makes for it.
    """
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if frame is None:
        return ""
    spec = frame.f_globals.get("__spec__")
    running = getattr(spec, "_initializing", False) or importing.is_running(frame.f_globals.get("__name__", ""))
    return frame.f_globals["__name__"] if running else ""


def _root(module: str) -> tuple[str, Path]:
    """The outermost module that has a file, and that file, or the folder of a package."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):  # namespace packages have no file
        name = ".".join(parts[:length])
        file = getattr(sys.modules.get(name) or importlib.import_module(name), "__file__", None)
        if file is not None:
            path = Path(file)
            return name, path.parent if path.name == "__init__.py" else path
    raise UserError(f"plugins: {module} has no source file")


def _file(module: str) -> Path:
    found = sys.modules.get(module) or importlib.import_module(module)
    return Path(getattr(found, "__file__", None) or f"{module}.py")

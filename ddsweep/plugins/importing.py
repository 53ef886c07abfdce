"""How the user's own modules are imported: from their source, and with a record of the bytes that were compiled.

A file may be edited between its import and the moment when its digest is needed, and Python may run bytecode of an
earlier version of it. Therefore a finder at the head of ``sys.meta_path`` compiles the user's own modules itself.

The modules in the folder of a plugin's file can import each other as if that folder were the first on ``sys.path``, as
in a script. Other modules do not see that folder, and so cannot import a file of the user's in place of a package.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, ModuleType

from ddsweep.errors import UserError
from ddsweep.plugins import own

_executed: dict[str, Module] = {}
_read: dict[str, Module] = {}
_beside: set[Path] = set()
_running: list[str] = []
_busy = threading.local()
_runs: dict[str, int] = {}


@dataclass(frozen=True)
class Module:
    """The source of one of the user's own modules.

    Attributes:
        name: its full name, ``lab.losses``.
        path: its file.
        content: the bytes of the file, as they were compiled.
    """

    name: str
    path: Path
    content: bytes

    @cached_property
    def digest(self) -> str:
        """The hash of the content."""
        return blake2b(self.content, digest_size=16).hexdigest()

    @property
    def package(self) -> str:
        """The package to which its relative imports refer."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def install() -> None:
    """Record the user's own modules from now on."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)


def add_folder(folder: Path) -> None:
    """Let the modules in the folder of a plugin's file import each other."""
    _beside.add(folder)


def folder_of(path: Path) -> Path | None:
    """Return the folder of a plugin's file in which, or below which, a file is."""
    return next((folder for folder in path.parents if folder in _beside), None)


def runs(name: str = "") -> int:
    """Return how often a module has been executed; without a name, the number of all executions."""
    return _runs.get(name, 0) if name else sum(_runs.values())


def is_running(name: str) -> bool:
    """Return whether a module of the user's own is being imported."""
    return name in _running


def source(name: str, path: Path) -> Module:
    """Return the source of one of the user's own modules: what was executed, or else what is in its file.

    A module that is imported later must have the content that was returned here.

    Raises:
        UserError: the file cannot be read.
    """
    if name in sys.modules and name in _executed:
        return _executed[name]
    if name not in _read or _read[name].path != path:
        try:
            _read[name] = Module(name, path, path.read_bytes())
        except OSError as error:
            raise UserError(f"plugins: {path}: cannot be read ({error.strerror})") from None
    return _read[name]


def _record(module: Module, *, again: bool) -> None:
    before = _read.get(module.name)
    if again or module.name in _executed:  # a reload: nothing that was read before counts
        _read.clear()
    elif before is not None and before.content != module.content:
        raise UserError(f"plugins: {module.path} has changed since the plugins were loaded; start again")
    _executed[module.name] = module
    _runs[module.name] = _runs.get(module.name, 0) + 1


class Loader(SourceFileLoader):
    """Compiles the source file, without bytecode files, and records it."""

    def __init__(self, name: str, path: str, *, again: bool = False) -> None:
        super().__init__(name, path)
        self._again = again

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        _running.append(module.__name__)
        try:
            super().exec_module(module)
        finally:
            _running.remove(module.__name__)

    def get_code(self, fullname: str) -> CodeType:
        """The compiled source file."""
        content = self.get_data(self.path)
        _record(Module(fullname, Path(self.path), content), again=self._again)
        return self.source_to_code(content, self.path)


class Finder:
    """Finds modules as the other finders do, and replaces the loader of the user's own."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module for the import system."""
        if name in _names():  # another finder asks all finders
            return None
        importer = _importer(sys._getframe(1)) if path is None and _beside else None
        return self.spec(name, path, importer, again=target is not None)

    def spec(
        self, name: str, path: Sequence[str] | None, folder: Path | None, *, again: bool = False
    ) -> ModuleSpec | None:
        """Find a module.

        Args:
            name: its full name.
            path: where its package looks for modules; None for a top-level module.
            folder: the folder of the plugin's file that imports it.
            again: whether it is reloaded.
        """
        file = beside(name, folder) if path is None and folder is not None else None
        if again and name in _executed and _executed[name].path.is_file():  # a plugin's folder is not on sys.path
            file = _executed[name].path
        if file is not None:
            search = [str(file.parent)] if file.name == "__init__.py" else None
            loader = Loader(name, str(file), again=again)
            return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=search)
        _names().append(name)
        try:
            specs = (finder.find_spec(name, path) for finder in sys.meta_path if finder is not self)
            found = next((spec for spec in specs if spec is not None), None)
        finally:
            _names().remove(name)
        if found and found.origin and type(found.loader) is SourceFileLoader and own.is_own(name, found.origin):
            found.loader = Loader(name, found.origin, again=again)
        return found


FINDER = Finder()


def beside(name: str, folder: Path) -> Path | None:
    """Return the file of a top-level module in the folder of a plugin's file."""
    if name in sys.stdlib_module_names or name == own.OURS:
        return None
    return next((file for file in (folder / name / "__init__.py", folder / f"{name}.py") if file.is_file()), None)


def _importer(frame: FrameType | None) -> Path | None:
    """The folder of the plugin's file whose code, or whose neighbor's code, contains the import that is being run."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name != __name__ and name.partition(".")[0] != "importlib" and not name.startswith("_frozen_importlib"):
            break
        frame = frame.f_back
    file = frame.f_globals.get("__file__") if frame else None
    return folder_of(Path(file)) if isinstance(file, str) else None


def _names() -> list[str]:
    """The modules that this thread is looking for."""
    if not hasattr(_busy, "names"):
        _busy.names = []
    names: list[str] = _busy.names
    return names

"""The user's own modules that a module imports, directly or through others, read from the source without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ddsweep.plugins import importing, own
from ddsweep.plugins.importing import Module

STAR = "*"


@dataclass(frozen=True)
class _Place:
    """Where a module is: its file (None for a package without ``__init__.py``), and where its own modules are."""

    file: Path | None
    locations: tuple[str, ...]


def closure(modules: Iterable[Module]) -> tuple[dict[str, Module], frozenset[str]]:
    """Return the user's own modules that are needed, and the top-level names of the other modules that they import.

    Args:
        modules: the modules from which the search starts.

    Raises:
        UserError: a file cannot be read.
    """
    found, others = {module.name: module for module in modules}, set()
    todo = list(found.values())
    while todo:
        module = todo.pop()
        folder = importing.folder_of(module.path)
        for name in names(module.content, module.package):
            own_ones = list(_located(name, folder))
            if not own_ones and name.partition(".")[0] not in (own.OURS, *sys.stdlib_module_names):
                others.add(name.partition(".")[0])
            for one in own_ones:
                if one.name not in found:
                    found[one.name] = one
                    todo.append(one)
    return found, frozenset(others)


def mention(word: str, plugin: Path | str) -> bool:
    """Return whether the user's own code contains a word: a file or a module, with what they import; nothing is run."""
    if isinstance(plugin, Path):
        start = importing.source(plugin.stem, plugin)
    else:
        start = Module("", Path("plugins"), f"import {plugin}".encode())
    return any(word.encode() in module.content for module in closure([start])[0].values())


def of_package(name: str, folder: Path) -> list[Module]:
    """Return all modules of a package, whether anything imports them or not."""
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    shown = (path for path in files if not any(part.startswith(".") for part in path.parts))
    return [importing.source(_named(name, path), folder / path) for path in sorted(shown)]


def _named(package: str, path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


@lru_cache(maxsize=4096)
def names(content: bytes, package: str) -> tuple[str, ...]:
    """Return the names that a source may import: in statements anywhere in it, and in calls with a constant name.

    ``from lab import losses`` gives ``lab`` and ``lab.losses``, which may be a module or not; ``from lab import *``
    gives ``lab`` and ``lab.*``.

    Args:
        content: the source; one that cannot be parsed imports nothing.
        package: the package to which relative imports refer.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return ()
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            found |= dict.fromkeys(filter(None, (base, *(f"{base}.{alias.name}" for alias in node.names if base))))
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found[_absolute(first.value, package)] = None
    return tuple(name for name in found if name)


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _absolute(name: str, package: str) -> str:
    """The absolute name for one with leading dots; empty if these lead out of the top-level package."""
    stem = name.lstrip(".")
    level = len(name) - len(stem)
    if level == 0:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [stem])])


def _located(name: str, folder: Path | None) -> Iterator[Module]:
    """The user's own modules among ``lab``, ``lab.inner`` and ``lab.inner.losses``."""
    parts = name.split(".")
    place: _Place | None = None
    for length in range(1, len(parts) + 1):
        if parts[length - 1] == STAR:
            yield from _directly_in(".".join(parts[:-1]), place)
            return
        full = ".".join(parts[:length])
        place = _place(full, place, folder)
        if place is None or (place.file is None and not place.locations):
            return
        if place.file is not None:
            if not own.is_own(full, place.file):
                return
            yield importing.source(full, place.file)
        elif not any(own.is_own(full, Path(location) / "__init__.py") for location in place.locations):
            return


def _place(name: str, parent: _Place | None, folder: Path | None) -> _Place | None:
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        return _Place(Path(file) if file else None, tuple(getattr(module, "__path__", ())))
    if parent is not None and not parent.locations:
        return None
    try:
        spec = importing.FINDER.spec(name, parent.locations if parent else None, folder)
    except (ImportError, AttributeError, ValueError, OSError):
        return None
    if spec is None:
        return None
    file = Path(spec.origin) if spec.origin and spec.has_location else None
    return _Place(file, tuple(spec.submodule_search_locations or ()))


def _directly_in(package: str, place: _Place | None) -> Iterator[Module]:
    for location in place.locations if place else ():
        for file in sorted([*Path(location).glob("*.py"), *Path(location).glob("*/__init__.py")]):
            name = file.parent.name if file.name == "__init__.py" else file.stem
            if own.is_own(package, file) and file != Path(location) / "__init__.py":
                yield importing.source(f"{package}.{name}", file)

"""The source code that a part comes from: ddsweep's own, or a plugin's, which is identified by its digest."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ddsweep.errors import UserError

OURS = "ddsweep"
Source = Callable[..., Any] | str
"""A function or class, or the ``module:name`` of one, which is imported when it is first needed."""


@dataclass(frozen=True)
class Code:
    """The source code of a plugin.

    Attributes:
        name: the top-level module: ``my_method`` for ``my_method.py``, ``lab`` for ``lab/methods.py``.
        digest: 12 hex digits: the hash of the file, or of all ``.py`` files of the package.
        path: the file, or the folder of the package.
    """

    name: str
    digest: str
    path: Path

    @property
    def pin(self) -> str:
        """``my_method@3f2a9c01d47e``, as in the ``plugins`` field of a recipe."""
        return f"{self.name}@{self.digest}"


def of(source: Source) -> Code | None:
    """The code that a part comes from; None for ddsweep's own, which its version and git state identify.

    Raises:
        UserError: the part is defined in a script or a notebook, which agents cannot import.
    """
    module = source.partition(":")[0] if isinstance(source, str) else source.__module__
    if module.partition(".")[0] == OURS:
        return None
    if module == "__main__":
        raise UserError(
            f"plugins: {name_of(source)} is defined in a script or notebook; move it to a file that agents can import"
        )
    top, path = _root(module)
    return _read(top, path)


def name_of(source: Source) -> str:
    """The ``module:name`` of a source: ``my_method:Lite``."""
    return source if isinstance(source, str) else f"{source.__module__}:{source.__qualname__}"


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


@cache  # once per process: the code that was imported counts, not later edits of the file
def _read(name: str, path: Path) -> Code:
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path).as_posix()} {len(content)}\n".encode() + content)
    return Code(name, digest.hexdigest(), path)

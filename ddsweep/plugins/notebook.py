"""The code of a part that is defined in a notebook or a script: its functions, and what these refer to.

Such a part can be tried in the process that defines it, but not launched, because agents cannot import it. Its digest
is that of its compiled functions, of the functions, classes and plain values of the notebook that they refer to, and of
the user's own modules that they use; it is computed whenever a recipe is made, because any cell may run again.
"""

from __future__ import annotations

import dis
import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ddsweep.plugins import declared, importing, imports, own

MAIN = "__main__"
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


def name_of(source: Any) -> str:
    """The name of the pin of a part: ``__main__.Mine``."""
    return f"{MAIN}.{re.sub(r'[^A-Za-z0-9_]', '_', getattr(source, '__qualname__', type(source).__name__))}"


def digest(source: Any, files: Iterable[Path]) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a part, and the user's own modules that it covers.

    Args:
        source: its function or class.
        files: the files that it declares.

    Raises:
        UserError: a file cannot be read.
    """
    seen: dict[int, Any] = {}
    lines: list[str] = []
    modules: dict[str, importing.Module] = {}
    todo = [source]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        for code, scope in _functions(one):
            lines.append(repr(_compiled(code)))
            for name in sorted(set(_globals(code))):
                if name in scope:
                    text, further, module = _value(scope[name])
                    lines.append(f"{name} = {text}")
                    todo += further
                    modules |= {module.name: module} if module else {}
        lines += [f"{type(one).__name__} {text}" for text in _attributes(one)]
        todo += _parents(one)
    found, _ = imports.closure(modules.values())
    lines += [f"module {name} {found[name].digest}" for name in found]
    lines += [f"file {path.name} {declared.digest(path)}" for path in files]
    return blake2b("\n".join(sorted(lines)).encode(), digest_size=6).hexdigest(), tuple(sorted(found))


def _functions(one: Any) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    """The functions of a class, or a function itself, with the names that they see."""
    for value in vars(one).values() if isinstance(one, type) else [one]:
        for part in (value, getattr(value, "fget", None), getattr(value, "fset", None)):
            function = getattr(part, "__func__", part)  # of a class method or static method
            function = getattr(function, "__wrapped__", function)
            if isinstance(function, FunctionType):
                defaults = {"": (function.__defaults__, function.__kwdefaults__)}
                yield (
                    function.__code__,
                    function.__globals__ | dict(inspect.getclosurevars(function).nonlocals) | defaults,
                )


def _globals(code: CodeType) -> Iterator[str]:
    yield ""  # the defaults of the parameters
    yield from code.co_freevars
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in _GLOBAL)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _compiled(code: CodeType) -> tuple[Any, ...]:
    """What a function does, without the place where it is written."""
    constants = [_compiled(one) if isinstance(one, CodeType) else _plain(one) for one in code.co_consts]
    return code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants


def _attributes(one: Any) -> list[str]:
    values = vars(one).items() if isinstance(one, type) else ()
    hidden = ("__module__", "__doc__", "__qualname__", "__dict__", "__weakref__", "__firstlineno__")
    return [f"{name} = {text}" for name, value in values if name not in hidden and (text := _plain(value))]


def _parents(one: Any) -> list[Any]:
    if not isinstance(one, type):
        return []
    return [parent for parent in one.__bases__ if parent.__module__ == MAIN]


def _value(value: Any) -> tuple[str, list[Any], importing.Module | None]:
    """A value that a function refers to: its text, the part of the notebook that it is, and the user's own module."""
    if text := _plain(value):
        return text, [], None
    if isinstance(value, functools.partial):
        return _plain((value.args, value.keywords)), [value.func], None
    kind = value if isinstance(value, type | FunctionType | ModuleType) else type(value)
    module = kind.__name__ if isinstance(kind, ModuleType) else kind.__module__
    if module == MAIN:
        return kind.__qualname__, [kind], None
    file = getattr(sys.modules.get(module), "__file__", None)
    used = importing.source(module, Path(file)) if file and own.is_own(module, file) else None
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else value  # a tensor of torch
    array = blake2b(array.tobytes()).hexdigest() if hasattr(array, "tobytes") else ""
    return f"{module} {array}", [], used


def _plain(value: Any) -> str:
    """The text of a number, a text, or a container of these; empty for anything else."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, dict):
        texts = [part for pair in value.items() for part in map(_plain, pair)]
    elif isinstance(value, tuple | list):
        texts = [_plain(part) for part in value]
    elif isinstance(value, set | frozenset):
        texts = sorted(_plain(part) for part in value)
    else:
        return ""
    return f"{type(value).__name__}({', '.join(texts)})" if all(texts) else ""

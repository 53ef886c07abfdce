"""The plugins of a recipe: ``my_method@3f2a9c01d47e+shapes_plus@0b1c…``, the code that its parts come from.

A recipe keeps the digests that it was made with, on whatever host it is read again, so that old results stay readable
when a plugin has changed. Whoever *computes* a recipe has to have that code: ``verify``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ddsweep.errors import UserError
from ddsweep.plugins import loading
from ddsweep.plugins.code import Code
from ddsweep.plugins.registry import Registry

PIN = re.compile(r"(?P<name>\w+(\.\w+)*)@(?P<digest>[0-9a-f]{12})")
CURE = f"name the file in ${loading.VARIABLE}, or install the package"


class Missing(UserError):
    """A plugin that is named is not on this host."""


def parse(text: str) -> dict[str, str]:
    """Digest by plugin.

    Raises:
        UserError: it cannot be read.
    """
    found = {}
    for part in text.split("+") if text else ():
        match = PIN.fullmatch(part)
        if match is None:
            raise UserError(f"plugins: {part!r} is no plugin; leave the field out, or write NAME@DIGEST joined by +")
        found[match["name"]] = match["digest"]
    return found


def spell(digests: dict[str, str]) -> str:
    """The one spelling: by name."""
    return "+".join(f"{name}@{digests[name]}" for name in sorted(digests))


def united(texts: Iterable[str]) -> str:
    """All plugins of several recipes."""
    return spell({name: digest for text in texts for name, digest in parse(text).items()})


def check(text: str, *tables: Registry) -> None:
    """The plugins that a recipe names are here, in whatever version: their defaults can be looked up.

    Raises:
        Missing: one is not; the line says how to bring it.
    """
    wanted = parse(text)
    if not wanted:
        return
    if missing := sorted(wanted.keys() - _here(tables).keys()):
        names = f"{missing[0]} is" if len(missing) == 1 else f"{', '.join(missing)} are"
        raise Missing(f"plugins: {names} not on this host; {CURE}")


def pinned(text: str, codes: Iterable[Code | None]) -> str:
    """The plugins that a recipe uses, each with the digest that ``text`` gives it, or else with that of its code."""
    given = parse(text)
    return spell({code.name: given.get(code.name, code.digest) for code in codes if code is not None})


def verify(text: str, *tables: Registry) -> None:
    """The code that would compute a recipe here is the code that the recipe names.

    Raises:
        UserError: it is another version, or is not here.
    """
    check(text, *tables)
    here = _here(tables) if text else {}
    for name, digest in parse(text).items():
        if here[name].digest != digest:
            raise UserError(
                f"plugins: {here[name].path} is {here[name].pin} on this host, and the cell wants {name}@{digest}; "
                "bring the same source, or launch the sweep again with this one"
            )


def versions(text: str) -> dict[str, str]:
    """For provenance: ``plugin my_method``: digest, with the version of the package that it was installed from."""
    wanted = parse(text)
    if not wanted:
        return {}
    from importlib import metadata

    packages = metadata.packages_distributions()
    found = {}
    for name, digest in wanted.items():
        installed = [metadata.version(one) for one in packages.get(name.partition(".")[0], ())]
        found[f"plugin {name}"] = " ".join([*installed[:1], digest])
    return found


def _here(tables: Iterable[Registry]) -> dict[str, Code]:
    loading.load()
    return {code.name: code for table in tables for code in table.codes().values()}

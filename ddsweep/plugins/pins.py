"""The ``plugins`` field of a recipe: ``my_method@3f2a9c01d47e+shapes_plus@0b1c…``, the code that its parts come from.

A recipe keeps the digests that it was made with, on any host, so that old results stay readable after a plugin has
changed. Only a host that *runs* a recipe must have the same code, which ``verify`` checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ddsweep.errors import UserError
from ddsweep.plugins import loading
from ddsweep.plugins.code import Code
from ddsweep.plugins.registry import Registry

PIN = re.compile(r"(?P<name>\w+(\.\w+)*)@(?P<digest>[0-9a-f]{12})")
HINT = f"add the file to ${loading.VARIABLE}, or install the package"


class Missing(UserError):
    """A plugin that a recipe names is not available on this host."""


def parse(text: str) -> dict[str, str]:
    """The digest of each plugin.

    Raises:
        UserError: ``text`` cannot be parsed.
    """
    digests = {}
    for part in text.split("+") if text else ():
        match = PIN.fullmatch(part)
        if match is None:
            raise UserError(f"plugins: invalid plugin {part!r}; omit the field, or write NAME@DIGEST joined by +")
        digests[match["name"]] = match["digest"]
    return digests


def spell(digests: dict[str, str]) -> str:
    """The canonical spelling, sorted by name."""
    return "+".join(f"{name}@{digests[name]}" for name in sorted(digests))


def union(texts: Iterable[str]) -> str:
    """The union of the plugins of several recipes."""
    return spell({name: digest for text in texts for name, digest in parse(text).items()})


def check(text: str, *tables: Registry) -> None:
    """Check that the plugins of a recipe are available on this host, in any version, to look up their defaults.

    Raises:
        Missing: a plugin is not available; the line says how to add it.
    """
    digests = parse(text)
    if not digests:
        return
    if missing := sorted(digests.keys() - _available(tables).keys()):
        names = f"{missing[0]} is" if len(missing) == 1 else f"{', '.join(missing)} are"
        raise Missing(f"plugins: {names} not available on this host; {HINT}")


def pinned(text: str, codes: Iterable[Code | None]) -> str:
    """The plugins that a recipe uses, each with its digest in ``text``, or else with the digest of its code."""
    given = parse(text)
    return spell({code.name: given.get(code.name, code.digest) for code in codes if code is not None})


def verify(text: str, *tables: Registry) -> None:
    """Check that this host has the code that a recipe names.

    Raises:
        UserError: a plugin has another digest, or is not available.
    """
    check(text, *tables)
    available = _available(tables) if text else {}
    for name, digest in parse(text).items():
        code = available[name]
        if code.digest != digest:
            raise UserError(
                f"plugins: {code.path} is {code.pin} on this host, but the cell needs {name}@{digest}; "
                "copy the same source to this host, or launch the sweep again with this one"
            )


def versions(text: str) -> dict[str, str]:
    """For provenance: the digest of each ``plugin my_method``, after the version of its installed package."""
    digests = parse(text)
    if not digests:
        return {}
    from importlib import metadata

    packages = metadata.packages_distributions()
    by_plugin = {}
    for name, digest in digests.items():
        installed = [metadata.version(package) for package in packages.get(name.partition(".")[0], ())]
        by_plugin[f"plugin {name}"] = " ".join([*installed[:1], digest])
    return by_plugin


def _available(tables: Iterable[Registry]) -> dict[str, Code]:
    loading.load()
    return {code.name: code for table in tables for code in table.codes().values()}

"""The ``plugins`` field of a recipe: ``my_method@3f2a9c01d47e+shapes_plus@0b1c…``, the code that its parts come from.

A file that an option names has a pin of its own, ``my_method:weights.pt@77d0…``: another cell may use another file.

A recipe keeps the digests that it was made with, on any host, so that old results stay readable after a plugin has
changed. Only a host that *runs* a recipe must have the same code, which ``verify`` checks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.plugins import declared, loading
from ddsweep.plugins.code import Code
from ddsweep.plugins.notebook import MAIN
from ddsweep.plugins.registry import Registry

PIN = re.compile(r"(?P<name>\w+(\.\w+)*(:[\w./~-]+)?)@(?P<digest>[0-9a-f]{12})")
_UNSAFE = re.compile(r"[^\w./~-]")
DIGITS = 12
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
    if missing := sorted({name.partition(":")[0] for name in digests} - _available(tables).keys()):
        names = f"{missing[0]} is" if len(missing) == 1 else f"{', '.join(missing)} are"
        raise Missing(f"plugins: {names} not available on this host; {HINT}")


def check_launch(texts: Iterable[str]) -> None:
    """Check that agents can import the plugins of recipes.

    Raises:
        UserError: a part is defined in a notebook or a script; the line names it.
    """
    for name in parse(union(texts)):
        if name.startswith(f"{MAIN}."):
            raise UserError(
                f"plugins: {name.removeprefix(f'{MAIN}.')} is defined in a notebook or script, which agents cannot "
                f"import; move it to a file, and name the file in ${loading.VARIABLE}"
            )


def pinned(text: str, codes: Iterable[Code | None], files: Mapping[str, Path] | None = None) -> str:
    """The plugins that a recipe uses, each with its digest in ``text``, or else with the digest of its code.

    Args:
        text: the plugins of the recipe so far.
        codes: the code of each of its parts.
        files: the files that its options name, by the name of their pin (``name_of_file``).

    Raises:
        UserError: a file does not exist.
    """
    given = parse(text)
    found = {code.name: given.get(code.name, code.digest) for code in codes if code is not None}
    return spell(found | {name: given.get(name) or _digest(name, path) for name, path in (files or {}).items()})


def name_of_file(plugin: str, value: str) -> str:
    """The name of the pin of a file that an option names: ``my_method:weights.pt``."""
    safe = _UNSAFE.sub("_", value)
    other = "" if safe == value else f"-{hashlib.blake2b(value.encode(), digest_size=4).hexdigest()}"
    return f"{plugin}:{safe}{other}"


def verify_files(text: str, files: Mapping[str, Path]) -> None:
    """Check that this host has the files that the options of a recipe name.

    Raises:
        UserError: a file does not exist, or has other content.
    """
    for name, digest in parse(text).items():
        if name in files and (here := _digest(name, files[name])) != digest:
            raise UserError(
                f"plugins: {files[name]} is {name}@{here} on this host, but the cell needs {name}@{digest}; "
                "copy the same file to this host, or launch the sweep again with this one"
            )


def _digest(name: str, path: Path) -> str:
    if not path.exists():
        raise UserError(f"plugins: {name.partition(':')[0]}: an option names the file {path}, which does not exist")
    return declared.digest(path)[:DIGITS]


def verify(text: str, *tables: Registry) -> None:
    """Check that this host has the code that a recipe names.

    Raises:
        UserError: a plugin has another digest, or is not available.
    """
    check(text, *tables)
    available = _available(tables) if text else {}
    for name, digest in parse(text).items():
        if ":" in name:  # a file that an option names: ``verify_files``
            continue
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

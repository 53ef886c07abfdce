"""Parts of stored recipes that this host may not have: their names in tables, and what is missing, in a line each.

Results are read without the plugins that they were computed with (``Recipe.stored``). A launch stores the names that
its plugins have in tables; a host that reads it remembers them for as long as it has no row of that name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ddsweep.errors import UserError
from ddsweep.plugins import Registry, loading, pins
from ddsweep.recipe import parts

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe

Names = Mapping[str, Mapping[str, str]]
"""By kind of part (``method``), the name in tables of each part of a plugin."""

_remembered: dict[str, dict[str, str]] = {}
_failed: dict[str, str] = {}


def paper_names(recipes: Iterable[Recipe]) -> dict[str, dict[str, str]]:
    """The names in tables of all parts of recipes that come from plugins."""
    found: dict[str, dict[str, str]] = {}
    for table, name in _parts(recipe for recipe in recipes if recipe.plugins):
        if table.code(name) is not None:
            row = table.rows[name]
            found.setdefault(table.kind, {})[name] = row.domain if table is parts.PTMS else row.paper
        elif name not in table.rows and (paper := remembered(table.kind, name)):
            found.setdefault(table.kind, {})[name] = paper
    return found


def remember(names: Names) -> None:
    """Remember the names of a registered sweep."""
    for kind, papers in names.items():
        _remembered.setdefault(kind, {}).update(papers)


def remembered(kind: str, name: str) -> str:
    """The name in tables of a part that a registered sweep has and this host lacks; empty for any other part."""
    found = _remembered.get(kind, {}).get(name, "")
    return "" if found and any(table.kind == kind and name in table.rows for table in parts.TABLES) else found


def lines(recipes: Iterable[Recipe]) -> list[str]:
    """The parts of recipes that this host does not have, one per line, each with the reason; or why a plugin failed."""
    with_plugins = [recipe for recipe in recipes if recipe.plugins]
    if not with_plugins:
        return []
    failed = load()
    missing = dict.fromkeys((table.kind, name) for table, name in _parts(with_plugins) if _is_missing(table, name))
    reason = failed or pins.HINT
    found = [f"{kind} {name} is not available on this host: {reason}" for kind, name in missing]
    return found or ([f"plugins: {failed}"] if failed else [])  # its parts may be registered before it failed


def load() -> str:
    """Import the plugins of this host, whose tables say more about a stored recipe; return why one cannot be."""
    listed = os.environ.get(loading.VARIABLE, "")
    if listed not in _failed:
        try:
            loading.load()
        except UserError as error:  # once: each attempt would run the plugin's code again
            _failed[os.environ.get(loading.VARIABLE, "")] = _failed[listed] = str(error).removeprefix("plugins: ")
    return _failed.get(listed, "")


def _parts(recipes: Iterable[Recipe]) -> Iterator[tuple[Registry[Any], str]]:
    """The table and the name of each part of recipes."""
    for recipe in recipes:
        made = recipe.source in parts.PTMS.rows or recipe.source == recipe.ptm_archs != ""  # a PTM, not its dataset
        for field, table in parts.FIELDS.items():
            text = str(recipe.value(field) or "")
            if field == "source" and made:
                yield parts.PTMS, text
            elif field != "ptm_archs" or not made:
                yield from ((table, name) for name in (text.split("+") if table is parts.NETWORKS else [text]))


def _is_missing(table: Registry[Any], name: str) -> bool:
    return (
        name not in ("", "none", "target")
        and not name.startswith(parts.FOLDER_PREFIX)
        and name.partition(":")[0] not in table.rows
    )

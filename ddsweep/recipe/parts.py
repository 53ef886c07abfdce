"""The parts of a recipe that a plugin may have registered, and so the code that computes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ddsweep import plugins
from ddsweep.registry.datasets import TABLE as DATASETS
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE as NETWORKS

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe

TABLES: tuple[plugins.Registry[Any], ...] = (METHODS, DATASETS, NETWORKS)
FIELDS: dict[str, plugins.Registry[Any]] = {
    "method": METHODS, "target": DATASETS, "source": DATASETS, "arch": NETWORKS, "ptm_archs": NETWORKS,
    "eval_archs": NETWORKS,
}  # fmt: skip


def check(given: Any) -> None:
    """The plugins that a recipe names are on this host. Raises UserError: one is not, or the text cannot be read."""
    if isinstance(given, str):
        plugins.check(given, *TABLES)


def pinned(chosen: Mapping[str, Any]) -> str:
    """The plugins that the parts of a recipe come from: none, for a recipe of ddsweep's own parts."""
    given = chosen.get("plugins")
    texts = ((table, text) for field, table in FIELDS.items() if isinstance(text := chosen.get(field), str))
    # a dataset's name may be a path with a plus in it
    codes = {table.code(part) for table, text in texts for part in (text.split("+") if table is NETWORKS else [text])}
    return plugins.pinned(given if isinstance(given, str) else "", codes)


def plugged() -> dict[plugins.Code, list[str]]:
    """Every plugin on this host that registers something: its parts, each as ``method mtt-lite``, in their order.

    Raises:
        UserError: one cannot be imported.
    """
    found: dict[plugins.Code, list[str]] = {}
    for table in TABLES:
        for name in table:
            if code := table.code(name):
                found.setdefault(code, []).append(f"{table.kind} {name}")
    return found


def verify(recipes: Iterable[Recipe]) -> None:
    """This host has the very code that the recipes name. Raises UserError: it has not; the line names the plugin."""
    for text in sorted({recipe.plugins for recipe in recipes}):
        plugins.verify(text, *TABLES)

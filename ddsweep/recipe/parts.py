"""The parts of a recipe that plugins can register (methods, datasets, networks …), and the plugins that it uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import plugins
from ddsweep.recipe import networks
from ddsweep.recipe.checks import verify_images
from ddsweep.registry import options as own_options
from ddsweep.registry.datasets import FOLDER_PREFIX as FOLDER_PREFIX
from ddsweep.registry.datasets import TABLE as DATASETS
from ddsweep.registry.guidance import GUIDANCE
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE as NETWORKS
from ddsweep.registry.ptms import PTMS
from ddsweep.registry.rules import RULES
from ddsweep.registry.trackers import TRACKERS

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe

TABLES: tuple[plugins.Registry[Any], ...] = (METHODS, DATASETS, NETWORKS, GUIDANCE, PTMS, RULES)
EVERY = (*TABLES, TRACKERS)
"""All tables; a tracker is no part of a recipe."""
FIELDS: dict[str, plugins.Registry[Any]] = {
    "method": METHODS,
    "target": DATASETS,
    "source": DATASETS,
    "arch": NETWORKS,
    "ptm_archs": NETWORKS,
    "eval_archs": NETWORKS,
    "match_archs": NETWORKS,
    "regularizer": GUIDANCE,
    "eval_rule": RULES,
}
USES = (*FIELDS.items(), ("source", PTMS))
"""Every field with the table of the parts that it names; ``source`` names a dataset or a PTM."""
OPTIONS = {"method": "options", "regularizer": "guidance_options"}
"""The fields whose parts have options, and the fields with these options."""


def check(text: Any) -> None:
    """Check that the plugins that a recipe names are available on this host.

    Raises:
        UserError: a plugin is not available, or ``text`` cannot be parsed.
    """
    if isinstance(text, str):
        plugins.check(text, *TABLES)


def used(chosen: Mapping[str, Any]) -> Iterator[tuple[str, plugins.Registry[Any], str]]:
    """The parts that choices name, each with its field and the table that it may be in."""
    for field, table in USES:
        if isinstance(text := chosen.get(field), str):  # the name of a dataset may be a path that contains a plus
            yield from ((field, table, part) for part in (text.split("+") if table is NETWORKS else [text]))


def pinned(chosen: Mapping[str, Any]) -> str:
    """The plugins that the parts of a recipe come from; empty if all parts are ddsweep's own."""
    given = chosen.get("plugins")
    codes = {table.code(part) for _, table, part in used(chosen)}
    return plugins.pinned(given if isinstance(given, str) else "", codes, _option_files(chosen))


def _option_files(chosen: Mapping[str, Any]) -> dict[str, Path]:
    """The files that options of plugins name, by the name of their pin."""
    files = {}
    for field, options in OPTIONS.items():
        name, table, text = chosen.get(field), FIELDS[field], chosen.get(options)
        if not isinstance(name, str) or not isinstance(text, str):
            continue
        if (origin := table.origin(name)) is None or not origin.options:
            continue
        values = own_options.parse(text, table.rows[name].options, options)
        for value in (str(values[option]) for option in origin.options if values[option]):
            files[plugins.name_of_file(origin.plugin, value)] = origin.folder / Path(value).expanduser()
    return files


def plugged() -> dict[plugins.Code, list[str]]:
    """The plugins on this host, each with the parts that it registers, such as ``method mtt-lite``.

    Raises:
        UserError: a plugin cannot be imported.
    """
    parts: dict[plugins.Code, list[str]] = {}
    for table in EVERY:
        for name in table:
            if code := table.code(name):
                parts.setdefault(code, []).append(f"{table.kind} {name}")
    return parts


def verify(recipes: Iterable[Recipe]) -> None:
    """Check that this host has the plugin code and valid image folders that the recipes name.

    The networks of plugins are tried with images of the size that they will get.

    Raises:
        UserError: it has not, or a network cannot be used; the line names the plugin, the folder or the network.
    """
    recipes = list(recipes)
    for text in sorted({recipe.plugins for recipe in recipes}):
        plugins.verify(text, *TABLES)
    chosen = {(one.plugins, *(getattr(one, name) for pair in OPTIONS.items() for name in pair)): one for one in recipes}
    for recipe in chosen.values():
        plugins.verify_files(recipe.plugins, _option_files(recipe.model_dump()))
    verify_images(recipes)
    networks.verify(recipes)

"""A sweep at W&B: the configuration to register, and the conversion of a run's parameters back to a recipe's choices.

W&B's grid is a full product. If a sweep is a full product too (no ``exclude``, no two points with the same recipe), its
axes are registered unchanged. Otherwise the cells become one parameter, ``cell``, whose values spell out the points
(``method=dm alpha=100.0``), so that W&B runs exactly the cells of the sweep.

W&B's JSON has a single type of number: 0.0 comes back as 0. The type of the recipe's field restores it.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.search import ACCURACY
from ddsweep.text import is_number

CELL = "cell"
METRIC = ACCURACY
DEFAULT = "(default)"
MARK = "ddsweep: "  # prefix of the line of the description that holds the definition


def configuration(sweep: Sweep, keys: Collection[str] | None = None, run_cap: int | None = None) -> dict[str, Any]:
    """The W&B sweep configuration, which ``wandb.sweep`` takes and ``ddsweep export --wandb`` writes.

    Every recipe field that the sweep sets is a parameter, so a plain ``wandb agent`` can run trials without the sweep
    file. The description carries the definition of the sweep, from which other machines restore it.

    Args:
        sweep: the sweep, with its profile and ``--set`` applied.
        keys: the cells of a grid to register; default: all.
        run_cap: the number of points of a search still to sample; default: all.

    Raises:
        UserError: the sweep has several objectives; W&B supports one.
    """
    if sweep.search and (number := len(sweep.search.objectives)) > 1:
        raise UserError(
            f"x-ddsweep.objectives: {sweep.full_name} has {number} objectives, but W&B optimizes only one; "
            "launch it without --backend wandb"
        )
    sweep = with_sampled_seeds(sweep)
    return {
        "name": sweep.full_name,
        "description": f"{sweep.title}\n\n{MARK}{json.dumps(sweep.definition(), ensure_ascii=False)}",
        "method": sweep.search.method if sweep.search else "grid",
        "metric": {"name": METRIC, "goal": "maximize"},
        **_search_keys(sweep, run_cap),
        "parameters": _parameters(sweep, keys),
        "command": ["${env}", "ddsweep", "trial", sweep.full_name, "${args_json}"],
    }


def with_sampled_seeds(sweep: Sweep) -> Sweep:
    """A search as W&B runs it: its sampler chooses the seed of each trial like any other value."""
    return replace(sweep, search=replace(sweep.search, replicates=False)) if sweep.search else sweep


def text(configuration: Mapping[str, Any]) -> str:
    """The configuration as YAML that every parser reads alike: text that looks like a number is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes long text as blocks, and quotes ``1e3``, which is text to PyYAML and a number to other parsers."""

    def represent(dumper: Dumper, value: str) -> yaml.Node:
        style = "|" if "\n" in value else "'" if is_number(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, represent)
    return yaml.dump(
        dict(configuration), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def restore(document: Mapping[str, Any]) -> Sweep | None:
    """The sweep of a W&B configuration that ddsweep registered; None for any other.

    Raises:
        UserError: another version of ddsweep registered it.
    """
    lines = str(document.get("description") or "").splitlines()
    definition_text = next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), None)
    if definition_text is None:
        return None
    try:
        definition = json.loads(definition_text)
    except ValueError:  # the description was edited
        return None
    return Sweep.from_definition(definition)


def choices(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run (``${args_json}``, or its config) as choices for ``recipe.make``.

    Raises:
        UserError: ``cell`` cannot be parsed.
    """
    parameters = dict(document)
    cell = parameters.pop(CELL, None)
    point = _parse(cell) if cell is not None else {}
    return {field: _typed(field, value) for field, value in (point | parameters).items()}


def changes(before: Sweep, after: Sweep) -> list[str]:
    """One line per parameter that differs, ``alpha: 0, 1, 10 → 0, 1, 100``, and one if the excluded points differ."""
    old, new = _shown(before), _shown(after)
    lines = [
        f"{field}: {old.get(field, DEFAULT)} → {new.get(field, DEFAULT)}"
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]
    return lines + ["exclude: different points are excluded"] * (before.exclude != after.exclude)


def _shown(sweep: Sweep) -> dict[str, str]:
    """The values of each parameter and the settings of a search, as text; without ``run_cap``, which may grow."""
    shown = {field: _listed(values) for field, values in sweep.parameters.items()}
    if sweep.search:
        shown |= {field: str(range_) for field, range_ in sweep.search.ranges.items()}
        early = sweep.search.early
        shown |= {"method": sweep.search.method, "early_terminate": str(early.to_wandb()) if early else "none"}
    return shown


def _search_keys(sweep: Sweep, run_cap: int | None) -> dict[str, Any]:
    """The keys that only a search has."""
    if sweep.search is None:
        return {}
    early = {"early_terminate": sweep.search.early.to_wandb()} if sweep.search.early else {}
    return {"run_cap": run_cap or sweep.search.run_cap, **early}


def _parameters(sweep: Sweep, keys: Collection[str] | None) -> dict[str, dict[str, Any]]:
    if sweep.search:
        return _plain(sweep) | {field: range_.to_wandb() for field, range_ in sweep.search.ranges.items()}
    chosen = [cell for cell in sweep.cells if keys is None or cell.key in keys]
    own = not any(cell.key in sweep.kept_choices for cell in chosen)
    if own and len(chosen) == math.prod(len(values) for values in sweep.parameters.values()):
        return _plain(sweep)
    fixed = {field: {"value": values[0]} for field, values in sweep.parameters.items() if field not in sweep.swept}
    return fixed | {CELL: {"values": [_spell(cell.point) for cell in chosen]}}


def _plain(sweep: Sweep) -> dict[str, dict[str, Any]]:
    return {
        field: {"values": list(values)} if len(values) > 1 else {"value": values[0]}
        for field, values in sweep.parameters.items()
    }


def _spell(point: Mapping[str, Any]) -> str:
    """A point as text, the inverse of ``_parse``: ``method=dm alpha=100.0``, quoted as for a shell."""
    return shlex.join(f"{field}={_word(field, value)}" for field, value in point.items())


def _word(field: str, value: Any) -> str:
    """A value as text; that of an option is in quotes if it is text that looks like a number."""
    plain = isinstance(value, str) and (field in Recipe.model_fields or _loaded(value) == value)
    return str(value) if plain else json.dumps(value)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parse(text: Any) -> dict[str, Any]:
    """A point from its text; the type of the recipe's field tells text from numbers."""
    try:
        pairs = [word.partition("=") for word in shlex.split(str(text))]
        return {field: _value(field, value) for field, _, value in pairs}
    except ValueError:
        raise UserError(f"{CELL}: {text!r} cannot be parsed; write FIELD=VALUE FIELD=VALUE …") from None


def _value(field: str, text: str) -> Any:
    if field not in Recipe.model_fields:
        return _loaded(text)
    return text if _type(field) is str else json.loads(text)


def _type(field: str) -> type:
    """``int``, ``float`` or ``str`` for a recipe field; ``int`` for an option, which takes 1 for 1.0."""
    annotation = Recipe.model_fields[field].annotation if field in Recipe.model_fields else int
    if annotation is int:
        return int
    return float if annotation is float else str


def _typed(field: str, value: Any) -> Any:
    """A number in the type of its field: 0 becomes 0.0 for a float, 5e1 becomes 50 for an int."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if _type(field) is float:
        return float(value)
    return int(value) if _type(field) is int and float(value).is_integer() else value


def _listed(values: Collection[Any]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)

"""A sweep as W&B has it: the configuration that is registered there, and the way back from what a run is given.

W&B's grid is a full product. Where a sweep is one (no ``exclude``, no two points that are the same experiment), its
axes are registered as they are. Where it is not, the kept cells become one parameter, ``cell``, whose values name the
axes (``method=dm alpha=100.0``), so that W&B deals exactly the cells that there are.

JSON on its way through W&B knows one kind of number: 0.0 comes back as 0. What a value is, the Recipe's field says.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.sweep.grid import Sweep

CELL = "cell"
METRIC = "accuracy"
DEFAULT = "(default)"
MARK = "ddsweep: "  # begins the line of the description that holds the definition


def configuration(sweep: Sweep, keys: Collection[str] | None = None, run_cap: int | None = None) -> dict[str, Any]:
    """The W&B sweep configuration: what ``wandb.sweep`` takes and what ``ddsweep export --wandb`` writes.

    Every chosen field of the Recipe is a parameter and the command names none, so that a plain ``wandb agent`` runs
    trials without the sweep's file. The definition travels in the description: other machines read it from W&B.

    Args:
        sweep: the sweep, profile and ``--set`` joined in.
        keys: the cells of a grid that are registered; default: all.
        run_cap: how many points of a search are still to be dealt; default: as many as it has.

    Raises:
        UserError: the sweep has several objectives, of which W&B knows one.
    """
    if sweep.search and len(sweep.search.objectives) > 1:
        raise UserError(
            f"x-ddsweep.objectives: W&B maximises one metric, {sweep.full_name} has {len(sweep.search.objectives)}; "
            "launch it without --backend wandb"
        )
    return {
        "name": sweep.full_name,
        "description": f"{sweep.title}\n\n{MARK}{json.dumps(sweep.definition(), ensure_ascii=False)}",
        "method": sweep.search.method if sweep.search else "grid",
        "metric": {"name": METRIC, "goal": "maximize"},
        **_searched(sweep, run_cap),
        "parameters": _parameters(sweep, keys),
        "command": ["${env}", "ddsweep", "trial", sweep.full_name, "${args_json}"],
    }


def text(configuration: Mapping[str, Any]) -> str:
    """A configuration as YAML, for people and for every parser: text that looks like a number is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Long text in blocks; ``1e3``, which PyYAML would leave bare, is a number to others."""

    def represent(dumper: Dumper, value: str) -> yaml.Node:
        style = "|" if "\n" in value else "'" if _is_number(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, represent)
    return yaml.dump(
        dict(configuration), Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def restore(document: Mapping[str, Any]) -> Sweep | None:
    """The sweep that a W&B configuration was made from; None when ddsweep did not make it.

    Raises:
        UserError: another version of ddsweep made it.
    """
    lines = str(document.get("description") or "").splitlines()
    text = next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), None)
    if text is None:
        return None
    try:
        definition = json.loads(text)
    except ValueError:  # somebody edited the description
        return None
    return Sweep.from_definition(definition)


def choices(document: Mapping[str, Any]) -> dict[str, Any]:
    """What one run was given (``${args_json}``, or a run's config) as choices for ``recipe.make``.

    Raises:
        UserError: ``cell`` cannot be read.
    """
    given = dict(document)
    cell = given.pop(CELL, None)
    point = _parse(cell) if cell is not None else {}
    return {field: _typed(field, value) for field, value in (point | given).items()}


def changes(before: Sweep, after: Sweep) -> list[str]:
    """What differs, a line per parameter: ``alpha: 0, 1, 10 → 0, 1, 100``; and one if the excluded points do."""
    old, new = _shown(before), _shown(after)
    lines = [
        f"{field}: {old.get(field, DEFAULT)} → {new.get(field, DEFAULT)}"
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]
    return lines + ["exclude: other points are left out"] * (before.exclude != after.exclude)


def _shown(sweep: Sweep) -> dict[str, str]:
    """What each parameter may be, and the settings of a search, in words; ``run_cap`` may grow without a change."""
    shown = {field: _listed(values) for field, values in sweep.parameters.items()}
    if sweep.search:
        shown |= {field: str(one) for field, one in sweep.search.ranges.items()}
        early = sweep.search.early
        shown |= {"method": sweep.search.method, "early_terminate": str(early.written()) if early else "none"}
    return shown


def _searched(sweep: Sweep, run_cap: int | None) -> dict[str, Any]:
    """The keys that only a search has."""
    if sweep.search is None:
        return {}
    early = {"early_terminate": sweep.search.early.written()} if sweep.search.early else {}
    return {"run_cap": run_cap or sweep.search.run_cap, **early}


def _parameters(sweep: Sweep, keys: Collection[str] | None) -> dict[str, dict[str, Any]]:
    if sweep.search:
        return _plain(sweep) | {field: one.written() for field, one in sweep.search.ranges.items()}
    chosen = [cell for cell in sweep.cells if keys is None or cell.key in keys]
    if len(chosen) == math.prod(len(values) for values in sweep.parameters.values()):
        return _plain(sweep)
    fixed = {field: {"value": values[0]} for field, values in sweep.parameters.items() if field not in sweep.swept}
    return fixed | {CELL: {"values": [_spell(cell.point) for cell in chosen]}}


def _plain(sweep: Sweep) -> dict[str, dict[str, Any]]:
    return {
        field: {"values": list(values)} if len(values) > 1 else {"value": values[0]}
        for field, values in sweep.parameters.items()
    }


def _spell(point: Mapping[str, Any]) -> str:
    """A point for a person to read and for ``_parse``: ``method=dm alpha=100.0``, quoted where a shell would."""
    return shlex.join(
        f"{field}={value if isinstance(value, str) else json.dumps(value)}" for field, value in point.items()
    )


def _parse(text: Any) -> dict[str, Any]:
    """The inverse of ``_spell``; the Recipe's field says what is text."""
    try:
        pairs = [word.partition("=") for word in shlex.split(str(text))]
        return {field: value if _kind(field) is str else json.loads(value) for field, _, value in pairs}
    except ValueError:
        raise UserError(f"{CELL}: {text!r} cannot be read; needs FIELD=VALUE FIELD=VALUE …") from None


def _kind(field: str) -> type:
    """``int``, ``float`` or ``str``; names that are no field of a Recipe count as text."""
    kind = Recipe.model_fields[field].annotation if field in Recipe.model_fields else str
    if kind is int:
        return int
    return float if kind is float else str


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _typed(field: str, value: Any) -> Any:
    """A number as its field has it: 0 is 0.0 where the field is a float, 5e1 is 50 where it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if _kind(field) is float:
        return float(value)
    return int(value) if _kind(field) is int and float(value).is_integer() else value


def _listed(values: Collection[Any]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)

"""From a file, a profile and ``--set`` to a sweep, every cell of which is a recipe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddsweep import data, plugins
from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe
from ddsweep.sweep import searching
from ddsweep.sweep.document import Extra, Parameter, Profile, Scalar, SweepFile, read, validate
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.registry import find, find_profile, profiles, split

Values = dict[str, tuple[Scalar, ...]]


def load(reference: str, profile: str | None = None, settings: Mapping[str, Any] | None = None) -> Sweep:
    """Read a sweep by ``NAME``, ``NAME@PROFILE`` or path of a file; check every cell.

    Args:
        reference: the sweep.
        profile: the profile, if not in the reference; default ``paper``.
        settings: overrides of Recipe fields; a list replaces an axis, a scalar pins it.

    Raises:
        UserError: no such sweep or profile, or a file or cell that is wrong; the line names the field.
    """
    name, profile = split(reference, profile)
    path = find(name)
    document = validate(SweepFile, read(path), path)
    scale = validate(Profile, read(find_profile(profile)), find_profile(profile))
    extra = document.extra
    own = _own_values(extra, profile, path)
    points = (rule for rule in (extra.baseline, *extra.exclude) if isinstance(rule, dict))
    rules = (field for rule in points for field in rule)
    _known((*document.parameters, *scale.fields, *scale.axes, *own, *(settings or {}), *extra.axis, *rules), path)
    ranges = searching.ranges(document, path)
    parameters = _anywhere(_joined(document, scale, ranges, path) | own | _set(settings or {}))
    open_ = {name: one for name, one in ranges.items() if name not in parameters}
    search = searching.search(document, open_, path)
    if search and not open_ and all(len(values) == 1 for values in parameters.values()):
        search = None  # --set has chosen the one point
    sweep = Sweep(
        path.stem, profile, extra.title, extra.paper, tuple(extra.axis), extra.baseline, tuple(extra.exclude),
        extra.max_attempts, parameters, tuple(extra.pictures), search,
    )  # fmt: skip
    sweep.check()  # a typo fails here, not on GPU 3 at midnight
    if search:
        searching.check_objectives(search, sweep.recipes)
    used = plugins.united(recipe.plugins for recipe in sweep.recipes)
    # agents on other hosts compute with the same code, or say that they cannot
    return replace(sweep, parameters=parameters | {"plugins": (used,)}) if used else sweep


def _joined(document: SweepFile, scale: Profile, ranges: Collection[str], path: Path) -> Values:
    """The file's parameters at a scale: ``fields`` for what it does not vary, ``axes`` for what it does."""
    written = {
        field: _values(field, parameter, path)
        for field, parameter in document.parameters.items()
        if field not in ranges
    }
    varied = {
        field for field, parameter in document.parameters.items() if parameter.values is not None or field in ranges
    }
    fields: Values = {field: (value,) for field, value in scale.fields.items() if field not in varied}
    axes: Values = {field: tuple(values) for field, values in scale.axes.items() if field in varied}
    return written | fields | axes


def _anywhere(parameters: Values) -> Values:
    """The same sweep for an agent that works in another folder: paths of image folders are made absolute."""
    absolute = {
        field: tuple(data.canonical(value) if isinstance(value, str) else value for value in parameters[field])
        for field in ("target", "source")
        if field in parameters
    }
    return parameters | absolute


def _set(settings: Mapping[str, Any]) -> Values:
    return {field: tuple(value) if isinstance(value, list) else (value,) for field, value in settings.items()}


def _own_values(extra: Extra, profile: str, path: Path) -> Values:
    """What the sweep file itself says about this profile."""
    for name in extra.profiles:
        if name not in profiles():
            raise UserError(f"{path}: x-ddsweep.profiles: unknown profile {name!r}; {closest(name, profiles())}")
    return {field: tuple(values) for field, values in extra.profiles.get(profile, {}).items()}


def _values(field: str, parameter: Parameter, path: Path) -> tuple[Scalar, ...]:
    if (parameter.value is None) == (parameter.values is None):
        raise UserError(f"{path}: parameters.{field}: needs exactly one of value and values")
    return (parameter.value,) if parameter.value is not None else tuple(parameter.values or ())


def _known(fields: Iterable[str], path: Path) -> None:
    for field in fields:
        if field not in Recipe.model_fields:
            raise UserError(f"{path}: {field}: no such parameter; {closest(field, Recipe.model_fields)}")

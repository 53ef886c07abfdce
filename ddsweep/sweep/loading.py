"""Load a sweep from its file, a profile and ``--set``, and check that every cell is a valid recipe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddsweep import data, plugins
from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe, unknown_parameter
from ddsweep.sweep.document import Extra, Parameter, Profile, Scalar, SweepFile, read, validate
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.registry import find, find_profile, profiles, split
from ddsweep.sweep.search import check_objectives, parse_ranges, parse_search

Values = dict[str, tuple[Scalar, ...]]


def load(reference: str, profile: str | None = None, settings: Mapping[str, Any] | None = None) -> Sweep:
    """Load a sweep and check every cell.

    Args:
        reference: ``NAME``, ``NAME@PROFILE`` or the path of a file.
        profile: the profile, if it is not in the reference; default: ``paper``.
        settings: overrides of recipe fields; a list replaces an axis, a scalar pins it.

    Raises:
        UserError: the sweep or the profile is unknown, or a file or a cell is invalid; the line names the field.
    """
    name, profile = split(reference, profile)
    path = find(name)
    document = validate(SweepFile, read(path), path)
    scale = validate(Profile, read(find_profile(profile)), find_profile(profile))
    extra = document.extra
    overrides = _profile_overrides(extra, profile, path)
    points = (rule for rule in (extra.baseline, *extra.exclude) if isinstance(rule, dict))
    rules = (field for rule in points for field in rule)
    fields = (*document.parameters, *scale.fields, *scale.axes, *overrides, *(settings or {}), *extra.axis, *rules)
    _check_fields(fields, path)
    ranges = parse_ranges(document, path)
    parameters = _absolute(_merged(document, scale, ranges, path) | overrides | _as_values(settings or {}))
    open_ranges = {name: range_ for name, range_ in ranges.items() if name not in parameters}
    search = parse_search(document, open_ranges, path)
    if search and not open_ranges and all(len(values) == 1 for name, values in parameters.items() if name != "seed"):
        search = None  # --set leaves a single point
    sweep = Sweep(
        name=path.stem,
        profile=profile,
        title=extra.title,
        paper=extra.paper,
        axis=tuple(extra.axis),
        baseline=extra.baseline,
        exclude=tuple(extra.exclude),
        max_attempts=extra.max_attempts,
        parameters=parameters,
        pictures=tuple(extra.pictures),
        search=search,
    )
    sweep.check()  # a typo fails here, not on GPU 3 at midnight
    if search:
        check_objectives(search, sweep.recipes)
    used = plugins.union(recipe.plugins for recipe in sweep.recipes)
    # agents on other hosts run the same code, or refuse
    return replace(sweep, parameters=parameters | {"plugins": (used,)}) if used else sweep


def _merged(document: SweepFile, scale: Profile, ranges: Collection[str], path: Path) -> Values:
    """The file's parameters, replaced by the profile's ``fields`` where they are fixed and ``axes`` where they vary."""
    values = {
        field: _values(field, parameter, path)
        for field, parameter in document.parameters.items()
        if field not in ranges
    }
    varied = {
        field for field, parameter in document.parameters.items() if parameter.values is not None or field in ranges
    }
    fields: Values = {field: (value,) for field, value in scale.fields.items() if field not in varied}
    axes: Values = {field: tuple(values) for field, values in scale.axes.items() if field in varied}
    return values | fields | axes


def _absolute(parameters: Values) -> Values:
    """The parameters with absolute paths of image folders, for agents that run in another folder."""
    absolute = {
        field: tuple(data.canonical(value) if isinstance(value, str) else value for value in parameters[field])
        for field in ("target", "source")
        if field in parameters
    }
    return parameters | absolute


def _as_values(settings: Mapping[str, Any]) -> Values:
    return {field: tuple(value) if isinstance(value, list) else (value,) for field, value in settings.items()}


def _profile_overrides(extra: Extra, profile: str, path: Path) -> Values:
    """The values that the sweep file itself sets for this profile."""
    for name in extra.profiles:
        if name not in profiles():
            raise UserError(f"{path}: x-ddsweep.profiles: unknown profile {name!r}; {closest(name, profiles())}")
    return {field: tuple(values) for field, values in extra.profiles.get(profile, {}).items()}


def _values(field: str, parameter: Parameter, path: Path) -> tuple[Scalar, ...]:
    if (parameter.value is None) == (parameter.values is None):
        raise UserError(f"{path}: parameters.{field}: needs exactly one of value and values")
    return (parameter.value,) if parameter.value is not None else tuple(parameter.values or ())


def _check_fields(fields: Iterable[str], path: Path) -> None:
    for field in fields:
        if field not in Recipe.model_fields:
            raise UserError(f"{path}: {unknown_parameter(field)}")

"""Load a sweep from its file, a profile and ``--set``, and check that every cell is a valid recipe."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddsweep import data, plugins
from ddsweep.errors import UserError, closest
from ddsweep.sweep import naming, refusals, settled
from ddsweep.sweep.document import Extra, Parameter, Profile, Scalar, SweepFile, read, validate
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.origin import Origin
from ddsweep.sweep.registry import find_profile, is_shipped, profiles, resolve, split
from ddsweep.sweep.search import Search, check_objectives, parse_ranges, parse_search

Values = dict[str, tuple[Scalar, ...]]


def load(
    reference: str, profile: str | None = None, settings: Mapping[str, Any] | None = None, name: str = ""
) -> Sweep:
    """Load a sweep and check every cell.

    Settings of fields that the file varies, and ``seed``, leave the sweep its name; all others become part of it.

    Args:
        reference: ``NAME``, ``NAME@PROFILE`` or the path of a file; ``NAME,FIELD=VALUE,…`` is a name with settings.
        profile: the profile, if it is not in the reference; default: ``paper``.
        settings: overrides of recipe fields; a list replaces an axis, a scalar pins it.
        name: the name of the sweep, instead of the one that follows from the file and the settings.

    Raises:
        UserError: the sweep or the profile is unknown, or a file or a cell is invalid; the line names the field.
    """
    stem, profile = split(reference, profile)
    path, named = resolve(stem)
    given = _given(named, settings or {}, stem)
    document = validate(SweepFile, read(path), path)
    scale = validate(Profile, read(find_profile(profile)), find_profile(profile))
    extra = document.extra
    overrides = _profile_overrides(extra, profile, path)
    points = [rule for rule in (extra.baseline, *extra.exclude) if isinstance(rule, dict)]
    rules = (field for rule in points for field in rule)
    fields = (*document.parameters, *scale.fields, *scale.axes, *overrides, *given, *extra.axis, *rules)
    layers = _layers(document, scale, overrides)
    parts = settled.parts([given, *layers], points)
    refusals.check_fields(fields, parts, path, file=settled.every_part(layers), given=given)
    refusals.check_axis(document, path)
    idle = settled.without_effect(fields, parts)
    ranges, shipped = parse_ranges(document, path), is_shipped(path)
    file = _absolute(_file_values(document, ranges, path))
    from_profile = _absolute(_profile_values(document, scale, shipped) | overrides)
    parameters = {**file, **from_profile, **given}
    varied = {*ranges, *_varied(document), *(field for field, values in from_profile.items() if len(values) > 1)}
    question = {field: values for field, values in given.items() if field not in {*varied, "seed"}}
    searched = _search(document, ranges, {**file, **from_profile}, path)
    origin = Origin(path, file, from_profile, given, question, searched, shipped)
    if name:
        refusals.check_chosen_name(naming.check(name), origin)
    parameters = {field: values for field, values in parameters.items() if field not in idle}
    search = _search(document, {field: ranges[field] for field in ranges if field not in idle}, parameters, path)
    extra = settled.without(extra, idle, (*fields, *parameters), {*parts} & {*given, *overrides})
    refusals.check_rules(extra, parameters, path)
    sweep = Sweep(
        name=name or naming.derived(path.stem, question),
        profile=profile,
        title=extra.title,
        paper=extra.paper,
        axis=tuple(extra.axis),
        baseline=_absolute_rule(extra.baseline),
        exclude=tuple(_absolute_rule(rule) if isinstance(rule, dict) else rule for rule in extra.exclude),
        max_attempts=extra.max_attempts,
        parameters=parameters,
        pictures=tuple(extra.pictures),
        search=search,
        source=origin.source,
        origin=origin,
    )
    refusals.check_cells(sweep, origin)  # a typo fails here, not on GPU 3 at midnight
    if search:
        check_objectives(search, sweep.recipes)
    used = plugins.union(recipe.plugins for recipe in sweep.recipes)
    # agents on other hosts run the same code, or refuse
    return replace(sweep, parameters=parameters | {"plugins": (used,)}) if used else sweep


def _layers(document: SweepFile, scale: Profile, overrides: Values) -> list[Mapping[str, Sequence[Scalar | None]]]:
    """What the file and the profile say, before they are merged; an earlier layer counts more."""
    file = {name: (one.value, *(one.values or ())) for name, one in document.parameters.items()}
    return [overrides, file, {name: (one,) for name, one in scale.fields.items()}]


def narrowed(sweep: Sweep, settings: Mapping[str, Any]) -> Sweep:
    """A sweep without a file, as it was registered, with other values of settings that it varies.

    Raises:
        UserError: it does not vary one of them, or a cell is invalid.
    """
    varied = dict.fromkeys((*sweep.swept, "seed"))
    for field in settings:
        if field not in varied:
            raise UserError(
                f"{field}: {sweep.full_name} has no file, so --set changes only what it varies: {', '.join(varied)}"
            )
    given = _given({}, settings, sweep.name)
    ranges = {name: range_ for name, range_ in sweep.search.ranges.items() if name not in given} if sweep.search else {}
    search = replace(sweep.search, ranges=ranges) if sweep.search and ranges else None
    changed = replace(sweep, parameters=sweep.parameters | given, search=search)
    changed.check()
    return changed


def relaunch(sweep: Sweep, seeds: Sequence[int] = ()) -> list[str]:
    """What follows ``ddsweep launch`` to launch a registered sweep with the values that it has, and no others.

    Args:
        sweep: the sweep.
        seeds: seeds to launch it with instead of its own.
    """
    pairs = (
        f"{field}={','.join(naming.written(field, value) for value in values)}"
        for field, values in (_to_set(sweep) | ({"seed": tuple(seeds)} if seeds else {})).items()
    )
    return [sweep.full_name, *(word for pair in pairs for word in ("--set", pair))]


def _to_set(sweep: Sweep) -> Values:
    """The values of a registered sweep that its file does not have; none if the file was edited or is missing."""
    try:
        now = load(sweep.full_name)
        differ = {field: values for field, values in sweep.parameters.items() if values != now.parameters.get(field)}
        free = {field: values for field, values in differ.items() if field != "plugins"}
        if load(sweep.full_name, None, free).full_name != sweep.full_name:
            return {}  # the file was edited
    except UserError:  # without a file, it is launched as it is registered
        return {}
    return free


def _given(named: Mapping[str, Any], settings: Mapping[str, Any], stem: str) -> Values:
    """The settings of the name and those of ``--set``."""
    for field in settings:
        if field in named:
            raise UserError(f"{field}: is given twice, in the name {stem} and with --set ({settings[field]})")
    values = {field: naming.as_tuple(value) for field, value in {**named, **settings}.items()}
    refusals.check_values(values)
    return _absolute(values)


def _search(document: SweepFile, ranges: Mapping[str, Any], parameters: Values, path: Path) -> Search | None:
    """The search over the ranges that are left open; None for a grid, and if a single point is left."""
    open_ranges = {field: range_ for field, range_ in ranges.items() if field not in parameters}
    search = parse_search(document, open_ranges, path)
    sampled = open_ranges or any(len(values) > 1 for field, values in parameters.items() if field != "seed")
    return search if sampled else None


def _varied(document: SweepFile) -> Iterable[str]:
    """The fields that the file varies: those with a list of values, and those of the axis."""
    listed = (field for field, parameter in document.parameters.items() if parameter.values is not None)
    return (*listed, *document.extra.axis)


def _file_values(document: SweepFile, ranges: Collection[str], path: Path) -> Values:
    """The values of the file's parameters, except ranges."""
    values = {
        field: _values(field, parameter, path)
        for field, parameter in document.parameters.items()
        if field not in ranges
    }
    refusals.check_values(values, f"{path}: parameters.")
    return values


def _profile_values(document: SweepFile, scale: Profile, shipped: bool) -> Values:
    """What a profile says about a sweep.

    In a sweep that ships with ddsweep, ``fields`` replace fixed values, and ``axes`` those of fields that vary. In a
    user's file, a profile sets only what the file leaves out.
    """
    if not shipped:
        return {field: (value,) for field, value in scale.fields.items() if field not in document.parameters}
    varied = {field for field, parameter in document.parameters.items() if parameter.value is None}
    fields: Values = {field: (value,) for field, value in scale.fields.items() if field not in varied}
    return fields | {field: tuple(values) for field, values in scale.axes.items() if field in varied}


def _absolute(parameters: Values) -> Values:
    """The parameters with absolute paths of image folders, for agents that run in another folder."""
    absolute = {
        field: tuple(_absolute_value(value) for value in parameters[field])
        for field in ("target", "source")
        if field in parameters
    }
    return parameters | absolute


def _absolute_rule(rule: dict[str, Scalar]) -> dict[str, Scalar]:
    return {field: _absolute_value(value) if field in ("target", "source") else value for field, value in rule.items()}


def _absolute_value(value: Scalar) -> Scalar:
    return data.canonical(value) if isinstance(value, str) else value


def _profile_overrides(extra: Extra, profile: str, path: Path) -> Values:
    """The values that the sweep file itself sets for this profile."""
    for name, block in extra.profiles.items():
        if name not in profiles():
            raise UserError(f"{path}: x-ddsweep.profiles: unknown profile {name!r}; {closest(name, profiles())}")
        values = {field: tuple(values) for field, values in block.items()}
        refusals.check_values(values, f"{path}: x-ddsweep.profiles.{name}.")
    return {field: tuple(values) for field, values in extra.profiles.get(profile, {}).items()}


def _values(field: str, parameter: Parameter, path: Path) -> tuple[Scalar, ...]:
    if (parameter.value is None) == (parameter.values is None):
        raise UserError(f"{path}: parameters.{field}: needs exactly one of value and values")
    return (parameter.value,) if parameter.value is not None else tuple(parameter.values or ())

"""What a sweep must not say: choices that contradict each other, or that no cell has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe, by_name, unknown_parameter
from ddsweep.registry.methods import METHODS
from ddsweep.sweep import naming
from ddsweep.sweep.document import Extra, Scalar, SweepFile
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.naming import written
from ddsweep.sweep.origin import Origin, without_profile
from ddsweep.sweep.registry import resolve

Values = Mapping[str, tuple[Scalar, ...]]
Parts = Mapping[str, Sequence[Scalar]]


def check_values(values: Values, where: str = "") -> None:
    """Check that no list has a value twice: 1 and 1.0 are the same, 1 and true are not.

    Raises:
        UserError: a list does.
    """
    for field, listed in values.items():
        seen: set[tuple[bool, Scalar]] = set()
        for value in listed:
            if (isinstance(value, bool), value) in seen:
                raise UserError(f"{where}{field}: lists {written(field, value)!s} twice")
            seen.add((isinstance(value, bool), value))


def check_fields(
    fields: Iterable[str], parts: Parts, path: Path, *, file: Parts | None = None, given: Collection[str] = ()
) -> None:
    """Check that every name is a recipe field, or an option of a method or guidance of the sweep.

    Args:
        fields: the names.
        parts: the values of ``method`` and ``regularizer``.
        path: the sweep file.
        file: those of the file without settings: it may have the options of a method that settings replace.
        given: the names in settings.

    Raises:
        UserError: one is neither, or a method is unknown; the line names the closest field or option, or the methods
            that have the option.
    """
    unknown = [field for field in dict.fromkeys(fields) if field not in Recipe.model_fields]
    if not unknown:
        return
    methods = [str(one) for one in parts["method"]] or ["dm"]
    options = [*by_name.names([*methods, *map(str, parts["regularizer"])])]
    replaced = [*by_name.names([str(one) for values in (file or {}).values() for one in values])]
    for field in unknown:
        if field not in options and (field in given or field not in replaced):
            for method in methods:  # if one is misspelled, so its options are unknown
                METHODS.take(method, "method")
            if owners := by_name.having(field):
                where = "" if field in given else f"{path}: "
                raise UserError(
                    f"{where}{field}: is an option of {' and '.join(owners)}, which this sweep does not use"
                )
            own = [name for name in options if "." not in name]
            line = unknown_parameter(field, (*Recipe.model_fields, *own))
            raise UserError(f"{path}: {line}")


def check_axis(document: SweepFile, path: Path) -> None:
    """Check that the axis consists of parameters of the file.

    Raises:
        UserError: one is none, or is listed twice.
    """
    axis, known = document.extra.axis, document.parameters
    for field in axis:
        if field not in known:
            raise UserError(f"{path}: x-ddsweep.axis: {field} is not one of the parameters; {closest(field, known)}")
        if axis.count(field) > 1:
            raise UserError(f"{path}: x-ddsweep.axis: lists {field} twice")


def check_rules(extra: Extra, parameters: Collection[str], path: Path) -> None:
    """Check that the points of ``exclude`` name parameters, so that they can exclude something.

    Raises:
        UserError: one does not.
    """
    for rule in extra.exclude:
        for field in rule if isinstance(rule, dict) else ():
            if field not in parameters:
                raise UserError(
                    f"{path}: x-ddsweep.exclude: {field} is not one of the parameters; {closest(field, parameters)}"
                )


def check_cells(sweep: Sweep, origin: Origin) -> None:
    """Check every cell, and that the baseline and every value that was asked for are part of some cell.

    Settings may leave out a baseline, or values of other fields; ``origin.remarks`` says so then.

    Raises:
        UserError: a cell is not a valid recipe, or a choice is part of no cell; the line names the field.
    """
    try:
        sweep.check()
    except UserError as error:
        raise UserError(f"{error}{_blame(sweep, origin)}") from None
    for field, value in sweep.unused():
        if field in origin.settings or (field, value) in _unsettled(sweep, origin).unused():
            where = "" if field in origin.settings else f"{origin.path}: "
            raise UserError(f"{where}{field}: no cell has {written(field, value)}, because exclude removes all of them")
    if (
        sweep.search is None
        and sweep.baseline
        and not _has_baseline(sweep)
        and not _baseline_is_left_out(sweep, origin)
    ):
        choices = ", ".join(f"{field}: {written(field, value)}" for field, value in sweep.baseline.items())
        missing = next(field for field in sweep.baseline if _lacks(sweep, field))
        have = ", ".join(dict.fromkeys(written(missing, cell.recipe.value(missing)) for cell in sweep.cells))
        raise UserError(f"{origin.path}: x-ddsweep.baseline: no cell is {{{choices}}}; the cells have {missing} {have}")


def _has_baseline(sweep: Sweep) -> bool:
    return any(sweep.is_baseline(cell.recipe) for cell in sweep.cells)


def _lacks(sweep: Sweep, field: str) -> bool:
    """Whether no cell has the baseline's value of a field."""
    return all(cell.recipe.value(field) != sweep.baseline[field] for cell in sweep.cells)


def _baseline_is_left_out(sweep: Sweep, origin: Origin) -> bool:
    """Whether it is the settings that leave out the baseline."""
    try:
        return bool(origin.settings) and _has_baseline(_unsettled(sweep, origin))
    except UserError:  # without them, a cell is not valid
        return False


def _unsettled(sweep: Sweep, origin: Origin) -> Sweep:
    """The sweep without its settings."""
    return replace(sweep, parameters={**origin.file, **origin.profile}, search=origin.search)


def _blame(sweep: Sweep, origin: Origin) -> str:
    """The end of an error that comes from a value of the profile: which one it is, and where to change it."""
    fields = [field for field in origin.profile if field not in origin.settings]
    for suspects in [*([field] for field in fields), fields]:
        try:
            without_profile(sweep, origin, suspects).check()
        except UserError:
            continue
        values = ", ".join(f"{field} to {written(field, origin.profile[field][0])}" for field in suspects)
        there = f"in x-ddsweep.profiles.{sweep.profile} of {origin.path}, or " if not origin.shipped else ""
        return f"; profile {sweep.profile} sets {values}: change it {there}with --set {suspects[0]}=VALUE"
    return ""


def check_chosen_name(name: str, origin: Origin) -> None:
    """Check that a name that a user has chosen is not that of another sweep's file.

    Raises:
        UserError: it is.
    """
    try:
        path, settings = resolve(name)
    except UserError:  # no file has it
        return
    if settings and naming.derived(origin.base, origin.question) == name:
        return
    if settings or origin.question or not path.samefile(origin.path):
        whose = f"{path} with other settings" if settings else str(path)
        raise UserError(f"as: {name} is the name of another sweep ({whose}); choose one that no sweep file has")

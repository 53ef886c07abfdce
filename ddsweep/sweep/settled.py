"""A sweep whose settings choose another method or guidance than its file.

The options of the file's own have no effect then. They are left out of the sweep, as if the file did not name them: an
axis of such an option has one value, and becomes that of the method or guidance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, by_name
from ddsweep.sweep.document import Extra, Rule, Scalar
from ddsweep.sweep.expression import Expression

FIELDS = ("method", "regularizer")
Layers = Sequence[Mapping[str, Sequence[Scalar | None]]]


def parts(layers: Layers, rules: Iterable[Mapping[str, Scalar]]) -> dict[str, list[Scalar]]:
    """The methods and guidances that cells can have.

    Args:
        layers: the settings, then what file and profile say; the first one with a value counts.
        rules: the baseline and the points of ``exclude``, which can name others.
    """
    rules = list(rules)
    found: dict[str, list[Scalar]] = {}
    for field in FIELDS:
        layer = next((one[field] for one in layers if field in one), ())
        found[field] = [one for one in (*layer, *(rule[field] for rule in rules if field in rule)) if one is not None]
    return found


def every_part(layers: Layers) -> dict[str, list[Scalar]]:
    """The methods and guidances that any of the layers names."""
    return {field: [one for layer in layers for one in layer.get(field, ()) if one is not None] for field in FIELDS}


def without_effect(fields: Iterable[str], used: Mapping[str, Sequence[Scalar]]) -> frozenset[str]:
    """The options among ``fields`` that no method or guidance of the sweep has."""
    named = [field for field in fields if field not in Recipe.model_fields]
    if not named:  # no plugin is loaded for that
        return frozenset()
    options = {*by_name.names([str(one) for values in used.values() for one in values])}
    return frozenset(field for field in named if field not in options)


def without(extra: Extra, idle: Collection[str], names: Iterable[str], chosen: Iterable[str]) -> Extra:
    """What a file says of its sweep without the options that have no effect.

    Args:
        extra: what it says.
        idle: the options.
        names: all names that its conditions may use.
        chosen: of ``method`` and ``regularizer``, those that were chosen otherwise.
    """
    if not idle:
        return extra
    known = [*names]
    axis = [field for field in extra.axis if field not in idle] or sorted(chosen)
    baseline = {field: value for field, value in extra.baseline.items() if field not in idle}
    exclude = [rule for rule in extra.exclude if not _fields(rule, known) & {*idle}]
    return extra.model_copy(update={"axis": axis, "baseline": baseline, "exclude": exclude})


def _fields(rule: Rule, names: Iterable[str]) -> frozenset[str]:
    try:
        return frozenset(rule) if isinstance(rule, dict) else Expression.parse(rule, names).fields
    except UserError:  # it is reported where the condition is used
        return frozenset()

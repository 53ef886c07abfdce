"""Options by name: ``lr0=0.05`` beside the fields of a recipe, which keeps them in ``options`` and
``guidance_options``.

A bare name is the option of the recipe's method (or guidance) that has it; ``mtt-lite.lr0`` is that of one part only,
and counts more. In a sweep with several methods, an option has no effect on those that do not have it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ddsweep.errors import UserError, closest
from ddsweep.registry import options
from ddsweep.registry.guidance import GUIDANCE
from ddsweep.registry.methods import METHODS
from ddsweep.registry.options import Declared

RENAMED = {"archs": "ptm_archs", "ptm_epochs": "ptm_train_epochs"}
"""Former names of fields, by which errors name the present ones."""


class Owner(NamedTuple):
    """A part of a recipe that has options.

    Attributes:
        field: the recipe field with the text of its options.
        name: its name.
        declared: its options with their defaults.
    """

    field: str
    name: str
    declared: Declared


def owners(choices: Mapping[str, Any]) -> list[Owner]:
    """The parts of a recipe that can have options: its method, and its guidance if it is chosen.

    Raises:
        UserError: the method is unknown.
    """
    method, guidance = choices.get("method") or "dm", choices.get("regularizer")
    found = [Owner("options", method, METHODS.take(method, "method").options)] if isinstance(method, str) else []
    if isinstance(guidance, str) and guidance in GUIDANCE:
        found.append(Owner("guidance_options", guidance, GUIDANCE[guidance].options))
    return found


def folded(choices: Mapping[str, Any], fields: Collection[str], among: Collection[str] = ()) -> dict[str, Any]:
    """Choices for a recipe with the options that are given by name in the text of its options.

    Args:
        choices: the choices.
        fields: the names of all recipe fields.
        among: the methods and guidances of a sweep: an option that one of them has
            is no mistake where the recipe's own lack it.

    Raises:
        UserError: a name is neither a field nor an option, two parts of the recipe have the option, the value has the
            wrong type, or ``options`` has another one.
    """
    named = {name: value for name, value in choices.items() if name not in fields}
    own = {name: value for name, value in choices.items() if name in fields}
    if not named:
        return own
    found: dict[str, dict[str, Any]] = {}
    parts = owners(own)
    for name in sorted(named, key=lambda name: "." in name):  # the option of one part counts more than a bare name
        if named[name] is None:
            continue
        _, _, option = name.rpartition(".")
        having = _having(name, parts)
        if len(having) > 1:
            both = " and of ".join(f"{owner.name} ({owner.name}.{name})" for owner in having)
            raise UserError(f"{name}: is an option of {both}; write one of the names in brackets")
        if having:
            value = options.typed(name, named[name], having[0].declared[option])
            found.setdefault(having[0].field, {})[option] = value
        elif not _is_of(name, among) and not ("." in name and _is_of(name, [name.rpartition(".")[0]])):
            raise UserError(unknown(name, fields, own))
    return own | {field: _joined(field, own.get(field) or "", values, parts) for field, values in found.items()}


def unknown(name: str, fields: Collection[str], choices: Mapping[str, Any]) -> str:
    """The error for a name that is neither a recipe field nor an option, with its present name or the closest one."""
    if name in RENAMED:
        return f"{name}: renamed to {RENAMED[name]}"
    parts = [owner for owner in owners(choices) if owner.declared]
    own = [option for owner in parts for option in owner.declared]
    whose = " and ".join(f"{owner.name} has {', '.join(owner.declared)}" for owner in parts)
    listed = f"; {whose}" if whose else ""
    return f"{name}: unknown parameter; {closest(name, fields, own)}{listed}"


def names(parts: Collection[str]) -> Iterator[str]:
    """The names by which options of these parts can be given."""
    for part in parts:
        for option in _declared(part):
            yield from (option, f"{part}.{option}")


def having(name: str) -> list[str]:
    """The methods and guidances that have an option, whichever a sweep uses."""
    return [part for part in dict.fromkeys(every()) if _is_of(name, [part])]


def every() -> list[str]:
    """All methods and guidances: W&B gives each run every parameter of its sweep, also the options of other parts."""
    return [*METHODS, *GUIDANCE]


def is_option(name: str) -> bool:
    """Whether a name is that of an option of any method or guidance."""
    return _is_of(name, every())


def _having(name: str, parts: Collection[Owner]) -> list[Owner]:
    owner, _, option = name.rpartition(".")
    return [one for one in parts if owner in ("", one.name) and option in one.declared]


def _is_of(name: str, parts: Collection[str]) -> bool:
    """Whether a name is that of an option of one of these parts."""
    return any(name in (option, f"{part}.{option}") for part in parts for option in _declared(part))


def _declared(part: str) -> Declared:
    rows = (table[part] for table in (METHODS, GUIDANCE) if part in table)
    return {name: default for row in rows for name, default in row.options.items()}


def _joined(field: str, text: Any, values: Mapping[str, Any], parts: Collection[Owner]) -> Any:
    """The text of the options with those that were given by name."""
    if not isinstance(text, str):  # the type check reports it
        return text
    declared = next(owner.declared for owner in parts if owner.field == field)
    parsed = options.parse(text, declared, field)
    given = {name: parsed[name] for name in options.written(text)}
    for name, value in values.items():
        if given.get(name, value) != value:
            raise UserError(f"{name}: is given twice, as {options.text(value)} and in {field} ({text})")
    return options.spell({**given, **values})

"""Options: settings that only one method or one guidance has, as a recipe's text and as typed values.

The text is ``steps:5+temperature:0.5``. A string that contains ``+``, or begins with a quote, is written in double
quotes as in JSON: ``path:"a+b"``. The type of an option is that of its default.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from ddsweep.errors import UserError, closest
from ddsweep.settings import scalar

Scalar = bool | int | float | str
Declared = Mapping[str, Scalar]
"""The options of a method or guidance, each with its default."""

TRUTH = {"true": True, "false": False}
OTHERS = (
    "target", "size", "ipc", "align", "severity", "seed", "precision", "method", "options", "arch", "width",
    "alpha_by_arch", "regularizer", "guidance_options", "source", "ptm_archs", "n_models", "ptm_epoch",
    "ptm_train_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch", "ptm_statistics", "cclom_batch", "eval_rule",
    "eval_archs", "eval_nets", "eval_epochs", "eval_batch", "eval_lr", "eval_strategy", "plugins", "n_archs", "cell",
)  # fmt: skip
"""Names of settings that no option can have, beside those that a method takes."""
KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_ENTRY = re.compile(rf"[^:+]*:{_QUOTED.pattern}(?=\+|$)|[^+]*")


def check(what: str, name: str, default: object, taken: Collection[str] = ()) -> Scalar:
    """Check an option when its decorator runs: every cell can name it, and its default can be written and read back.

    Args:
        what: the method or guidance, for the error: ``method 'mtt-lite'``.
        name: the option.
        default: its default.
        taken: further names of settings that it cannot have.

    Raises:
        UserError: the default is not a finite number, a boolean or a printable string, or a setting has the name.
    """
    if name in (*OTHERS, *taken):
        raise UserError(f"plugins: {what}: the option {name} has the name of a setting of recipes; rename it")
    if not isinstance(default, Scalar):
        raise UserError(f"plugins: {what}: the default of {name} is not a number, string or boolean")
    if isinstance(default, float) and not math.isfinite(default):
        raise UserError(f"plugins: {what}: the default of {name} is {default}, not a finite number")
    if isinstance(default, str) and not default.isprintable():
        raise UserError(f"plugins: {what}: the default of {name} has a line break or a control character")
    return default


def parse(text: str, declared: Declared, field: str = "options") -> dict[str, Scalar]:
    """The values of all options; those that are not in ``text`` have their defaults.

    Args:
        text: as in the recipe.
        declared: the options that there are.
        field: the recipe field that contains the text, for errors.

    Raises:
        UserError: there is no such option, or an option is listed twice or has a value of the wrong type.
    """
    values: dict[str, Scalar] = {}
    whose = "the method" if field == "options" else "the guidance"
    for name, written, part in _entries(text):
        if name not in declared:
            raise UserError(f"{field}: {whose} has no option {name!r}; {closest(name, declared)}")
        if written is None or name in values:
            raise UserError(f"{field}: {part!r}: write NAME:VALUE, each name once, joined by +")
        values[name] = _read(f"{field}: {name}", written, declared[name])
    return {**declared, **values}


def spell(values: Mapping[str, Scalar]) -> str:
    """The canonical text: sorted by name, with the fewest digits that give the same number, without a plus sign."""
    return "+".join(f"{name}:{text(values[name])}" for name in sorted(values))


@lru_cache(maxsize=4096)
def written(text: str) -> Mapping[str, str]:
    """The values in a text as they are written, for whoever does not have the declarations of the options."""
    return {name: value for name, value, _ in _entries(text) if value is not None}


def typed(name: str, value: object, default: Scalar) -> Scalar:
    """A value that was given by the name of an option, in the type of the option's default.

    Raises:
        UserError: it has another type; a whole number is accepted where the default is a number.
    """
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is kind and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    hint = f"; write '{value}' in a sweep file" if kind is str else ""
    raise UserError(f"{name}: must be {KINDS[kind]}, not {value!r}{hint}")


def value_of(written: str, default: Scalar | None) -> Scalar:
    """A value of a recipe that was stored earlier: in the type of the option if it still has it, else as it looks."""
    if isinstance(default, str) or _QUOTED.fullmatch(written):
        return _unquoted(written)
    return scalar(written)


def text(value: Scalar) -> str:
    """The canonical text of one value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if "+" in value or value.startswith('"') else value
    return str(value).replace("e+", "e")


def _entries(text: str) -> list[tuple[str, str | None, str]]:
    """The name, the value (None: there is no colon) and the whole text of each entry."""
    found, rest = [], text
    while text:
        match = _ENTRY.match(rest)
        assert match is not None  # every text matches: an entry may be empty
        name, colon, value = match[0].partition(":")
        found.append((name, value if colon else None, match[0]))
        if match.end() == len(rest):
            break
        rest = rest[match.end() + 1 :]
    return found


def _read(name: str, written: str, default: Scalar) -> Scalar:
    try:
        if isinstance(default, bool):
            return TRUTH[written.lower()]
        value = _unquoted(written) if isinstance(default, str) else type(default)(written)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, KeyError):
        raise UserError(f"{name} must be {KINDS[type(default)]}, not {written!r}") from None


def _unquoted(written: str) -> str:
    return str(json.loads(written)) if _QUOTED.fullmatch(written) else written

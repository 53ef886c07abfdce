"""Whether a sweep is the one that was launched before under its name (docs/names.md)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ddsweep import again
from ddsweep.sweep.document import Scalar
from ddsweep.sweep.grid import Sweep
from ddsweep.sweep.naming import ALLOWED, derived, written
from ddsweep.sweep.origin import Origin


def conflict(sweep: Sweep, before: Sweep | None, names: Collection[str]) -> str:
    """Why a sweep cannot be launched: its name is that of a launch of another file, or with other settings.

    A file that was moved or copied is the same as long as it asks the same question, and one that was edited as long as
    it was not moved. Earlier versions did not record the file: of their sweeps, only chosen names are checked.

    Args:
        sweep: the sweep to launch.
        before: the sweep that is registered under this name; None: none is.
        names: all registered names.

    Returns:
        The line for the user; empty if the sweep can be launched.
    """
    origin = sweep.origin
    if origin is None or before is None:
        return ""
    chosen = sweep.name != derived(origin.base, origin.question)
    if before.source.get("file") == sweep.source["file"]:
        same = before.source["question"] == sweep.source["question"]
    else:
        same = (not before.source and not chosen) or _same_question(sweep, before)
    if same:
        return ""
    line = f"{sweep.full_name} is a launch of {_described(sweep, before)}"
    if chosen:
        return f"{line}; choose another name, or resume it: {again.other('launch', sweep.full_name)}"
    return f"{line}; launch {origin.path} under another name: {again.command('--as', _free(origin, sweep, names))}"


def _same_question(one: Sweep, other: Sweep) -> bool:
    said = ((each.title, each.axis, each.baseline) for each in (one, other))
    return next(said) == next(said) and not [*_fixed_otherwise(one, other)]


def _fixed_otherwise(one: Sweep, other: Sweep) -> Iterator[str]:
    """The fields that both fix, or only one of them, with different values."""
    varied = {"seed", "plugins", *one.varied, *other.varied}
    for field in dict.fromkeys((*one.fixed, *other.fixed)):
        if field not in varied and one.fixed.get(field) != other.fixed.get(field):
            yield field


def _described(sweep: Sweep, before: Sweep) -> str:
    """``ablation-alpha with ipc 10``."""
    if not before.source:
        differ = {field: before.parameters.get(field, ()) for field in _fixed_otherwise(sweep, before)}
        return f"another sweep{_with(differ)}"
    file = before.source["file"]
    shipped = "" if Path(file).is_absolute() or before.source["question"] else ", which ships with ddsweep"
    return f"{file}{shipped}{_with(before.source['question'])}"


def _with(settings: Mapping[str, Collection[Scalar]]) -> str:
    texts = (
        f"{field} {', '.join(written(field, one) for one in values)}" for field, values in settings.items() if values
    )
    listed = ", ".join(texts)
    return f" with {listed}" if listed else ""


def _free(origin: Origin, sweep: Sweep, names: Collection[str]) -> str:
    """A name that no launched sweep has."""
    base = re.sub(rf"(?!{ALLOWED.pattern}).", "-", origin.base)
    return next(name for number in itertools.count(2) if f"{(name := f'{base}-{number}')}@{sweep.profile}" not in names)

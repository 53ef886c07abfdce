"""``@ddsweep.tracker``: register a tracker of a plugin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ddsweep.errors import UserError, closest
from ddsweep.plugins.code import name_of
from ddsweep.registry.trackers import GIVEN, TRACKERS, TrackerInfo
from ddsweep.trackers import Tracker

Class = TypeVar("Class", bound=type)


def tracker(name: str, *, files: Iterable[str] = ()) -> Callable[[Class], Class]:
    """Register a tracker: a subclass of ``ddsweep.Tracker`` that overrides the methods it needs.

    Each agent makes one, with what its ``__init__`` names of ``runs`` (the folder of all runs) and ``sweep``
    (``NAME@PROFILE``); other parameters need a default. It follows one trial after the other. If it raises, that is
    reported once, and it gets no further calls; the trial continues.

    Args:
        name: as in ``--track NAME``.
        files: files that it reads, relative to the file with its source.

    Raises:
        UserError: the name is invalid or taken, the class is not a subclass of ``ddsweep.Tracker``, overrides nothing,
            or a method has other parameters.
    """

    def register(made: Class) -> Class:
        if fault := _fault(made):
            raise UserError(f"plugins: tracker {name!r}: {name_of(made)} {fault}")
        takes = tuple(one for one in _parameters(made) if one in GIVEN)
        TRACKERS.add(name, TrackerInfo(name, made, takes, (made.__doc__ or "").strip().partition("\n")[0]), made, files)
        return made

    return register


def _parameters(made: type) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(made).parameters)


def _fault(made: Any) -> str:
    """What is wrong with a class, in one line; empty if nothing is."""
    if not (isinstance(made, type) and issubclass(made, Tracker)):
        return "is not a subclass of ddsweep.Tracker"
    methods = [one for one in vars(Tracker) if not one.startswith("_")]
    overridden = [one for one in methods if getattr(made, one) is not getattr(Tracker, one)]
    if not overridden:
        return f"overrides no method of ddsweep.Tracker ({', '.join(methods)})"
    for one in overridden:
        wanted = list(inspect.signature(getattr(Tracker, one)).parameters)
        try:
            inspect.signature(getattr(made, one)).bind(*wanted)
        except TypeError as error:
            return f"cannot be called as {one}({', '.join(wanted[1:])}) ({error})"
    for name, parameter in _parameters(made).items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if name not in GIVEN and not optional:
            return f"takes {name}, which has no default; {closest(name, GIVEN)}"
    return ""

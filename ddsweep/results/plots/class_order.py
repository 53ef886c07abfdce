"""The classes of several runs in one order: an image folder may have got other classes between them."""

from __future__ import annotations

from collections.abc import Sequence

from ddsweep.errors import UserError


def places(names: Sequence[str], wanted: Sequence[str], run: str) -> list[int]:
    """Return where each of the ``wanted`` classes is in ``names``, the classes of a run in label order.

    Raises:
        UserError: the run has other classes.
    """
    if list(names) == list(wanted):
        return list(range(len(wanted)))
    if len(set(wanted)) != len(wanted) or sorted(names) != sorted(wanted):
        odd = next((repr(name) for name in (*names, *wanted) if (name in names) != (name in wanted)), "its order")
        raise UserError(f"{run}: its classes differ from those it is drawn with, for example {odd}; compute it again")
    return [list(names).index(name) for name in wanted]

"""The exception whose message is meant for the user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can fix: one line that names the field, the bad value and the allowed values.

    The command line prints it and exits with status 2, without a traceback. A line break in a quoted name (YAML allows
    it in a key) becomes a space.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class Damaged(UserError):
    """A file that ddsweep wrote no longer has the content that was written; the message names it."""


def in_one_line(error: BaseException) -> str:
    """An error for people: its message, with its type unless it is meant for the user."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    return message if isinstance(error, UserError) and message else f"{kind}: {message}" if message else kind


def closest(word: str, allowed: Iterable[str]) -> str:
    """The end of an error: ``did you mean x? (allowed: x, y, z)``, or ``allowed: x, y, z`` if no name is close."""
    names = sorted(allowed)
    near = difflib.get_close_matches(word, names, n=1)
    listed = f"allowed: {', '.join(names)}"
    return f"did you mean {near[0]}? ({listed})" if near else listed

"""The exception whose message is meant for the user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

NO_REASON = "no reason was recorded"  # of a failure


class UserError(Exception):
    """A mistake that the user can fix: one line that names the field, the bad value and the allowed values.

    The command line prints it and exits with status 2, without a traceback. A line break in a quoted name (YAML allows
    it in a key) becomes a space.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class PluginError(UserError):
    """Code of a plugin has failed, or breaks its contract; the line names the part and, if known, file and line.

    Attributes:
        final: whether another attempt would fail the same way.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Diverged(Exception):
    """A loss is infinite or not a number: a result of the recipe, not an error of the program."""


class SharedStepFailed(Exception):
    """A step of several distillations in lockstep failed, which says nothing about one of them.

    ``__cause__`` is the error. Their states are no longer those between two iterations.
    """

    @classmethod
    def of(cls, error: BaseException) -> SharedStepFailed:
        """One that an error has caused."""
        made = cls(f"{type(error).__name__}: {error}".rstrip(": "))
        made.__cause__ = error
        return made


class Damaged(UserError):
    """A file that ddsweep wrote no longer has the content that was written; the message names it."""


def in_one_line(error: BaseException) -> str:
    """An error for people: its message, with its type unless it is meant for the user."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    return message if isinstance(error, UserError) and message else f"{kind}: {message}" if message else kind


def closest(word: str, allowed: Iterable[str], also: Iterable[str] = ()) -> str:
    """The end of an error: ``did you mean x? (allowed: x, y, z)``, or ``allowed: x, y, z`` if no name is close.

    Args:
        word: what was given.
        allowed: the names to list.
        also: further names that may have been meant.
    """
    names = sorted(allowed)
    found = near(word, [*names, *also])
    listed = f"allowed: {', '.join(names)}"
    return f"did you mean {found}? ({listed})" if found else listed


def near(word: str, allowed: Iterable[str]) -> str:
    """The name that was probably meant; empty if none is close. Case, hyphens, underscores and spaces do not matter."""
    names: dict[str, str] = {}
    for name in allowed:
        names.setdefault(_plain(name), name)
    found = difflib.get_close_matches(_plain(word), names, n=1)
    return names[found[0]] if found else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold() or name

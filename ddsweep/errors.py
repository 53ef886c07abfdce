"""The one exception that a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can put right: one line that names the field and what is allowed there.

    The command line prints the line and exits with status 2; no other exception of ours reaches a terminal. A name that
    is quoted in it may hold a line break (YAML allows it in a key): it becomes a space.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


def closest(word: str, allowed: Iterable[str]) -> str:
    """The end of an error line: ``did you mean x? (allowed: x, y, z)``, or ``allowed: x, y, z`` if nothing is near."""
    names = sorted(allowed)
    near = difflib.get_close_matches(word, names, n=1)
    listed = f"allowed: {', '.join(names)}"
    return f"did you mean {near[0]}? ({listed})" if near else listed

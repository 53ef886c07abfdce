"""The commands that a command tells its user to type next, complete with the options that matter."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

PLACE = ("--runs", "--storage")
WITHOUT = {  # by command, which of these it does not have
    "data": PLACE, "evaluate": PLACE, "list": ("--storage",), "plugins": PLACE, "pool": PLACE, "pretrain": PLACE,
    "sync": ("--storage",), "trial": ("--storage",),
}  # fmt: skip
SECRET = re.compile(r"(://[^:/@\s]*:)[^/\s]*(@)|(password=)[^&\s]*", re.IGNORECASE)
_typed: list[str] = []


@dataclass(frozen=True)
class Repeat:
    """Which cells a launch computes again.

    Attributes:
        failed: those that were given up, unless that is in vain.
        unusable: finished ones whose results are from other images, or whose files are damaged.
    """

    failed: bool = False
    unusable: bool = False


NOTHING = Repeat()


def remember(words: Sequence[str]) -> None:
    """Keep the words after ``ddsweep`` on the command line, until the next command in this process."""
    _typed[:] = words


def command(*more: str) -> str:
    """The command line as it was typed, with further words unless it has them; passwords are replaced by ``***``."""
    return written("ddsweep", *_typed, *(word for word in more if word not in _typed))


def to_resume() -> str:
    """How to resume this command."""
    return f"resume with:  {command()}" if _typed else "run the same command to resume"


def other(*words: str) -> str:
    """Another ``ddsweep`` command, for the runs folder and the storage of this one.

    Those that come from the environment are left out: the next command finds them there too.
    """
    return written("ddsweep", *words, *_place(WITHOUT.get(words[0], ())))


def written(*words: str) -> str:
    """Words as a shell reads them, without passwords."""
    return shlex.join(SECRET.sub(lambda found: f"{found[1] or found[3]}***{found[2] or ''}", word) for word in words)


def _place(without: Sequence[str]) -> list[str]:
    """The options ``PLACE`` as they were typed, except these."""
    found = []
    for index, word in enumerate(_typed):
        option, equals, _ = word.partition("=")
        if option not in PLACE or option in without:
            continue
        if not equals:
            found += _typed[index : index + 2]
        else:
            found.append(word)
    return found

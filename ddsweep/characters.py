"""Characters that a screen must not interpret, or that an encoding or a font does not have.

Names (of classes, folders, sweeps) and reasons of failures come from users' files. They may contain terminal escapes,
controls of the writing direction, line breaks, bytes that are no text, and letters of any script. What is written to a
screen, an encoding or a picture goes through here, so that it is shown and never obeyed, and so that two different
names remain different. Files keep the names as they are.
"""

from __future__ import annotations

import codecs
import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

ERRORS = "ddsweep"  # name of the error handler that ``register`` adds to Python's codecs
JOINERS = "\u200c\u200d"  # invisible, but parts of words in several scripts
_UNSAFE = re.compile(r"[^\x20-\x7e\xa1-\xac\xae-\u04ff\u2010-\u2027\u2030-\u205e\u2190-\u25ff]")

SPELLINGS = {
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "…": "...", "×": "x", "·": ".", "±": "+-", "→": "->", "←": "<-",
    "↑": "^", "↓": "v", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∞": "inf", "°": " deg", "µ": "u", "€": "EUR",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "•": "*", "█": "#", "░": ".",
    "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▋": "|", "▊": "|", "▉": "#", "✓": "ok", "✔": "ok", "✗": "x",
    "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "ı": "i",
    "ð": "d", "þ": "th", "\xa0": " ", "\u2007": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip


def printable(text: str) -> str:
    r"""The text with everything that a terminal would obey written as an escape, such as ``\x1b`` and ``\u202e``.

    These are control characters, controls of the writing direction, other invisible characters, and bytes of a file
    name that are not UTF-8. Line breaks and tabs are kept; a tab becomes a space.
    """
    return _UNSAFE.sub(lambda match: _shown(match[0]), text)


def one_line(text: str) -> str:
    """``printable``, with every run of line breaks and spaces around them as one space."""
    return printable(" ".join(part.strip() for part in text.splitlines() if part.strip()))


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if character == "\t":
        return " "
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or (category == "Cf" and character not in JOINERS):
        return escape(character)
    return character


def escape(character: str) -> str:
    r"""A character by its number: ``\x1b``, ``\u4e2d``; a byte that is not UTF-8 by its value."""
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python writes such bytes of file names
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


@functools.cache
def spelled(character: str) -> str:
    r"""A character in ASCII: ``alpha`` for α, ``e`` for é, ``-`` for a line of a table, or its number (``\u4e2d``)."""
    if character in SPELLINGS:
        return SPELLINGS[character]
    if "\u2500" <= character <= "\u257f":  # lines of tables
        name = unicodedata.name(character)
        straight = "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
        return "+" if " AND " in name else straight
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(character, ""))
    if greek:
        return greek[2].lower() if greek[1] == "SMALL" else greek[2].capitalize()
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain if plain.strip() else escape(character)


def encodable(text: str, encoding: str) -> str:
    """The text in the characters that ``encoding`` has, the others spelled in ASCII."""
    register()
    return text.encode(encoding, ERRORS).decode(encoding)


def with_glyphs(text: str, available: Collection[int]) -> str:
    r"""The text in the characters of a font, for pictures; the others by their number (``\u4e2d``).

    Accents that the font has only combined with their letter are combined.

    Args:
        text: one or several lines.
        available: the code points that the font has.
    """
    composed = printable(unicodedata.normalize("NFC", text))
    return "".join(
        character if character == "\n" or ord(character) in available else escape(character) for character in composed
    )


def shortened(text: str, most: int) -> str:
    """The text in at most ``most`` characters: of a longer one the beginning and the end, around ``…``.

    Names of a folder often begin alike, so that their ends tell them apart.
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def tolerate_encodings() -> None:
    """Let standard output and error spell what their encoding lacks (``PYTHONIOENCODING=ascii``, ``LC_ALL=C``).

    Whatever writes there (commands, logs, progress bars, libraries) then writes poorer characters and never fails.
    """
    register()
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ERRORS)


@functools.cache
def register() -> None:
    """Register the error handler ``ERRORS``; once per process."""
    codecs.register_error(ERRORS, _spell_unencodable)


def _spell_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking: Any = error.object[error.start : error.end]
    return "".join(map(spelled, lacking)), error.end

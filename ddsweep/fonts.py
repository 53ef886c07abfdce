"""The font of every picture, DejaVu Sans, which Matplotlib ships: the same letters on every machine.

It has Latin, Greek, Cyrillic, Hebrew, Arabic and many signs, but for example no Chinese characters. What it lacks is
written by its number (``\\u4e2d``), so that two names never look the same.
"""

from __future__ import annotations

import functools
import importlib.util
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ddsweep import characters

FAMILY = "DejaVu Sans"
LONGEST = 40  # characters of a name beside an image or a bar; longer ones are shortened
TITLE = 80  # characters of a title, or of a line of a legend


COMMON = frozenset("\n" + "".join(map(chr, range(32, 127))) + "αβ×±–·…→")  # characters that the font certainly has


@functools.cache
def path() -> Path:
    """The file of the font. Matplotlib is imported only if its files lie in an unusual place: that takes 0.3 s."""
    if (found := importlib.util.find_spec("matplotlib")) and found.origin:
        usual = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if usual.is_file():
            return usual
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@functools.cache
def glyphs() -> Collection[int]:
    """The code points that the font has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(path())).get_charmap())


def drawable(text: str) -> str:
    """The text in letters of the font, its lines kept."""
    if COMMON.issuperset(text):
        return text
    return characters.with_glyphs(text, glyphs())


def title(text: str, longest: int = TITLE) -> str:
    """A text on one line of at most ``longest`` characters, drawable."""
    return characters.shortened(drawable(characters.one_line(text)), longest)


def names(texts: Iterable[str], longest: int = LONGEST) -> list[str]:
    """Names that are drawable, on one line, at most ``longest`` characters long, and all different."""
    return _different([title(text, longest) for text in texts])


def heads(texts: Iterable[str]) -> list[str]:
    """The same for names of several lines, each line at most ``LONGEST`` characters long."""
    return _different(["\n".join(title(line, LONGEST) for line in text.split("\n")) for text in texts])


def _different(shown: Sequence[str]) -> list[str]:
    """The names, those that occur several times with their place in the list."""
    count = Counter(shown)
    return [f"{text} ({index})" if count[text] > 1 else text for index, text in enumerate(shown)]

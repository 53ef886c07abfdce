"""Synthetic sets in the formats of others: one file a format, and what stands between a file and an evaluation.

The next format is a module beside these with a ``read``, and a ``write`` if ddsweep is to write it, and a line below;
``tests/exchange/test_contract.py`` runs for every one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from ddsweep.errors import UserError
from ddsweep.exchange import checks
from ddsweep.exchange.folder import Folder
from ddsweep.exchange.hf import HuggingFace
from ddsweep.exchange.idc import Idc
from ddsweep.exchange.image_set import Facts as Facts
from ddsweep.exchange.image_set import ImageSet as ImageSet
from ddsweep.exchange.kip import Kip
from ddsweep.exchange.own import Own
from ddsweep.exchange.pair import Pair
from ddsweep.exchange.source import Source, opened
from ddsweep.exchange.vico import Vico


class Reader(Protocol):
    """A format that sets come in.

    Attributes:
        name: of the format.
        about: what it is and whose, in a line.
        files: patterns of the names by which a set is found in a folder; none: the folder is the set.
    """

    name: str
    about: str
    files: tuple[str, ...]

    def read(self, source: Source) -> ImageSet | None:
        """The set; None when this is another format. Raises UserError when it is this one, but wrong."""


@runtime_checkable
class Writer(Protocol):
    """A format that sets are handed out in.

    Attributes:
        name: of the format.
        about: what it is and whose, in a line.
        pixels: whether it holds 8-bit pixels, and has to be given values in [0, 1]; else the floats themselves.
    """

    name: str
    about: str
    pixels: bool

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write images, labels and facts below ``folder``; returns what ``read`` reads. Raises UserError: no space."""


READERS: tuple[Reader, ...] = (Own(), Pair(), Vico(), Idc(), Kip(), HuggingFace(), Folder())
WRITERS: dict[str, Writer] = {one.name: one for one in READERS if isinstance(one, Writer)}


def read(path: Path, experiment: int = -1) -> ImageSet:
    """The set in a file or folder, whatever its format; its images are numbers that can be images.

    Args:
        path: the file (of the images, where labels have one of their own), or the folder with such a file in it.
        experiment: which of several in one file, as a Python index.

    Raises:
        UserError: nothing there, no known format, damaged, too large, or something that would have to run code.
    """
    place = inside(path) if path.is_dir() else path
    source = opened(place, experiment)
    try:
        one = next((one for reader in READERS if (one := reader.read(source)) is not None), None)
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from None
    if one is not None:
        checks.images(one, place)
        return one
    known = "; ".join(reader.about for reader in READERS)
    raise UserError(f"{place}: holds {_what(source)}, which is none of the formats known here: {known}")


def inside(folder: Path) -> Path:
    """The one file of a set in a folder; the folder itself, if it is to be read as one.

    Raises:
        UserError: several files.
    """
    for reader in READERS:
        found = sorted({path for pattern in reader.files for path in folder.glob(pattern) if path.is_file()})
        if len(found) > 1:
            raise UserError(f"{folder}: holds {found[0].name}, {found[1].name} …; name one of them")
        if found:
            return found[0]
    return folder


def _what(source: Source) -> str:
    if source.path.is_dir():
        return "no class folders with images and no file of a set"
    if isinstance(source.content, dict):
        return f"a dictionary of {', '.join(sorted(map(str, source.content))[:4])}"
    return f"a {type(source.content).__name__}" if source.content is not None else f"a {source.path.suffix} file"

"""Import and export of synthetic sets in common formats: one module per format, and the preparation for evaluation.

To add a format, write a module with a class that has ``read`` (and ``write`` to export it), and add it to ``READERS``;
``tests/exchange/test_contract.py`` runs for every format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from ddsweep.errors import UserError, closest
from ddsweep.exchange import checks
from ddsweep.exchange.folder import Folder
from ddsweep.exchange.hf import HuggingFace
from ddsweep.exchange.idc import Idc
from ddsweep.exchange.image_set import Facts as Facts
from ddsweep.exchange.image_set import Grids as Grids
from ddsweep.exchange.image_set import ImageSet as ImageSet
from ddsweep.exchange.kip import Kip
from ddsweep.exchange.own import Own
from ddsweep.exchange.pair import Pair
from ddsweep.exchange.source import Source, opened
from ddsweep.exchange.vico import Vico


class Reader(Protocol):
    """A format that can be imported.

    Attributes:
        name: name of the format.
        about: a one-line description.
        files: file name patterns of a set in a folder; empty: the folder itself is the set.
    """

    name: str
    about: str
    files: tuple[str, ...]

    def read(self, source: Source) -> ImageSet | None:
        """Return the set; None if the file has another format.

        Raises:
            UserError: the file has this format, but is invalid.
        """


@runtime_checkable
class Writer(Protocol):
    """A format that can be exported.

    Attributes:
        name: name of the format.
        about: a one-line description.
        bits: per channel, of pixels; 0: it stores the floats.
        pixels: whether it stores pixels in [0, 1], which are not normalized; if so, ``write`` gets such a set.
    """

    name: str
    about: str
    bits: int
    pixels: bool

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write images, labels and facts into ``folder``, and return the path that ``read`` reads.

        Raises:
            UserError: the files cannot be written.
        """


DEPTHS = (8, 16)  # bits per channel of an image folder
READERS: tuple[Reader, ...] = (Own(), Pair(), Vico(), Idc(), Kip(), HuggingFace(), Folder())
WRITERS: dict[str, Writer] = {one.name: one for one in READERS if isinstance(one, Writer)}


def writer(name: str, bits: int = 0) -> Writer:
    """Return the writer of a format.

    Args:
        name: of the format.
        bits: per channel, of its pixels; 0: as usual.

    Raises:
        UserError: there is no such format, or it does not have so many bits.
    """
    found = WRITERS.get(name)
    if found is None:
        raise UserError(f"to: unknown format {name!r}; {closest(name, WRITERS)}")
    if isinstance(found, Folder) and bits in DEPTHS:
        return Folder(bits)
    if bits in (0, found.bits):
        return found
    what = f"has {found.bits} bits per channel" if found.bits else "has the floats, without rounding"
    allowed = f"--to {Folder.name}: {' or '.join(map(str, DEPTHS))}"
    raise UserError(f"bits: {bits}: {name} {what} (allowed with {allowed})")


def read(path: Path, experiment: int = -1) -> ImageSet:
    """Return the set in a file or folder of any known format, with valid images (``checks.images``).

    Args:
        path: the file (of the images, if labels have a separate file), or a folder with one such file.
        experiment: index of the set in a file with several, as in Python.

    Raises:
        UserError: the path does not exist, its format is unknown, or it is damaged, too large, or has code to execute.
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
    raise UserError(f"{place}: holds {_what(source)}, which is not a known format: {known}")


def inside(folder: Path) -> Path:
    """Return the file of the set in a folder, or the folder itself if no file matches.

    Raises:
        UserError: several files match.
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

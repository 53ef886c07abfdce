"""The files of a class folder: which are images, which are passed over, and which would be images that get lost.

Folders are read recursively, in the order of torchvision's ``ImageFolder``. A file is known by its suffix; only a file
whose suffix says nothing is opened, and then it is an image if its content is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

from ddsweep.errors import UserError

# Pillow's formats that hold one picture, from the most to the least certain start of a file. Not among them: EPS, PDF,
# and WMF (drawn by other programs), BUFR, FITS, GRIB, and HDF5 (measurements), MPEG and FLI (films), DCX (several
# pages), IPTC and MCIDAS (wrappers), SPIDER (floats).
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000", "QOI", "PSD", "DDS", "DIB", "MPO", "BLP",
    "FTEX", "GBR", "ICNS", "SGI", "SUN", "XBM", "XPM", "MSP", "ICO", "CUR", "PIXAR", "PCX", "IM", "PCD", "TGA",
)  # fmt: skip
IMAGE_SUFFIXES = frozenset(
    """
    .apng .avif .avifs .blp .bmp .bw .cur .dds .dib .ftc .ftu .gbr .gif .icb .icns .ico .im .j2c .j2k .jfif .jp2 .jpc
    .jpe .jpeg .jpf .jpg .jpx .mpo .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi .ras .rgb .rgba .sgi .tga
    .tif .tiff .vda .vst .webp .xbm .xpm
    """.split()
)
"""The suffixes of ``FORMATS``, in lower case."""

# Pictures and films that are not read, whatever their content: a raw photo is a TIFF file whose first page is a
# thumbnail, and the text of a vector graphic would pass for a note.
UNREAD_SUFFIXES = frozenset(
    """
    .ai .arw .avi .bufr .cr2 .cr3 .dcm .dcx .dng .emf .eps .exr .fit .fits .flc .fli .grib .h5 .hdf .hdf5 .hdr .heic
    .heif .hif .iim .jxl .jxr .mkv .mov .mp4 .mpeg .mpg .nef .nii .orf .palm .pdf .ps .psb .raf .raw .rw2 .svg .svgz
    .webm .wmf .xcf
    """.split()
)
# copies that editors, browsers, and exiftool leave beside the picture, or parts of one
LEFTOVERS = (
    "~",
    ".bak",
    ".orig",
    "_original",
    ".old",
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
)
SIGNED = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "QOI", "TIFF", "WEBP")  # unmistakable by their start
SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"})
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
START = 4096  # bytes that tell text from anything else
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")  # which text does not have
UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size in bytes: what a folder or file looked like."""


@dataclass
class Group:
    """Files that have something in common.

    Attributes:
        counts: how many, by suffix.
        example: the path of the first.
    """

    counts: dict[str, int] = field(default_factory=dict)
    example: str = ""

    def add(self, path: str) -> None:
        """Count a file."""
        name = os.path.splitext(path)[1] or "without a suffix"
        self.counts[name] = self.counts.get(name, 0) + 1
        self.example = self.example or path

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """``8 .heic, 1 .mp4; for example 'IMG_1.heic'``."""
        counts = ", ".join(f"{count} {ascii(name)[1:-1]}" for name, count in sorted(self.counts.items()))
        return f"{counts}; for example {PurePath(self.example).name!r}"


@dataclass
class ClassFiles:
    """The files below a class folder.

    Attributes:
        images: paths of the images, in torchvision's order: by folder, then by name.
        nameless: images among them that were recognized by their content, because their suffix says nothing.
        lost: files that are neither images that can be read nor text: pictures may be among them.
        notes: text files, which are no images.
        stamps: what every folder, and every file that was opened, looked like; unchanged, a new look finds the same.
    """

    images: tuple[str, ...] = ()
    nameless: Group = field(default_factory=Group)
    lost: Group = field(default_factory=Group)
    notes: Group = field(default_factory=Group)
    stamps: dict[str, Stamp] = field(default_factory=dict)


def stamp(path: str) -> Stamp:
    """Return what a file or folder looks like now. Raises OSError if it does not exist."""
    now = os.stat(path)
    return now.st_mtime_ns, now.st_size


def is_system(name: str) -> bool:
    """Whether a name belongs to the operating system: hidden, a folder's settings, thumbnails, a bin."""
    return name.startswith(".") or name.casefold() in SYSTEM_FOLDERS or name.casefold() in SYSTEM_FILES


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return the files and folders in a folder that are not the operating system's, sorted by name.

    Raises:
        UserError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((one for one in found if not is_system(one.name)), key=lambda one: one.name)
    except OSError as error:
        raise UserError(f"imagefolder: cannot list {str(folder)!r}: {error.strerror}") from error


def class_files(folder: str) -> ClassFiles:
    """Sort the files below a class folder.

    Raises:
        UserError: a folder cannot be listed, a file cannot be opened, or a link leads back to a folder above it.
    """
    found = ClassFiles()
    images: list[str] = []
    for inside in sorted(_walk(folder, found.stamps), key=lambda one: one[0]):
        for entry in inside[1]:
            if _is_image(entry, found):
                images.append(entry.path)
    found.images = tuple(images)
    return found


def _walk(
    folder: str, stamps: dict[str, Stamp], above: Mapping[tuple[int, int], str] | None = None
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield each folder with its entries that are not folders; links are followed."""
    now = os.stat(folder)
    own = now.st_dev, now.st_ino
    if above and own in above:
        raise UserError(f"imagefolder: {folder!r} leads back to {above[own]!r}; remove the link")
    stamps[folder] = now.st_mtime_ns, now.st_size
    files = []
    for entry in entries(folder):
        if entry.is_dir():
            yield from _walk(entry.path, stamps, {**(above or {}), own: folder})
        else:
            files.append(entry)
    yield folder, files


def _is_image(entry: os.DirEntry[str], found: ClassFiles) -> bool:
    """Whether a file is an image; if not, it is counted."""
    suffix = os.path.splitext(entry.name)[1].lower()
    there = entry.is_file() or entry.is_symlink()  # a broken link is reported when it is read
    if there and suffix in IMAGE_SUFFIXES:
        return True
    if not there or suffix in UNREAD_SUFFIXES or entry.name.lower().endswith(LEFTOVERS):
        found.lost.add(entry.path)
        return False
    try:
        found.stamps[entry.path] = stamp(entry.path)
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    if _shows_an_image(entry.path):
        found.nameless.add(entry.path)
        return True
    (found.notes if _is_text(entry.path) else found.lost).add(entry.path)
    return False


def _shows_an_image(path: str) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=available(SIGNED)):
            return True
    except UnidentifiedImageError:
        return False
    except OSError as error:
        if error.errno is not None:
            raise _unreadable(path, error) from error
        return True  # Pillow's: the start of an image, and then damage; reading it will say what is wrong
    except Exception:  # likewise
        return True


@cache
def available(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the formats that the installed version of Pillow can open, in the same order."""
    from PIL import Image

    Image.init()
    return tuple(name for name in formats if name in Image.OPEN)


def _is_text(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(START)
    except OSError as error:
        raise _unreadable(path, error) from error
    return start.startswith(UTF_16) or not CONTROLS & set(start)


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f"imagefolder: cannot read {path!r}: {error.strerror}")

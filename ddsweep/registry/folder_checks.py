"""Checks of the classes of an image folder, and the lines that tell the user what is not read."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from ddsweep.errors import UserError
from ddsweep.registry.class_files import IMAGE_SUFFIXES, ClassFiles, Group, entries
from ddsweep.registry.splits import TEST, TRAIN, folders

SHOWN = 4  # classes that a line names
SPLITS = {*TRAIN, *(name for names in TEST for name in names)}
READ = "PNG, JPEG, GIF, WebP, AVIF, TIFF, BMP, and what else Pillow reads"
LEAST = 2  # classes, and images of a class that is split


def as_utf8(name: str, what: str) -> str:
    """Return the name of a file or folder, whatever the encoding of the locale.

    Raises:
        UserError: it is not UTF-8, and could be neither printed nor saved.
    """
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        raise UserError(f"imagefolder: {what} {os.fsencode(name)!r} has a name that is not UTF-8; rename it") from None


def check_encoding(name: str, what: str) -> None:
    """Raise UserError if a name is not UTF-8, or if the locale cannot express it, in which case it cannot be saved."""
    if as_utf8(name, what) != name:
        encoding = sys.getfilesystemencoding()
        raise UserError(
            f"imagefolder: {what} {as_utf8(name, what)!a} has a name that this locale ({encoding}) cannot express; "
            "set PYTHONUTF8=1"
        )


def class_names(below: Sequence[Path], folder: Path) -> list[str]:
    """Return the names of the class folders in ``folder``.

    Raises:
        UserError: there are fewer than two classes, or names that are not UTF-8, break lines or look alike.
    """
    names = [as_utf8(one.name, f"the class folder (in {str(folder)!r})") for one in below]
    for name in names:
        if "\n" in name:  # a synthetic set lists its classes as lines
            raise UserError(f"imagefolder: class {name!r} of {str(folder)!r} has a line break in its name; rename it")
    if len(names) < LEAST:
        inner = below[0] if below else None
        hint = f"; did you mean imagefolder:{inner}?" if inner and len(folders(inner)) >= LEAST else ""
        raise UserError(
            f"imagefolder: {str(folder)!r} needs one folder per class, at least two; it has {len(names)}{hint}"
        )
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(unicodedata.normalize("NFC", name), name)) != name:
            raise UserError(
                f"imagefolder: {str(folder)!r} has two classes {other!a} and {name!a}, which look the same "
                "(they differ in Unicode normalization); move their images into one folder"
            )
    return names


def check_lost(classes: Mapping[str, ClassFiles], root: Path, allowed: str, allow: bool) -> None:
    """Raise UserError if classes have files that might be images but cannot be read, unless that is allowed."""
    if not allow and (lost := listing({name: one.lost for name, one in classes.items()})):
        raise UserError(
            f"imagefolder: {str(root)!r} has files that cannot be read as images: {lost}; convert them to PNG or JPEG, "
            f"move them elsewhere, or leave them out with {allowed}"
        )


def check_images(classes: Mapping[str, ClassFiles], root: Path) -> None:
    """Raise UserError if a class has no images."""
    for name, one in classes.items():
        if not one.images:
            raise UserError(f"imagefolder: class {name!r} of {str(root)!r} has no images ({READ})")


def check_same_classes(splits: Mapping[str, Mapping[str, object]], root: Path) -> None:
    """Raise UserError if a class is in only one of the two splits, which are given by the names of their folders."""
    train, test = splits.values()
    if odd := sorted(set(train) ^ set(test)):
        alike = next((name for name in odd[1:] if _folded(name) == _folded(odd[0])), None)
        hint = f"; {odd[0]!a} and {alike!a} differ only in {_difference(odd[0], alike)}" if alike else ""
        raise UserError(
            f"imagefolder: class {odd[0]!r} is in only one of {'/ and '.join(splits)}/ of {str(root)!r}{hint}"
        )


def check_splits_outside(classes: Mapping[str, ClassFiles], root: Path) -> None:
    """Raise UserError if a class has the splits in it: reading it recursively would mix training and test images."""
    for name, one in classes.items():
        folder = Path(next(iter(one.stamps)))  # the class folder, which is looked at first
        inside = sorted(
            path.name for path in map(Path, one.stamps) if path.parent == folder and path.name.casefold() in SPLITS
        )
        if {path.casefold() in TRAIN for path in inside} == {True, False}:
            listed = " and ".join(f"{path}/" for path in inside)
            raise UserError(
                f"imagefolder: class {name!r} of {str(root)!r} has {listed} in it; the splits belong outside the "
                f"classes: train/{name}/ and test/{name}/"
            )


def check_can_be_split(classes: Mapping[str, ClassFiles], root: Path) -> None:
    """Raise UserError if a class has too few images for a training and a test image."""
    for name, one in classes.items():
        if len(one.images) < LEAST:
            raise UserError(f"imagefolder: class {name!r} of {str(root)!r} has one image; a split needs at least two")


def notes_on_files(classes: Mapping[str, ClassFiles]) -> Iterator[str]:
    """What is passed over in the classes, and what is read although its name does not say that it is an image."""
    if lost := listing({name: one.lost for name, one in classes.items()}):
        yield f"left out, because they cannot be read as images: {lost}"
    if notes := listing({name: one.notes for name, one in classes.items()}):
        yield f"passed over, because they are text: {notes}"
    if nameless := listing({name: one.nameless for name, one in classes.items()}):
        yield f"read as images because of their content: {nameless}"


def notes_on_strays(parts: Sequence[Path], root: Path, unused: Sequence[str]) -> Iterator[str]:
    """The images beside the class folders, and the folders beside the splits, neither of which is used."""
    for folder in {*parts, root}:
        strays = Group()
        for one in entries(folder):
            if PurePath(one.name).suffix.lower() in IMAGE_SUFFIXES and not one.is_dir():
                strays.add(one.path)
        if strays:
            yield f"not used, because they are in no class folder: {strays} in {str(folder)!r}"
    if unused:
        yield f"not used: the folders {', '.join(f'{name}/' for name in unused)}"


def notes_on_names(classes: Mapping[str, object]) -> Iterator[str]:
    """Classes that are easily confused."""
    seen: dict[str, str] = {}
    for name in classes:
        if (other := seen.setdefault(_folded(name), name)) != name:
            yield f"classes {other!r} and {name!r} differ only in {_difference(other, name)}"


def listing(groups: Mapping[str, Group]) -> str:
    """``'owl' (8 .heic; for example '1.heic'), 'jay' (…), and 2 more classes``; empty if all groups are empty."""
    found = [f"{name!r} ({group})" for name, group in groups.items() if group]
    more = f", and {len(found) - SHOWN} more classes" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


def _difference(one: str, other: str) -> str:
    one, other = unicodedata.normalize("NFC", one), unicodedata.normalize("NFC", other)
    if one == other:
        return "Unicode normalization"
    return "case" if one.casefold() == other.casefold() else "case or spaces"

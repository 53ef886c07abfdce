"""``attributes.csv`` in an image folder: the attribute (background, hospital, camera, …) of each image.

The columns are ``file``, the path of an image in the folder, with ``/``, and ``attribute``, any text. Every image of
the training and the test split has one line.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ddsweep.errors import UserError

NAME = "attributes.csv"
COLUMNS = ["file", "attribute"]
LEAST = 2  # different attributes


def read(root: Path, images: Collection[str], unused: Sequence[str], allow_others: bool) -> dict[str, str] | None:
    """Return the attribute of each image by its path; None if the folder has no ``attributes.csv``.

    Args:
        root: the image folder.
        images: the paths of its images, in both splits.
        unused: names of folders in ``root`` that are not used: lines about files in them are passed over.
        allow_others: pass over lines about any other file, because images may be left out.

    Raises:
        UserError: the file cannot be read, has other columns, a line for no image or several for one, no line for an
            image, or fewer than two attributes.
    """
    path = root / NAME
    if not path.exists():
        return None
    where, known, found = f"imagefolder: {str(path)!r}", frozenset(images), dict[str, str]()
    for number, file, attribute in _lines(path):
        image = str(root / PurePosixPath(file))
        if image in found:
            raise UserError(f"{where} has two lines for {file!r}, the second is line {number}")
        if image in known:
            found[image] = attribute
        elif not allow_others and PurePosixPath(file).parts[:1] not in [(name,) for name in unused]:
            raise UserError(f"{where} line {number}: {file!r} is not an image of the folder")
    if missing := [image for image in images if image not in found]:
        example = str(Path(missing[0]).relative_to(root))
        raise UserError(f"{where} has no line for {len(missing)} of {len(images)} images; for example {example!r}")
    if len(set(found.values())) < LEAST:
        raise UserError(f"{where} needs at least {LEAST} different attributes; it has {len(set(found.values()))}")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """The number, file and attribute of each line after the head."""
    where = f"imagefolder: {str(path)!r}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            if (head := next(reader, [])) != COLUMNS:
                raise UserError(f"{where}: its first line is {','.join(head)!r}, not {','.join(COLUMNS)!r}")
            for cells in reader:
                if len(cells) != len(COLUMNS) or not all(cells):
                    raise UserError(f"{where} line {reader.line_num}: write FILE,ATTRIBUTE")
                yield reader.line_num, cells[0], cells[1]
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{where} is not a CSV file in UTF-8: {error}") from error

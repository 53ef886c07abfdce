"""Opening the user's image files: upright, on white, with 8 bits per channel. What cannot become that is refused.

Every place that opens a user's image calls this module, so that training images, test images, and synthetic sets are
treated alike. Datasets that are published as image files are read as in the code of their papers (``pixels.read``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddsweep.data import pixels
from ddsweep.data.pixels import Unreadable
from ddsweep.registry.class_files import FORMATS, available

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112  # the EXIF tag
SUBFILE = 254  # the TIFF tag that tells what a page is
SMALLER_OR_MASK = 0b101  # a thumbnail of the first page, or its mask
GRAY = ("1", "L", "LA")
FILLED = 128  # the value of pixels for which a JPEG file has no data
LFS = b"version https://git-lfs"


@dataclass
class Odd:
    """Files that are read, but that the user should look at.

    Attributes:
        animated: paths of files with further frames.
        cut: paths of JPEG files that end in plain gray, which libjpeg puts where the end of the data is lost. Nothing
            else tells: JPEG has no checksums, and Pillow refuses only files that lack the end marker.
    """

    animated: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, path: str, image: Image) -> None:
        """List the file if it is one of these; ``image`` is loaded, and in the mode of the file."""
        if image.format != "MPO" and getattr(image, "is_animated", False):
            self.animated.append(path)
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            last = image.crop((0, image.height - 1, *image.size))
            if set(last.tobytes()) == {FILLED}:
                self.cut.append(path)


def read(path: Path | str, size: int, odd: Odd | None = None) -> np.ndarray:
    """Return the image as RGB [3, size, size] uint8, resized without keeping the aspect ratio.

    Uses Pillow's bilinear filter, which antialiases.

    Args:
        path: the file.
        size: height and width in pixels.
        odd: gets the path if the file is one of these.

    Raises:
        Unreadable: as ``opened``.
    """
    from PIL import Image

    image = opened(path, draft=pixels.DRAFT * size, odd=odd)
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).transpose(2, 0, 1)


def opened(path: Path | str, draft: int = 0, odd: Odd | None = None) -> Image:
    """Return the picture in a file, upright (EXIF), in mode L or RGB, transparent pixels on white.

    Of an animation, it is the first frame. Colors are not converted between color profiles.

    Args:
        path: the file.
        draft: a JPEG may be decoded at a smaller size, of at least so many pixels in height and width; 0: it is not.
        odd: gets the path if the file is one of these.

    Raises:
        Unreadable: it cannot be read, has gray pixels of more than 8 bits, or floats, or several pages.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=available(FORMATS)) as image:
            if draft:
                image.draft(None, (draft, draft))
            _check_pages(image)
            if image.mode[0] in "IF":  # converting would clip at 255
                raise ValueError(f"{image.mode} pixels; convert it to 8 bits per channel")
            image.load()
            if odd is not None:
                odd.add(str(path), image)
            return _on_white(_upright(image))
    except UnidentifiedImageError as error:
        raise Unreadable(_unidentified(path)) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise Unreadable(f"more than {limit} million pixels; make it smaller") from error
    except Exception as error:  # a damaged file can raise almost anything inside Pillow
        raise Unreadable(pixels.reason(error)) from error


@contextmanager
def silenced() -> Iterator[None]:
    """Ignore Pillow's warnings about damaged metadata and large images; changes the filters of the whole process."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _check_pages(image: Image) -> None:
    """Raise ValueError if a TIFF file has a second page that is not a thumbnail or a mask of the first."""
    if image.format != "TIFF" or getattr(image, "n_frames", 1) == 1:
        return
    for page in range(1, image.n_frames):  # type: ignore[attr-defined]
        image.seek(page)
        if not image.tag_v2.get(SUBFILE, 0) & SMALLER_OR_MASK:  # type: ignore[attr-defined]
            raise ValueError(f"{image.n_frames} pages; save each as a file of its own")  # type: ignore[attr-defined]
    image.seek(0)


def _upright(image: Image) -> Image:
    """Turn or mirror the picture as its EXIF orientation says; damaged metadata have none."""
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged block can raise almost anything inside Pillow
        return image
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return image.transpose(turns[orientation]) if orientation in turns else image


def _on_white(image: Image) -> Image:
    """Composite before resizing, which would mix the hidden colors of transparent pixels into their neighbors."""
    from PIL import Image as images

    gray = image.mode in GRAY
    if image.has_transparency_data:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = images.alpha_composite(images.new("RGBA", image.size, "white"), rgba)
    return image.convert("L" if gray else "RGB")


def _unidentified(path: Path | str) -> str:
    with Path(path).open("rb") as file:
        start = file.read(len(LFS))
    if not start:
        return "the file is empty"
    if start == LFS:
        return "a pointer of Git LFS, not the image; git lfs pull"
    return "not an image, or of a format that is not read"

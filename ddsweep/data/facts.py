"""What is known of a dataset before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from ddsweep.plugins import Source

FULL_STRATEGY = "color_crop_cutout_flip_scale_rotate"
NO_FLIP_STRATEGY = "color_crop_cutout_scale_rotate"  # mirrored digits are other signs
MIN_SIZE = 4
LEAST_CLASSES = 2


@dataclass(frozen=True)
class Archive:
    """One file of a dataset as its publisher offers it.

    Attributes:
        name: of the file.
        md5: of the official file; empty: none is published, and its content is checked while it is decoded.
        urls: where it can be had, tried in this order; none: behind a login.
        sign: a path inside it, from which its unpacked folder is known; empty: it is always one file.
    """

    name: str
    md5: str = ""
    urls: tuple[str, ...] = ()
    sign: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before it is decoded.

    Attributes:
        name: the name in a recipe: a row of the table, or ``imagefolder:PATH`` with an absolute path.
        channels: 1 or 3.
        size: native height and width in pixels; of an image folder, the default it is resized to.
        classes: class names in label order; numbers where the names come with the archive or not at all.
        smallest_class: training images of the smallest class.
        mean: per-channel mean of the training images in [0, 1]; None: measured when the dataset is decoded.
        std: per-channel standard deviation, likewise.
        strategy: augmentation operations that keep the label.
        origin: where the images come from, for people: ``site: details``.
        images: how many there are for training and for testing; 0: as many as
            the user's folder holds.
        licence: on which terms they may be used, in a few words.
        archives: the files they are decoded from; none: nothing has to be fetched.
        login: how to get the archives by hand when no program may.
        paper: the name in tables and figures; empty: ``name``.
        source: the function that decodes it, see ``decoders.Decoder``.
    """

    name: str
    channels: int
    size: int
    classes: tuple[str, ...]
    smallest_class: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    strategy: str
    origin: str
    images: tuple[int, int] = (0, 0)
    licence: str = ""
    archives: tuple[Archive, ...] = ()
    login: str = ""
    paper: str = ""
    source: Source = ""

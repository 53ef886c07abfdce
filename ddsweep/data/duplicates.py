"""Pictures that occur more than once in a decoded image folder: in training and test, or in several classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from torch import Tensor

from ddsweep import text
from ddsweep.data.raw import Raw

DIGEST = 16  # bytes


def remarks(raw: Raw, train: Sequence[str], test: Sequence[str]) -> Iterator[str]:
    """Yield a line if test images are also training images, and one if training images are in several classes.

    Images are the same if their decoded pixels are. Networks are then tested on what they were trained on, or trained
    on contradictory labels; the images are used all the same.

    Args:
        raw: the decoded images.
        train: the files of the training images.
        test: the files of the test images.
    """
    labels, first = raw.labels.tolist(), dict[bytes, int]()
    in_two_classes = [
        (before, index)
        for index, digest in enumerate(_digests(raw.images))
        if labels[before := first.setdefault(digest, index)] != labels[index]
    ]
    leaked = [(first[digest], index) for index, digest in enumerate(_digests(raw.test_images)) if digest in first]
    if leaked:
        here, there = leaked[0]
        count = f"{len(leaked)} of {text.plural(len(test), 'test image')}"
        yield f"{count} have the pixels of a training image; for example {_pair(test[there], train[here])}"
    if in_two_classes:
        here, there = in_two_classes[0]
        count = text.plural(len(in_two_classes), "training image")
        yield f"{count} with the pixels of one of another class; for example {_pair(train[here], train[there])}"


def _digests(images: Tensor) -> Iterator[bytes]:
    return (hashlib.blake2b(image, digest_size=DIGEST).digest() for image in images.contiguous().numpy())


def _pair(one: str, other: str) -> str:
    return " and ".join(repr(str(PurePath(*PurePath(path).parts[-3:]))) for path in (one, other))

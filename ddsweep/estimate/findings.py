"""What was measured of each kind of work."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Read:
    """A dataset.

    Attributes:
        seconds: to read and check it.
        images: for training.
        test_images: for testing.
        size: bytes of the decoded file.
    """

    seconds: float
    images: float
    test_images: float
    size: float


@dataclass(frozen=True)
class Trained:
    """A PTM in training.

    Attributes:
        step: seconds of a batch.
        warm_up: seconds that the first batches of each training take beyond that: compiling.
        cold: seconds that the very first take beyond that, when there is nothing compiled that others left.
        test: seconds of a test on the whole test set.
        weights: bytes of its weights.
    """

    step: float
    warm_up: float
    cold: float
    test: float
    weights: float


@dataclass(frozen=True)
class Distilled:
    """A distillation.

    Attributes:
        first: seconds of an iteration's first image step.
        step: seconds of each later one, the training of the network before it included (DC, DSA); for DM as ``first``.
        warm_up: seconds that the first steps of each distillation take beyond that.
        cold: seconds that the very first take beyond that.
        look: seconds in which a PTM looks at one real image for the first time (CCLoM).
        features: bytes that it remembers of that image.
        room: bytes that one trial remembers at most.
        start: seconds before the first step.
        picture: seconds to draw and write a picture of the set.
        first_picture: bytes of the picture of the set before the first step, or of real images.
        later_picture: bytes of a picture after some steps, which leave less to compress.
    """

    first: float
    step: float
    warm_up: float
    cold: float
    look: float
    features: float
    room: float
    start: float
    picture: float
    first_picture: float
    later_picture: float


@dataclass(frozen=True)
class Evaluated:
    """An evaluation.

    Attributes:
        step: seconds of one network's pass over the synthetic set.
        warm_up: seconds that the first passes of each evaluation take beyond that.
        cold: seconds that the very first take beyond that.
        build: seconds to build a network.
        test: seconds of a test on the whole test set.
    """

    step: float
    warm_up: float
    cold: float
    build: float
    test: float


Finding = Read | Trained | Distilled | Evaluated
_NAMES = {kind.__name__: kind for kind in (Read, Trained, Distilled, Evaluated)}


def as_json(finding: Finding) -> dict[str, Any]:
    """For another process, and for scripts."""
    return {"finding": type(finding).__name__, **asdict(finding)}


def from_json(values: dict[str, Any]) -> Finding:
    """What ``as_json`` gave."""
    return _NAMES[values.pop("finding")](**values)


def mean(found: Sequence[Finding]) -> Finding:
    """Of the same kind, measured beside each other: the mean of each number."""
    columns = [asdict(one) for one in found]
    return type(found[0])(**{name: statistics.fmean(column[name] for column in columns) for name in columns[0]})

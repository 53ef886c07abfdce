"""``@ddsweep.dataset``: register a dataset of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any, TypeVar

from ddsweep.errors import UserError, closest
from ddsweep.registry.datasets import FULL_STRATEGY, LEAST_CLASSES, MIN_SIZE, TABLE, Archive, DatasetInfo
from ddsweep.registry.rules import OPERATIONS

Decoder = TypeVar("Decoder", bound=Callable[..., Any])
MOST = 1.0  # mean and std are in units of [0, 1]


def dataset(
    name: str,
    *,
    classes: tuple[str, ...],
    size: int,
    smallest_class: int,
    channels: int = 3,
    strategy: str = FULL_STRATEGY,
    origin: str = "",
    files: Iterable[str] = (),
    **facts: Any,
) -> Callable[[Decoder], Decoder]:
    """Register a dataset: a function ``decode(row, paths)`` that returns its images (``decoders.Decoder``).

    It is called once for every size in pixels that is used, with the global random generators of Python, NumPy and
    torch seeded. The result is checked (``own_images``) and kept in the user's cache, and decoded again when the
    plugin's source changes.

    Args:
        name: the name in a recipe.
        classes: class names in label order.
        size: native height and width in pixels.
        smallest_class: training images of the smallest class: a recipe cannot have more per class.
        channels: 1 or 3.
        strategy: augmentation operations that keep the label, joined by ``_``, or ``none``.
        origin: displayed source of the images, ``site: details``.
        files: files that it reads, such as tables, relative to the file with its source: their content is part of the
            key, like the code's.
        facts: further attributes of ``DatasetInfo``: ``mean`` and ``std`` (default: measured), ``archives``,
            ``images``, ``license``, ``login``, ``paper``.

    Raises:
        UserError: the name is already registered, or an attribute is unknown or impossible.
    """

    def register(decode: Decoder) -> Decoder:
        own = {"mean": None, "std": None, **facts}
        own |= {field: _numbers(own[field]) for field in ("mean", "std")}
        names = classes if isinstance(classes, str) else tuple(classes)
        try:
            row = DatasetInfo(
                name, channels, size, names, smallest_class, strategy=strategy, origin=origin or f"plugin: {name}",
                source=decode, **own,
            )  # fmt: skip
        except TypeError as error:
            raise UserError(f"plugins: dataset {name!r}: {str(error).partition('() ')[2]}") from None
        if fault := next(_faults(row), ""):
            raise UserError(f"plugins: dataset {name!r}: {fault}")
        TABLE.add(name, row, decode, files)
        return decode

    return register


def _faults(row: DatasetInfo) -> Iterator[str]:
    """What is impossible in a row, one line each."""
    names = row.classes
    if isinstance(names, str) or not all(isinstance(one, str) and one for one in names):
        yield f"classes: {names!r} is not a tuple of class names"
    elif len(set(names)) < len(names):
        yield f"classes: {next(one for one in names if names.count(one) > 1)!r} is listed twice"
    if row.channels not in (1, 3) or not _count(row.size, MIN_SIZE) or len(names) < LEAST_CLASSES:
        yield (
            f"needs 1 or 3 channels, at least {MIN_SIZE} pixels and {LEAST_CLASSES} classes; it has {row.channels}, "
            f"{row.size} and {len(names)}"
        )
    if not _count(row.smallest_class, 1):
        yield f"smallest_class: {row.smallest_class!r} is not a number of images, at least 1"
    for one in row.strategy.split("_"):
        if row.strategy != "none" and one not in OPERATIONS:
            yield f"strategy: unknown operation {one!r}; {closest(one, OPERATIONS)}, joined by _, or none"
    if (row.mean is None) != (row.std is None):
        yield "mean, std: state both, or none (then they are measured)"
    for field, values, least in (("mean", row.mean, 0.0), ("std", row.std, 1e-6)):
        if values is not None and not _per_channel(values, row.channels, least):
            yield (
                f"{field}: {values!r} is not a tuple of {row.channels} number{'s' * (row.channels > 1)} in units of "
                "[0, 1], where 255 is 1"
            )
    if not (isinstance(row.archives, tuple) and all(isinstance(one, Archive) for one in row.archives)):
        yield "archives: not a tuple of Archive"
    if not (isinstance(row.images, tuple) and len(row.images) == len(("training", "test"))):
        yield f"images: {row.images!r} is not a pair: the number of training and of test images"


def _count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _numbers(values: Any) -> Any:
    """A sequence of numbers as a tuple of Python's own; anything else as it is."""
    numbers = isinstance(values, tuple | list) and all(isinstance(one, Real) for one in values)
    return tuple(map(float, values)) if numbers else values


def _per_channel(values: Any, channels: int, least: float) -> bool:
    fits = isinstance(values, tuple) and len(values) == channels
    return fits and all(isinstance(one, float) and least <= one <= MOST for one in values)

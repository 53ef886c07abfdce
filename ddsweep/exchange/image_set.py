"""A synthetic set on its way in or out: images, labels, and the facts without which nobody can use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from ddsweep.errors import UserError

PIXELS, NORMALIZED = "pixels", "normalised"
FORMULA = {PIXELS: "pixel / 255", NORMALIZED: "(pixel / 255 - mean) / std"}
MARK = "ddsweep-set"  # first key of our JSON files, by which they are told from other people's
VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What is known of a set besides its numbers. Empty, or zero, is unknown.

    Attributes:
        dataset: what it stands for, by its name here.
        classes: names in label order.
        space: ``pixels``: values in [0, 1]; ``normalised``: (pixel / 255 − mean) / std.
        mean: per-channel mean that was subtracted, in units of [0, 1]; of pixels, the one they are to be normalized
            with; empty: the dataset's.
        std: per-channel standard deviation, likewise.
        zca: whether the images were whitened.
        factor: each image holds factor² of them, in cells; 1: it is one image.
        ipc: stored images per class.
        method: that distilled it.
        lr: learning rate for networks on this set, if one was learned with it.
        recipe: fields of the recipe that made it here.
        origin: key, accuracies, versions, device, data: where it comes from.
    """

    dataset: str = ""
    classes: tuple[str, ...] = ()
    space: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    zca: bool = False
    factor: int = 0
    ipc: int = 0
    method: str = ""
    lr: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def record(self, file: str, further: Mapping[str, Any]) -> dict[str, Any]:
        """For a JSON file beside ``file``; ``parse`` is the inverse."""
        said = {"values": FORMULA.get(self.space, "unknown"), "order": "class-major", **further}
        return {MARK: VERSION, "file": file, **asdict(self), **said}


def parse(record: Any, path: Path) -> Facts:
    """The facts that ``Facts.record`` wrote.

    Raises:
        UserError: something in it has another type than it should.
    """
    given = {one.name: record[one.name] for one in fields(Facts) if one.name in record}
    for name, kind in _KINDS.items():
        if name in given and not isinstance(given[name], kind):
            raise UserError(f"{path}: {name} is {given[name]!r}, which ddsweep export does not write")
    if given.get("space", "") not in ("", PIXELS, NORMALIZED):
        raise UserError(f"{path}: space: {given['space']!r} (allowed: {PIXELS}, {NORMALIZED})")
    for name in ("mean", "std"):
        if not all(isinstance(value, int | float) for value in given.get(name, ())):
            raise UserError(f"{path}: {name} has a value that is not a number")
    lists: dict[str, Any] = {name: tuple(given[name]) for name in ("classes", "mean", "std") if name in given}
    return Facts(**given | lists)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "dataset": str, "classes": (list, tuple), "space": str, "mean": (list, tuple), "std": (list, tuple), "zca": bool,
    "factor": int, "ipc": int, "method": str, "lr": (int, float, type(None)), "recipe": dict, "origin": dict,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and labels as a file has them, not yet checked (``prepare`` does), with what is known of them.

    Attributes:
        images: [n, c, h, w], in ``facts.space``.
        labels: [n] numbers of classes, or [n, classes] weights of them; None: the file has none.
        facts: about them.
        format: the name of the format it was read from.
        remarks: what the reader understood that the user should know.
    """

    images: Tensor
    labels: Tensor | None
    facts: Facts
    format: str = ""
    remarks: tuple[str, ...] = ()

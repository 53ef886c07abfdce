"""A synthetic set that is imported or exported: images, labels, and the facts that are needed to use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ddsweep.distill.sets.generator import Sampler
from ddsweep.errors import UserError

PIXELS, NORMALIZED = "pixels", "normalised"
FORMULA = {PIXELS: "pixel / 255", NORMALIZED: "(pixel / 255 - mean) / std"}
MARK = "ddsweep-set"  # the first key of JSON files by ddsweep, which distinguishes them from others
VERSION = 1
GRIDS = "multi-formation"  # ``sets.multi_formation.MultiFormation.kind``, in the header of a set


@dataclass(frozen=True)
class Facts:
    """The known properties of a set. Empty or zero values are unknown.

    Attributes:
        dataset: ddsweep's name of the dataset it was distilled from.
        classes: class names in label order.
        space: ``pixels``: values in [0, 1]; ``normalised``: (pixel / 255 − mean) / std.
        mean: per-channel mean that was subtracted, in units of [0, 1]; for pixels, the mean to normalize them with;
            empty: the mean of the dataset.
        std: per-channel standard deviation, likewise.
        zca: whether the images are whitened (``data.zca``); mean and std are then those of their pixels.
        factor: each stored image consists of factor² images in a grid; 1: it is one image.
        ipc: stored images per class.
        method: the method that distilled it.
        lr: learning rate for networks on this set, if one was learned with it.
        recipe: fields of its recipe, if ddsweep distilled it.
        origin: its provenance: key, accuracies, versions, device, data.
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
        """Return the content of the JSON file beside ``file``; ``parse`` is the inverse."""
        said = {"values": FORMULA.get(self.space, "unknown"), "order": "class-major", **further}
        return {MARK: VERSION, "file": file, **asdict(self), **said}


def parse(record: Any, path: Path) -> Facts:
    """Return the facts that ``Facts.record`` wrote.

    Raises:
        UserError: a value has the wrong type.
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


class Grids(NamedTuple):
    """The learned images of IDC and DREAM, from which those of a set were decoded.

    Attributes:
        images: [n, c, h, w], in class-major order; pixels, of which some may lie outside of [0, 1].
        factor: each consists of factor² images in a grid.
    """

    images: Tensor
    factor: int


def grids(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> Grids | None:
    """Return the grids in ``synthetic.safetensors``; None: its images were learned as they are."""
    if header.get("kind") != GRIDS:
        return None
    return Grids(tensors["set.images"], int(header["factor"]))


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and labels as a file has them, not yet checked (see ``prepare``), with their facts.

    Attributes:
        images: [n, c, h, w], in ``facts.space``, or, if it is empty, in a space that has to be guessed.
        labels: [n] class indices, or [n, classes] class weights; None: the file has none.
        facts: the known properties.
        format: the name of the format it was read from.
        remarks: assumptions of the reader that the user should know.
        classes_are_numbers: ``facts.classes`` are the names of folders or the texts of labels, and all of them are
            numbers: either the names of the classes or their labels.
        usual: the space that files of this format usually have (a word of ``--space``), for a guess that is close.
        pixels: of a whitened set, the images in units of [0, 1], for eyes; None: it is not, or they are unknown.
        grids: what the images were decoded from; None: they were learned as they are, or it is unknown.
        sample: makes new images, in the space of ``images``, if the file has a generator; ``images`` are then examples.
    """

    images: Tensor
    labels: Tensor | None
    facts: Facts
    format: str = ""
    remarks: tuple[str, ...] = ()
    classes_are_numbers: bool = False
    usual: str = ""
    grids: Grids | None = None
    sample: Sampler | None = None
    pixels: Tensor | None = None


def class_names(found: Any) -> tuple[str, ...]:
    """Return the class names in a list of a file; none if it is not a list of text."""
    is_names = isinstance(found, list | tuple) and all(isinstance(name, str) for name in found)
    return tuple(found) if is_names else ()


def in_order(names: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """Return different class names in order, and whether all of them are numbers, which are sorted as numbers."""
    found = set(names)
    are_numbers = all(map(str.isdecimal, found))
    return tuple(sorted(found, key=lambda name: (int(name), name)) if are_numbers else sorted(found)), are_numbers


def target_dataset(name: str, dataset: str | None, facts: Facts) -> str:
    """Return the dataset of a set: the one that was asked for, or the one that the set was distilled from.

    Args:
        name: of the set, for the message.
        dataset: as asked for; None: as ``facts`` say.
        facts: about the set.

    Raises:
        UserError: an unknown dataset, or neither says which.
    """
    from ddsweep import data

    if dataset or facts.dataset:
        return data.info(dataset or facts.dataset).name
    raise UserError(
        f"dataset: {name} does not say which dataset it was distilled from; choose one of {', '.join(data.names())}"
    )

"""The synthetic set: the images that are learned, and their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Generator, Tensor

from ddsweep import checked_files
from ddsweep.errors import Damaged

Sample = Callable[[Int64[Tensor, " n"], Generator], Float[Tensor, "n c h w"]]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A synthetic set in class-major order: each label appears ``ipc`` times in a row.

    It is what networks see. What is learned can be something else, from which it is decoded (``distill.sets``).

    Attributes:
        images: [classes·ipc, c, h, w] in the normalized space of its dataset; never clamped.
        labels: [classes·ipc] hard labels.
        ipc: images per class; more than the recipe's ``ipc`` if several images are decoded from one.
        lr: the learning rate for networks on this set, if it was learned with it (TM).
        sample: makes a new image of each label, with a CPU generator for its noise, if a generator was learned (DiM);
            the images are then examples.
    """

    images: Float[Tensor, "syn c h w"]
    labels: Int64[Tensor, " syn"]
    ipc: int
    lr: float | None = None
    sample: Sample | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.labels) // self.ipc

    def detached(self) -> Synthetic:
        """Return the same set without the autograd graph."""
        return Synthetic(self.images.detach(), self.labels, self.ipc, self.lr, self.sample)


def read(path: Path) -> tuple[Synthetic, dict[str, str]]:
    """Read ``runs/KEY/synthetic.safetensors``: the set and its metadata (``trial.save``).

    Raises:
        Damaged: the file is not one, or does not match its checksum.
        UserError: it cannot be read.
    """
    tensors, metadata = checked_files.read_tensors(path)
    try:
        rate = float(metadata["lr"]) if "lr" in metadata else None
        return Synthetic(tensors["images"], tensors["labels"], int(metadata["ipc"]), rate), metadata
    except (KeyError, ValueError) as error:
        raise Damaged(f"{path} is damaged: {error} is missing or invalid") from None


def read_normalized(path: Path) -> tuple[Synthetic, dict[str, str]]:
    """Read a set as ``read`` does, with the images of a whitened set normalized like those of any other, for pictures.

    Raises:
        Damaged, UserError: as ``read``.
    """
    synthetic, metadata = read(path)
    pixels = checked_files.read_tensors(path)[0].get("pixels")
    if pixels is None:
        return synthetic, metadata
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in statistics(metadata))
    return replace(synthetic, images=(pixels - mean) / std), metadata


def statistics(metadata: Mapping[str, str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and std with which a stored set is normalized, unless it is whitened, from its metadata."""
    mean, std = (tuple(float(part) for part in metadata[name].strip("[]").split(",")) for name in ("mean", "std"))
    return mean, std

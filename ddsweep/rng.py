"""Named random generators: one seed, and one generator for each kind of draw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream called ``names``, independent of the other streams of ``seed``."""
    text = ":".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for the stream called ``names``."""
    return torch.Generator().manual_seed(derive(seed, *names))


def copy_to(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy values that were drawn on the CPU to the device, without waiting for the kernels that are queued there.

    The host's memory is read before this returns.
    """
    return values.to(device, non_blocking=True)


class Streams:
    """The generators of one trial. Drawing from one never moves another.

    All of them are CPU generators, whatever the device: a recipe draws the same numbers on a laptop and on a GPU, and
    a checkpoint can be resumed on either. What they produce (indices, augmentation parameters, initial weights) is
    small and is copied.

    Attributes:
        images: initial synthetic images.
        batch: the real images of each step.
        augment: augmentation while distilling.
        network: the random networks of the matching loss.
        ptm: the pre-trained model of each step.
        evaluation: networks, shuffling and augmentation of the evaluation.
    """

    names = ("images", "batch", "augment", "network", "ptm", "evaluation")

    def __init__(self, seed: int) -> None:
        self.images = generator(seed, "images")
        self.batch = generator(seed, "batch")
        self.augment = generator(seed, "augment")
        self.network = generator(seed, "network")
        self.ptm = generator(seed, "ptm")
        self.evaluation = generator(seed, "evaluation")

    def states(self) -> dict[str, torch.Tensor]:
        """Return the state of every generator, by name."""
        return {name: getattr(self, name).get_state() for name in self.names}

    def set_states(self, states: Mapping[str, torch.Tensor]) -> None:
        """Restore ``states()``."""
        for name in self.names:
            getattr(self, name).set_state(states[name])

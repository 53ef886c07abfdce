"""Randomness has names: one seed, one generator for each thing that is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def derive(seed: int, *names: str | int) -> int:
    """A seed for the stream called ``names``, far from every other stream of the same ``seed`` (63 bits)."""
    text = ":".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for the stream called ``names``."""
    return torch.Generator().manual_seed(derive(seed, *names))


def copy_to(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """What was drawn on the CPU, on the device, without waiting for the kernels that are queued there.

    The host's memory is read before this returns.
    """
    return values.to(device, non_blocking=True)


class Streams:
    """The generators of one trial. Drawing from one never moves another.

    All of them live on the CPU, on every device: a recipe draws the same numbers on a laptop and on a GPU, and a
    checkpoint can be taken up on either. What they produce (indices, augmentation parameters, initial weights) is
    small and is copied.

    Attributes:
        images: initial synthetic images.
        batch: which real images a step sees.
        augment: augmentation while distilling.
        network: the random networks of the matching loss.
        ptm: which pre-trained model a step uses.
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
        """Where every generator stands, by name."""
        return {name: getattr(self, name).get_state() for name in self.names}

    def set_states(self, states: Mapping[str, torch.Tensor]) -> None:
        """Go on from where ``states`` was taken."""
        for name in self.names:
            getattr(self, name).set_state(states[name])

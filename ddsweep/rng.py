"""Named random generators: one seed, and one generator for each kind of draw."""

from __future__ import annotations

import hashlib
import random  # noqa: TID251  (seeded below, not drawn from)
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream called ``names``, independent of the other streams of ``seed``."""
    text = ":".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for the stream called ``names``."""
    return torch.Generator().manual_seed(derive(seed, *names))


@contextmanager
def seeded_globals(seed: int, *names: str | int) -> Iterator[None]:
    """Seed the global generators for a call into code of the user's own, and restore their states afterwards.

    Python's, NumPy's and torch's generators (also of every CUDA device that is in use) start from the stream called
    ``names`` of ``seed``, so that code which draws from them, as dropout does, draws the same whenever the recipe is
    run. ``names`` must identify the call within the trial (a step, an epoch) and not count calls: a resumed trial then
    draws the same too.
    """
    start = derive(seed, "global", *names)
    python, states, devices = random.getstate(), torch.random.get_rng_state(), _cuda_states()
    numbers = np.random.get_state()  # noqa: TID251, NPY002
    random.seed(start)
    torch.random.default_generator.manual_seed(start)
    if devices:
        torch.cuda.manual_seed_all(start)
    np.random.seed(start % 2**32)  # noqa: TID251, NPY002
    try:
        yield
    finally:
        random.setstate(python)
        torch.random.set_rng_state(states)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        np.random.set_state(numbers)  # noqa: TID251, NPY002


def _cuda_states() -> list[torch.Tensor]:
    """The states of the generators of all CUDA devices; none if CUDA is not in use, which this does not change."""
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []


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

    def digest(self, *names: str) -> bytes:
        """Return a digest of the states of some generators, which identifies all that they will draw."""
        digest = hashlib.sha256()
        for name in names:
            digest.update(f"{name}\n".encode() + getattr(self, name).get_state().numpy().tobytes())
        return digest.digest()

    def copy(self) -> Streams:
        """Return generators in the same states; drawing from them does not move these."""
        other = Streams(0)
        other.set_states(self.states())
        return other

    def states(self) -> dict[str, torch.Tensor]:
        """Return the state of every generator, by name."""
        return {name: getattr(self, name).get_state() for name in self.names}

    def set_states(self, states: Mapping[str, torch.Tensor]) -> None:
        """Restore ``states()``."""
        for name in self.names:
            getattr(self, name).set_state(states[name])

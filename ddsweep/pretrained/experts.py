"""The expert trajectories of trajectory matching: the weights of networks before and after every epoch on real images.

Experts are trained by ``training`` and stored in the pool of PTMs, one file per epoch, so that an interrupted training
resumes, and a longer one continues a shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddsweep import checked_files, flops, nn
from ddsweep.errors import UserError
from ddsweep.pretrained import spec, training
from ddsweep.pretrained.spec import Spec

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.preparation import Preparation
    from ddsweep.recipe import Recipe


class Experts:
    """Reads the weights of trained experts; nothing is kept in memory.

    Args:
        specs: the experts, whose weights ``training.ensure`` has put into the pool.
    """

    def __init__(self, specs: Sequence[Spec]) -> None:
        self._specs = list(specs)

    def __len__(self) -> int:
        return len(self._specs)

    def weights(self, index: int, epoch: int) -> dict[str, Tensor]:
        """Return the weights of one expert after ``epoch`` epochs (0: its initial weights), on the CPU.

        Raises:
            UserError: the pool no longer has them, or they are damaged.
        """
        one = self._specs[index]
        if not one.weights(epoch).is_file():
            raise UserError(
                f"n_experts: {one.title} has no weights of epoch {epoch} in {one.folder}; start the run again"
            )
        return checked_files.read_tensors(one.weights(epoch))[0]


def prepare(recipe: Recipe, dataset: Dataset, context: Preparation) -> Experts:
    """Train the experts that a recipe needs and the pool lacks, up to the last epoch that it reads; return all."""
    specs = spec.experts(recipe)
    train(dict.fromkeys(specs, spec.trajectory(recipe)), dataset, context)
    return Experts(specs)


def train(needs: Mapping[Spec, range], dataset: Dataset, context: Preparation) -> None:
    """Train experts that differ in their seed only, unless the pool has the weights of all epochs.

    The experts of all cells with the same images, network and augmentation are the same. Several agents that need them
    at the same time train different ones.

    Args:
        needs: for each expert, its epochs from 0.
        dataset: the images, in the view of the experts (``zca``).
        context: progress, checkpoints, and how to compute.

    Raises:
        Interrupted: asked to stop; the state is saved.
    """
    last = max(epochs[-1] for epochs in needs.values())
    numerics = context.choice.of(flops.training(next(iter(needs)), last, dataset))
    for done, one in enumerate(training.free_first(needs)):

        def progress(epoch: int, of: int, before: int = done) -> None:
            context.progress("experts", before * last + epoch, len(needs) * last)

        progress(0, last)
        training.ensure(one, needs[one], dataset, progress, context.checkpoints, numerics)
    context.progress("experts", len(needs) * last, len(needs) * last)


def missing_bytes(needs: Mapping[Spec, range], dataset: Dataset) -> int:
    """Return the disk space of the weights that the pool lacks."""
    one = next(iter(needs))
    shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size, "width": one.width}
    net = nn.build(one.arch, **shape, generator=torch.Generator())
    weights = sum(value.nbytes for value in net.state_dict().values())
    return weights * sum(len(set(epochs) - expert.saved()) for expert, epochs in needs.items())

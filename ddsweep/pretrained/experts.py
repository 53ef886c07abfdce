"""The expert trajectories of trajectory matching: the weights of networks before and after every epoch on real images.

Experts are trained by ``training`` and stored in the pool of PTMs, one file per epoch, so that an interrupted training
resumes, and a longer one continues a shorter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ddsweep import checked_files, flops
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
    """Train the experts of a recipe that the pool lacks, up to the last epoch that the recipe reads, and return them.

    The experts of all cells with the same images, network and augmentation are the same. Several agents that need them
    at the same time train different ones.
    """
    specs, epochs = spec.experts(recipe), spec.trajectory(recipe)
    numerics = context.choice.of(flops.training(specs[0], epochs[-1], dataset))
    for done, one in enumerate(training.free_first(specs)):

        def progress(epoch: int, last: int, before: int = done) -> None:
            context.progress("experts", before * epochs[-1] + epoch, len(specs) * epochs[-1])

        progress(0, 0)
        training.ensure(one, epochs, dataset, progress, context.checkpoints, numerics)
    context.progress("experts", len(specs) * epochs[-1], len(specs) * epochs[-1])
    return Experts(specs)

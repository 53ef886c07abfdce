"""The work of a trial in floating-point operations, which decides whether compilation pays off."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ddsweep import nn
from ddsweep.distill.methods.condensation import MOST
from ddsweep.registry.methods import METHODS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ddsweep.data.dataset import Dataset
    from ddsweep.evaluate import Rule
    from ddsweep.pretrained.spec import Spec
    from ddsweep.recipe import Recipe

BACKWARD = 2  # a backward pass takes about twice the operations of its forward pass


def counted(net: torch.nn.Module, given: Tensor) -> float:
    """Return the operations of a forward pass by torch's own formulas (a multiply-add is two)."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    total = 0.0

    class Counting(TorchDispatchMode):
        """As ``torch.utils.flop_counter.FlopCounterMode``, which imports the compiler (2 s of CPU time)."""

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            kwargs = kwargs or {}
            with self:
                parts = func.decompose(*args, **kwargs)  # counts the operations that it consists of
            if parts is not NotImplemented:
                return parts
            result, formula = func(*args, **kwargs), flop_registry.get(func.overloadpacket)
            total += formula(*args, **kwargs, out_val=result) if formula else 0
            return result

    with Counting(), torch.no_grad():
        net(given)
    return float(total)


@lru_cache(maxsize=64)
def forward(arch: str, channels: int, classes: int, size: int, width: int) -> float:
    """Return the operations of one image through a network, counted by torch (a multiply-add is two)."""
    import torch

    net = nn.build(arch, channels=channels, classes=classes, size=size, width=width, generator=torch.Generator())
    net.eval()  # a batch norm in train mode can refuse a single image
    return counted(net, torch.zeros(1, channels, size, size))


@lru_cache(maxsize=64)
def adversarial(channels: int, classes: int, size: int, width: int) -> tuple[float, float]:
    """Return the operations of one image through the generator of DiM, and of one image in a step of both networks.

    The step of the generator passes the fake forward and backward through both networks, without the gradient of the
    discriminator's weights; that of the discriminator trains on a fake and a real image, and differentiates the
    gradient at a point between them again.
    """
    import torch

    from ddsweep.nn import gan

    generator, discriminator = (net.eval() for net in gan.build(classes, channels, size, width, torch.Generator()))
    ours = counted(generator, torch.zeros(1, gan.FREE + classes))
    theirs = counted(discriminator, torch.zeros(1, channels, size, size))
    first, second = (1 + BACKWARD) * ours + 2 * theirs, ours + (2 * (1 + BACKWARD) + 2 + 2 * BACKWARD) * theirs
    return ours, first + second


def distillation(recipe: Recipe, dataset: Dataset) -> float:
    """Return the operations of the matching loss over all steps, without the guidance."""
    if recipe.gan_epochs:
        return _logit_matching(recipe, dataset)
    classes, (real, ours) = len(dataset.classes), METHODS[recipe.method].passes
    compared = min(recipe.decoded_ipc, MOST) if recipe.factor else recipe.ipc
    images = recipe.outer_loops * classes * (real * recipe.batch_real + ours * compared)
    between = recipe.inner_epochs * classes * recipe.ipc + recipe.net_images
    images += (recipe.outer_loops - 1) * (1 + BACKWARD) * between
    if recipe.select_every:
        images += -(-recipe.outer_loops // recipe.select_every) * len(dataset.labels)
    if recipe.dream_plus:
        images += (1 + BACKWARD) * len(dataset.labels) + recipe.outer_loops * classes * (recipe.batch_real + compared)
    if recipe.syn_steps:
        images = recipe.syn_steps * ours * (recipe.batch_syn or classes * recipe.ipc)
    images *= recipe.iterations
    return images * forward(recipe.arch, dataset.channels, classes, dataset.size, recipe.width)


def _logit_matching(recipe: Recipe, dataset: Dataset) -> float:
    """Return the operations of stage 2 of DiM: training of the drawn networks, matching, and steps of the GAN."""
    archs, shape = recipe.match_archs.split("+"), (dataset.channels, len(dataset.classes), dataset.size)
    one = sum(forward(arch, *shape, recipe.width) for arch in archs) / len(archs)
    images = (1 + BACKWARD) * recipe.net_images + (1 + 1 + BACKWARD) * recipe.batch_real
    step = images * one + recipe.batch_real * adversarial(*shape, recipe.gan_width or recipe.width)[1]
    return recipe.iterations * recipe.outer_loops * step


def evaluation(recipe: Recipe, arch: str, rule: Rule, dataset: Dataset) -> float:
    """Return the operations of training all networks of one architecture, without their tests."""
    classes = len(dataset.classes)
    images = recipe.eval_nets * rule.total_epochs * (1 + BACKWARD) * classes * recipe.decoded_ipc
    return images * forward(arch, dataset.channels, classes, dataset.size, recipe.width)


def training(spec: Spec, epochs: int, dataset: Dataset) -> float:
    """Return the operations of ``epochs`` epochs of a PTM or a GAN."""
    if spec.is_gan:
        shape = (dataset.channels, len(dataset.classes), dataset.size)
        return epochs * len(dataset.labels) * adversarial(*shape, spec.width)[1]
    one = forward(spec.arch, dataset.channels, len(dataset.classes), dataset.size, spec.width)
    return epochs * (1 + BACKWARD) * len(dataset.labels) * one

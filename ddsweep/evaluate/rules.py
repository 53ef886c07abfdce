"""Evaluation rules: how networks are trained on a synthetic set, and which of their tests count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import augment
from ddsweep.errors import UserError, closest

RULES = ("paper", "best", "evaluate_synset", "plain300", "dc")


@dataclass(frozen=True)
class Rule:
    """How a network is trained on a synthetic set, and which accuracy counts.

    With an augmentation strategy, the defaults are the paper's (Sec. 3.2). Always SGD with momentum 0.9 and weight
    decay 5e-4 on the cross-entropy; the learning rate decays once, to a tenth.

    Attributes:
        epochs: E; 1000 in the paper.
        batch: images per step.
        lr: initial learning rate.
        strategy: augmentation operations joined by ``_``, or ``none``.
        operations: the code whose operations the strategy names: ``dsa`` draws one operation per batch and its
            parameters per image; ``dc`` draws one operation per image.
        restart: False: E epochs, the first half (rounded up) at the initial rate, which is StepLR(500) if E is 1000.
            True: as in the released code of DC, DSA and DM, epochs 0 … E, of which 0 … E/2 + 1 at the initial rate;
            the optimizer is created again when the rate decays, and loses its momentum.
        checks: 1: test after the last epoch. More: test that many times, evenly spaced, and count the *best*, which is
            selected on the test set, optimistic, and only meant for comparisons with numbers published that way.
    """

    epochs: int = 1000
    batch: int = 256
    lr: float = 0.01
    strategy: str = "none"
    operations: Literal["dsa", "dc"] = "dsa"
    restart: bool = False
    checks: int = 1

    @property
    def total_epochs(self) -> int:
        """Epochs that are run: E, or E + 1 with ``restart``."""
        return self.epochs + 1 if self.restart else self.epochs

    @property
    def decay_epoch(self) -> int:
        """The first epoch, counted from 0, at a tenth of the learning rate."""
        return self.epochs // 2 + 2 if self.restart else (self.epochs + 1) // 2

    def is_tested(self, done: int) -> bool:
        """Return whether the network is tested after ``done`` epochs."""
        return done == self.total_epochs or (self.checks > 1 and done % max(1, self.total_epochs // self.checks) == 0)

    def augment(self, images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
        """Return the augmented batch."""
        operation = augment.dc if self.operations == "dc" else augment.independent
        return operation(images, self.strategy, generator)


def named(name: str, strategy: str = "none", dataset: str = "", arch: str = "") -> Rule:
    """Return one of the rules of published numbers.

    * ``paper``: 1000 epochs with ``strategy``, a tenth of the learning rate in the second half, accuracy at the end.
    * ``best``: the same, but the best of the tests after every 50 epochs, as the paper's released evaluation code
      reports (in that code, a bug keeps the learning rate from decaying; this is not copied).
    * ``evaluate_synset``: the released code of DC, DSA and DM: 1000 epochs with ``strategy``, 300 if it is ``none``.
    * ``plain300``: ``evaluate_synset`` without augmentation.
    * ``dc``: ``plain300`` with DC's own augmentation, which it used for handwritten digits (``crop_scale_rotate``) and
      for a ConvNet with batch norm (``crop_noise``); in every other case ``plain300``.

    Args:
        name: the rule; use ``dataclasses.replace`` to change its numbers.
        strategy: DSA operations for the first three.
        dataset: name of the dataset; used by ``dc`` only.
        arch: the network to evaluate; used by ``dc`` only.

    Raises:
        UserError: unknown rule.
    """
    if name == "paper":
        return Rule(strategy=strategy)
    if name == "best":
        return Rule(strategy=strategy, checks=20)
    if name == "evaluate_synset":
        return Rule(epochs=300 if strategy == "none" else 1000, strategy=strategy, restart=True)
    if name == "plain300":
        return Rule(epochs=300, restart=True)
    if name != "dc":
        raise UserError(f"rule: unknown evaluation rule {name!r}; {closest(name, RULES)}")
    if arch.startswith("convnet") and arch.endswith("-bn"):
        return Rule(strategy="crop_noise", operations="dc", restart=True)
    if dataset in ("digits", "mnist"):
        return Rule(strategy="crop_scale_rotate", operations="dc", restart=True)
    return named("plain300")

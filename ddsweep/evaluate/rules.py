"""Evaluation rules: how networks are trained on a synthetic set, and which of their tests count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import augment
from ddsweep.augment import combined, cutmix
from ddsweep.errors import PluginError, UserError
from ddsweep.plugins import guards, resolve
from ddsweep.plugins.blame import blamed
from ddsweep.registry.rules import RULES as RULES

DECAY = {"once": 0.1, "twice": 0.2, "never": 1.0}
"""The factor of the learning rate at each decay."""


@dataclass(frozen=True)
class Rule:
    """How a network is trained on a synthetic set, and which accuracy counts.

    With an augmentation strategy, the defaults are the paper's (Sec. 3.2). Always SGD with momentum 0.9 and weight
    decay 5e-4 on the cross-entropy.

    Attributes:
        epochs: E; 1000 in the paper.
        batch: images per step.
        lr: initial learning rate; 0: the learned rate of the set (``at_rate``).
        strategy: augmentation operations joined by ``_``, or ``none``.
        operations: the code whose operations the strategy names: ``dsa`` draws one operation per batch and its
            parameters per image; ``dc`` draws one operation per image; ``idc`` applies flip, color and cutout always,
            and one of the others per batch, with parameters per image.
        cutmix: mix half of the batches after the augmentation, images and labels (``augment.cutmix``).
        decays: ``once``: to a tenth after half of the epochs (rounded up), which is StepLR(500) if E is 1000;
            ``twice``: to a fifth after int(2/3·E) epochs, and again after int(5/6·E); ``never``.
        restart: True: as in the released code of DC, DSA and DM, epochs 0 … E, of which 0 … E/2 + 1 at the initial
            rate; the optimizer is created again when the rate decays, and loses its momentum. Only with ``once``.
        fresh: sample a set with a generator anew for each batch; the images of other sets are shuffled as always.
        checks: 1: test after the last epoch. More: test that many times, evenly spaced, and count the *best*, which is
            selected on the test set, optimistic, and only meant for comparisons with numbers published that way.
        own: the name of a plugin's rule whose own function trains the network, with these epochs, batch, lr and
            strategy; empty: this package does.
    """

    epochs: int = 1000
    batch: int = 256
    lr: float = 0.01
    strategy: str = "none"
    operations: Literal["dsa", "dc", "idc"] = "dsa"
    cutmix: bool = False
    decays: Literal["once", "twice", "never"] = "once"
    restart: bool = False
    fresh: bool = False
    checks: int = 1
    own: str = ""

    @property
    def total_epochs(self) -> int:
        """Epochs that are run: E, or E + 1 with ``restart``."""
        return self.epochs + 1 if self.restart else self.epochs

    @property
    def decay_epochs(self) -> tuple[int, ...]:
        """The first epochs, counted from 0, at a lower learning rate than the one before."""
        if self.decays == "never":
            return ()
        if self.decays == "twice":
            return int(2 / 3 * self.epochs), int(5 / 6 * self.epochs)
        return (self.epochs // 2 + 2 if self.restart else (self.epochs + 1) // 2,)

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return float(self.lr * DECAY[self.decays] ** sum(epoch >= first for first in self.decay_epochs))

    def is_tested(self, done: int) -> bool:
        """Return whether the network is tested after ``done`` epochs."""
        return done == self.total_epochs or (self.checks > 1 and done % max(1, self.total_epochs // self.checks) == 0)

    def augment(self, images: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
        """Return the augmented batch."""
        operation = {"dsa": augment.independent, "dc": augment.dc, "idc": combined.independent}[self.operations]
        return operation(images, self.strategy, generator)

    def mix(
        self, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"], classes: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"] | Float[Tensor, "n classes"]]:
        """Return an augmented batch as networks are trained on it: with ``cutmix``, the labels become class weights."""
        if not self.cutmix:
            return images, labels
        return cutmix.apply(images, labels, classes, cutmix.draw(generator, len(images), images.shape[-1]))


def at_rate(rule: Rule, learned: float | None) -> Rule:
    """Return the rule with a learning rate: its own, or else the one that was learned with the set.

    Raises:
        UserError: the set has none, or it is not positive.
    """
    if rule.lr:
        return rule
    if learned is None:
        raise UserError("eval_lr: no learning rate was learned with this set; set eval_lr")
    if not learned > 0:
        raise UserError(f"eval_lr: the learned rate {learned:.4g} of this set is not positive; set eval_lr")
    return replace(rule, lr=learned)


def named(name: str, strategy: str = "none", dataset: str = "", arch: str = "") -> Rule:
    """Return one of the rules of published numbers.

    * ``paper``: 1000 epochs with ``strategy``, a tenth of the learning rate in the second half, accuracy at the end.
    * ``best``: the same, but the best of the tests after every 50 epochs, as the paper's released evaluation code
      reports (in that code, a bug keeps the learning rate from decaying; this is not copied).
    * ``evaluate_synset``: the released code of DC, DSA and DM: 1000 epochs with ``strategy``, 300 if it is ``none``.
    * ``plain300``: ``evaluate_synset`` without augmentation.
    * ``dc``: ``plain300`` with DC's own augmentation, which it used for handwritten digits (``crop_scale_rotate``) and
      for a ConvNet with batch norm (``crop_noise``); in every other case ``plain300``.
    * ``idc``, ``dream``: 1000 epochs with batches of 64, IDC's augmentation (``strategy`` without cutout) and CutMix;
      a fifth of the learning rate after 666 and after 833 epochs; the best of the tests after 250, 500, 750 and 1000.
    * ``tm``: ``evaluate_synset`` with ``strategy`` at the learned rate of the set, 1001 epochs.
    * ``dim``: 1000 epochs with batches of 64, color and crop of ``strategy`` in IDC's way, a constant learning rate;
      the best of the tests after every 200 epochs. If a generator was learned, each batch is a new sample of it, with
      uniformly random labels; an epoch of n images has n // 64 + 1 batches.

    A plugin's rule (``registry.rules.evaluation``) has the numbers of its row.

    Args:
        name: the rule; use ``dataclasses.replace`` to change its numbers.
        strategy: DSA operations; ``plain300`` and ``dc`` do not use them.
        dataset: name of the dataset; used by ``dc`` and by plugins.
        arch: the network to evaluate; used by ``dc`` and by plugins.

    Raises:
        UserError: unknown rule; a plugin's function fails, or does not return a ``Rule``.
    """
    info = RULES.take(name, "rule")
    if name == "dc":
        return _of_dc(dataset, arch)
    rule = Rule(info.epochs, info.batch, info.lr, info.strategy(strategy))
    if info.trains:
        return replace(rule, decays="never", own=name)
    if name not in _FORMS:
        form = _returned(name, {"dataset": dataset, "arch": arch})
        return replace(form, epochs=rule.epochs, batch=rule.batch, lr=rule.lr, strategy=rule.strategy)
    if name == "evaluate_synset" and strategy == "none":
        rule = replace(rule, epochs=RULES["plain300"].epochs)
    return replace(rule, **_FORMS[name])


def _returned(name: str, available: dict[str, str]) -> Rule:
    """The ``Rule`` that a plugin's function returns."""
    info, what, code = RULES[name], f"evaluation {name!r}", RULES.code(name)
    with blamed(what, code.path if code else None), guards.calling(what):
        rule = resolve(info.source)(**{one: available[one] for one in info.takes})
    if not isinstance(rule, Rule):
        raise PluginError(
            f"{what}: returns {type(rule).__name__}, not a ddsweep.evaluate.Rule; a function that trains takes net"
        )
    return rule


_IDC = {"operations": "idc", "cutmix": True, "decays": "twice", "checks": 4}
_FORMS: dict[str, dict[str, Any]] = {
    "paper": {},
    "best": {"checks": 20},
    "evaluate_synset": {"restart": True},
    "plain300": {"restart": True},
    "idc": _IDC,
    "dream": _IDC,
    "tm": {"restart": True},
    "dim": {"operations": "idc", "decays": "never", "checks": 5, "fresh": True},
}


def _of_dc(dataset: str, arch: str) -> Rule:
    if arch.startswith("convnet") and arch.endswith("-bn"):
        return Rule(strategy="crop_noise", operations="dc", restart=True)
    if dataset in ("digits", "mnist"):
        return Rule(strategy="crop_scale_rotate", operations="dc", restart=True)
    return named("plain300")

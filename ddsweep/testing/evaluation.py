"""The contract of an evaluation rule (``registry.rules.evaluation``)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ddsweep import data, nn, rng
from ddsweep.data import Dataset
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate import Rule, at_rate, evaluate, named
from ddsweep.evaluate.own import OwnTrainer
from ddsweep.recipe import make
from ddsweep.registry.rules import RULES
from ddsweep.testing.judging import own_randomness, require

NETWORKS = ("convnet1", "convnet3-bn")
EPOCHS, IPC, WIDTH, LR = 2, 2, 4, 0.01


def check_evaluation(name: str) -> None:
    """Check that an evaluation rule trains networks as ddsweep relies on.

    - A recipe can have it.
    - It gives the same weights every time, whichever networks it trained before, and draws nothing from a global random
      generator that is not seeded for it.
    - It trains the network it is given, on the set that it is given, and leaves the real images as they are.
    - It reports each epoch, which is where it can be stopped.

    Args:
        name: the rule.

    Raises:
        AssertionError: a check fails; the message names it.
        UserError: an unknown rule, or one whose function fails.
    """
    row, what = RULES.take(name, "eval_rule"), f"evaluation {name!r}"
    recipe = make({"target": "shapes", "ipc": IPC, "alpha": 0, "eval_rule": name, "eval_lr": row.lr or LR})
    dataset = data.load("shapes")
    images = torch.cat([dataset.images[dataset.first(label, IPC)] for label in range(len(dataset.classes))])
    synthetic = Synthetic(images, torch.arange(len(dataset.classes)).repeat_interleave(IPC), IPC, lr=LR)
    before = _sums(dataset)
    rule = at_rate(replace(named(name, recipe.eval_strategy, "shapes", NETWORKS[0]), epochs=EPOCHS), LR)
    with own_randomness(what):
        two = evaluate(synthetic, dataset, NETWORKS[0], 2, rng.generator(0, "testing"), rule, width=WIDTH)
        one = evaluate(synthetic, dataset, NETWORKS[0], 1, rng.generator(0, "testing"), rule, width=WIDTH)
    require(
        one.accuracies == two.accuracies[:1],
        what,
        "gives a network another accuracy when it is run again, or among others",
    )
    if row.trains:
        for arch in NETWORKS:
            _check_training(rule, arch, synthetic, dataset, what)
    require(_sums(dataset) == before, what, "changes the images or labels of the dataset")


def _check_training(rule: Rule, arch: str, synthetic: Synthetic, dataset: Dataset, what: str) -> None:
    epochs: list[int] = []

    def weights(seed: int, among: Synthetic = synthetic) -> dict[str, Tensor]:
        epochs.clear()
        generator = rng.generator(seed, "testing")
        shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size, "width": WIDTH}
        net = nn.build(arch, **shape, generator=generator)
        start = {key: value.clone() for key, value in net.named_parameters()}
        OwnTrainer(among, dataset, rule).train([net], [generator], epochs.append)
        found = {key: value.detach().clone() for key, value in net.state_dict().items()}
        require(any(not torch.equal(start[key], found[key]) for key in start), what, "does not change the network")
        require(all(value.isfinite().all() for value in found.values()), what, "makes weights that are inf or nan")
        return found

    first, reported = weights(1), list(epochs)
    takes = RULES[rule.own].takes
    if "progress" in takes and "epochs" in takes:
        wanted = list(range(1, rule.epochs + 1))
        require(reported == wanted, what, f"reports the epochs {reported} of {rule.epochs} to progress, not {wanted}")
    other = weights(2)
    require(_same(weights(1), first), what, "gives other weights when it is run again")
    require(not _same(other, first), what, "gives the same weights for every initial network")
    turned = replace(synthetic, images=synthetic.images.flip(0))
    require(not _same(weights(1, turned), first), what, "gives the same weights for every synthetic set")


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def _sums(dataset: Dataset) -> list[float]:
    parts = (dataset.images[:], dataset.labels, dataset.test_images[:], dataset.test_labels)
    return [float(part.double().square().sum()) for part in parts]

"""The published loops (DC, DSA, DM, evaluation) in their plain form, as a reference for ``speed``.

Class by class, eager, float32, one network at a time, a DataLoader in the evaluation, and the loss fetched to the host
after every step for its log line. They are not slowed down artificially: the data is on the device in one tensor, as in
the published code. Every function does the same work as ddsweep's, on the same draws, so that a test can compare the
two step by step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from ddsweep import augment
from ddsweep.data import Dataset
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate import MOMENTUM, WEIGHT_DECAY, Rule
from ddsweep.nn import Network
from ddsweep.rng import Streams


def match_features(
    net: Network, synthetic: Synthetic, dataset: Dataset, streams: Streams, batch: int, strategy: str
) -> tuple[float, Tensor]:
    """Run one step of DM: the loss, and its gradient with respect to the synthetic images."""
    for parameter in net.parameters():
        parameter.requires_grad = False
    loss = torch.zeros((), device=synthetic.images.device)
    for label in range(synthetic.classes):
        real = dataset.sample(label, batch, streams.batch)
        change = augment.draw(streams.augment, len(real), real.shape[-1], strategy, shared=True)
        target = net.embed(augment.apply(real, change)).detach()
        output = net.embed(augment.apply(_of_class(synthetic, label), change))
        loss = loss + torch.sum((target.mean(dim=0) - output.mean(dim=0)) ** 2)
    (gradient,) = torch.autograd.grad(loss, [synthetic.images])
    return loss.item(), gradient


def match_gradients(
    net: Network, synthetic: Synthetic, dataset: Dataset, streams: Streams, batch: int, strategy: str
) -> tuple[float, Tensor]:
    """Run one image step of DC (strategy ``none``) or DSA: the loss, and its gradient to the synthetic images."""
    parameters = list(net.parameters())
    loss = torch.zeros((), device=synthetic.images.device)
    for label in range(synthetic.classes):
        real = dataset.sample(label, batch, streams.batch)
        change = augment.draw(streams.augment, len(real), real.shape[-1], strategy, shared=True)
        ours = augment.apply(_of_class(synthetic, label), change)
        target = torch.autograd.grad(_cross_entropy(net, augment.apply(real, change), label), parameters)
        found = torch.autograd.grad(_cross_entropy(net, ours, label), parameters, create_graph=True)
        loss = loss + _layerwise(found, [part.detach().clone() for part in target])
    (gradient,) = torch.autograd.grad(loss, [synthetic.images])
    return loss.item(), gradient


def _of_class(synthetic: Synthetic, label: int) -> Tensor:
    return synthetic.images[label * synthetic.ipc : (label + 1) * synthetic.ipc]


def _cross_entropy(net: Network, images: Tensor, label: int) -> Tensor:
    labels = torch.full((len(images),), label, device=images.device, dtype=torch.long)
    return F.cross_entropy(net(images), labels)


def _layerwise(found: list[Tensor] | tuple[Tensor, ...], target: list[Tensor]) -> Tensor:
    total = torch.zeros((), device=target[0].device)
    for ours, theirs in zip(found, target, strict=True):
        if ours.dim() == 1:
            continue
        ours, theirs = ours.reshape(ours.shape[0], -1), theirs.reshape(theirs.shape[0], -1)
        cosine = torch.sum(ours * theirs, dim=-1) / (torch.norm(ours, dim=-1) * torch.norm(theirs, dim=-1) + 0.000001)
        total = total + torch.sum(1 - cosine)
    return total


def train_epochs(
    net: nn.Module, synthetic: Synthetic, rule: Rule, generator: torch.Generator, epochs: int
) -> Iterator[float]:
    """Train one network as in the evaluation, and yield the mean loss of each of the first ``epochs`` passes."""
    optimizer = torch.optim.SGD(net.parameters(), lr=rule.lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    images = TensorDataset(synthetic.images.detach(), synthetic.labels)
    net.train()
    for epoch in range(epochs):
        if epoch in rule.decay_epochs:
            optimizer = torch.optim.SGD(
                net.parameters(), lr=rule.rate(epoch), momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
            )
        order = torch.randperm(len(images), generator=generator).tolist()
        total = 0.0
        for batch, labels in DataLoader(images, batch_size=rule.batch, sampler=order):
            changed = augment.independent(batch, rule.strategy, generator)
            optimizer.zero_grad()
            loss = F.cross_entropy(net(changed), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        yield total / len(images)


def train_ptm(net: nn.Module, dataset: Dataset, generator: torch.Generator, batch: int, steps: int) -> Iterator[float]:
    """Train a PTM, and yield the loss of each of ``steps`` batches of one epoch."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=MOMENTUM, weight_decay=5e-3)
    order = torch.randperm(len(dataset.labels), generator=generator).to(dataset.labels.device)
    net.train()
    for chosen in order.split(batch)[:steps]:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(dataset.images[chosen]), dataset.labels[chosen])
        loss.backward()
        optimizer.step()
        yield loss.item()

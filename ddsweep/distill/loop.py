"""The loop that all methods share: matching loss plus α times the guidance of a PTM, one step on the images."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import nn, pictures
from ddsweep.distill import distribution_matching, gradient_matching
from ddsweep.distill.clom import clom, contrast
from ddsweep.distill.synthetic import Synthetic, initial

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.pool import Pool, PretrainedModel
    from ddsweep.recipe import Recipe
    from ddsweep.rng import Streams
    from ddsweep.trackers import Tracker


class Diverged(Exception):
    """The loss is no longer a number: a finding about the recipe, not an accident."""


def distill(recipe: Recipe, dataset: Dataset, pool: Pool | None, streams: Streams, tracker: Tracker) -> Synthetic:
    """Learn a synthetic set for ``dataset`` (paper, Eq. 5 and 8).

    Every iteration draws a new random network; DM takes one image step with it, DC and DSA take T and train it on the
    synthetic set in between.

    Raises:
        Diverged: the loss became infinite or not a number.
    """
    synthetic = initial(dataset, recipe.ipc, recipe.init, streams.images)
    optimizer = torch.optim.SGD([synthetic.images], lr=recipe.lr_img, momentum=0.5)
    net = nn.build(
        recipe.arch, channels=dataset.channels, classes=len(dataset.classes), size=dataset.size, width=recipe.width,
        generator=streams.network,
    ).to(dataset.images.device)  # fmt: skip
    alphas = recipe.ptm_alphas
    journal = _Journal(recipe, dataset, tracker)
    journal.picture(synthetic, 0)
    for step in range(1, recipe.iterations + 1):
        nn.initialise(net, streams.network)
        for match in _episode(recipe, net, synthetic, dataset, streams):
            loss = match
            if pool is not None:
                model = pool.draw(streams.ptm)
                term = _guidance(recipe, model, synthetic, dataset, streams.ptm)
                loss = loss + alphas[model.arch] * term
                journal.add(match, term)
            else:
                journal.add(match)
            (synthetic.images.grad,) = torch.autograd.grad(loss, [synthetic.images])
            optimizer.step()
        journal.step(synthetic, step)
    return synthetic.detached()


def _episode(
    recipe: Recipe, net: nn.Network, synthetic: Synthetic, dataset: Dataset, streams: Streams
) -> Iterator[Float[Tensor, ""]]:
    if recipe.method == "dm":
        matching = distribution_matching.Settings(batch_real=recipe.batch_real, strategy=recipe.dsa_strategy)
        return distribution_matching.episode(net, synthetic, dataset, streams, matching)
    settings = gradient_matching.Settings(
        batch_real=recipe.batch_real, strategy=recipe.dsa_strategy, outer_loops=recipe.outer_loops,
        inner_epochs=recipe.inner_epochs, batch_train=recipe.batch_train, lr_net=recipe.lr_net,
        metric=cast(gradient_matching.Metric, recipe.distance),
    )  # fmt: skip
    return gradient_matching.episode(net, synthetic, dataset, streams, settings)


def _guidance(
    recipe: Recipe, model: PretrainedModel, synthetic: Synthetic, dataset: Dataset, generator: torch.Generator
) -> Float[Tensor, ""]:
    """CLoM or CCLoM of a PTM on the clean images of all classes: unweighted, so that it can be read alone."""
    if recipe.regularizer == "clom":
        return clom(model, synthetic.images, synthetic.labels)
    chosen = torch.randint(len(dataset.labels), (recipe.cclom_batch,), generator=generator)
    real, labels = model.features(dataset, chosen), dataset.labels[chosen.to(dataset.labels.device)]
    return contrast(model.embed(synthetic.images), synthetic.labels, real, labels)


class _Journal:
    """Tells the tracker, without making the device wait: sums stay on it until they are logged."""

    def __init__(self, recipe: Recipe, dataset: Dataset, tracker: Tracker) -> None:
        self._recipe, self._dataset, self._tracker = recipe, dataset, tracker
        self._every = max(1, recipe.iterations // 100)
        self._shown = {math.ceil(recipe.iterations * part / 4) for part in range(1, 5)}
        self._terms: list[Tensor] = []
        self._began, self._begun_at = time.monotonic(), 0

    def add(self, *terms: Tensor) -> None:
        """One image step: the matching loss, and the unweighted term of the PTM if there is one."""
        self._terms.append(torch.stack([term.detach() for term in terms]))

    def step(self, synthetic: Synthetic, step: int) -> None:
        """One iteration is done."""
        self._tracker.progress("distill", step, self._recipe.iterations)
        if step % self._every == 0 or step == self._recipe.iterations:
            self._log(step)
        if step in self._shown:
            self.picture(synthetic, step)

    def _log(self, step: int) -> None:
        means = torch.stack(self._terms).mean(0).tolist()  # the one place where the host waits
        if not all(math.isfinite(mean) for mean in means):
            raise Diverged(f"the loss is {means[0]} at step {step} of {self._recipe.iterations}")
        elapsed = max(time.monotonic() - self._began, 1e-9)
        rate = (step - self._begun_at) / elapsed
        images = len(self._dataset.classes) * (self._recipe.batch_real + self._recipe.ipc)
        metrics = dict(zip(("loss/match", "loss/regularizer"), means, strict=False))
        metrics |= {"steps_per_second": rate, "images_per_second": images * len(self._terms) / elapsed}
        if self._dataset.images.device.type == "cuda":
            metrics["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self._tracker.log(metrics, step)
        self._terms.clear()
        self._began, self._begun_at = time.monotonic(), step

    def picture(self, synthetic: Synthetic, step: int) -> None:
        """The synthetic set as it is now."""
        images = pictures.by_class(self._dataset.denormalise(synthetic.images.detach()), synthetic.ipc)
        self._tracker.image("synthetic", pictures.grid(images, self._dataset.classes), step)

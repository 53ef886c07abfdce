"""What a distillation reports to its tracker: mean losses, speed, pictures, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddsweep import pictures
from ddsweep.checkpoints import Damaged, State
from ddsweep.distill.sets import LearnedSet
from ddsweep.errors import Diverged as Diverged

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.recipe import Recipe
    from ddsweep.trackers import Tracker


class MetricsLog:
    """Reports to the tracker about 100 times per distillation; in between, losses stay on the device unread."""

    def __init__(self, recipe: Recipe, dataset: Dataset, tracker: Tracker, steps: int) -> None:
        self._recipe, self._dataset, self._tracker = recipe, dataset, tracker
        images = recipe.outer_loops * len(dataset.classes) * (recipe.batch_real + recipe.ipc)
        self._images_per_step = images / steps
        self._every = max(1, recipe.iterations // 100)
        self._shown = {math.ceil(recipe.iterations * part / 4) for part in range(5)}
        self._terms: list[Tensor] = []
        self._scalars: dict[str, list[Tensor]] = {}
        self._began, self._begun_at = time.monotonic(), 0

    def state(self) -> State:
        """Return the losses that were not logged yet, for a checkpoint."""
        tensors = {"terms": torch.stack(self._terms)} if self._terms else {}
        facts: dict[str, Any] = {"terms": len(self._terms), "begun_at": self._begun_at}
        facts["seconds"] = time.monotonic() - self._began
        if self._scalars:
            facts["scalars"] = list(self._scalars)
            tensors |= {f"scalar.{name}": torch.stack(values) for name, values in self._scalars.items()}
        return State(tensors, facts)

    def restore(self, state: State) -> None:
        """Restore ``state()``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        try:
            count, begun_at, seconds = (state.facts[name] for name in ("terms", "begun_at", "seconds"))
            terms = state.tensors["terms"] if count else torch.empty(0)
            scalars = {name: state.tensors[f"scalar.{name}"] for name in state.facts.get("scalars", ())}
        except KeyError as missing:
            raise Damaged(f"it has no {missing}") from None
        device = self._dataset.images.device
        self._terms = list(terms.to(device, copy=True))
        self._scalars = {name: list(values.to(device, copy=True)) for name, values in scalars.items()}
        self._began, self._begun_at = time.monotonic() - seconds, begun_at

    def rewind(self, step: int) -> None:
        """Start, or resume after ``step`` iterations: metrics of later iterations are going to be logged again."""
        self._tracker.rewind(step)

    @torch.no_grad()
    def show(self, learned: LearnedSet, step: int) -> None:
        """Show the set if ``step`` iterations are 0, 1, 2, 3 or 4 quarters of the distillation."""
        if step in self._shown:
            synthetic = learned.decode()
            images = pictures.by_class(self._dataset.denormalize(synthetic.images.detach()), synthetic.ipc)
            pictures.show(self._tracker.image, "synthetic", images, self._dataset.classes, step)

    def add(self, *terms: Tensor) -> None:
        """Record one step: the matching loss and, with a PTM, its unweighted term."""
        self.add_row(torch.stack([term.detach() for term in terms]))

    def add_row(self, terms: Tensor) -> None:
        """Record the terms of one step, as one tensor without a graph."""
        self._terms.append(terms)

    def add_scalars(self, scalars: Mapping[str, float | Tensor]) -> None:
        """Record further numbers of a step, by name."""
        for name, value in scalars.items():
            number = value.detach().reshape(()) if isinstance(value, Tensor) else torch.tensor(float(value))
            number = number.to(self._dataset.images.device, torch.float32, copy=True, non_blocking=True)
            self._scalars.setdefault(name, []).append(number)

    def end_iteration(self, learned: LearnedSet, step: int) -> None:
        """Report that ``step`` iterations are done.

        Raises:
            Diverged: a mean loss that is logged now is not finite.
        """
        self._tracker.progress("distill", step, self._recipe.iterations)
        if step % self._every == 0 or step == self._recipe.iterations:
            self._log(step)
        self.show(learned, step)

    def _log(self, step: int) -> None:
        means = torch.stack(self._terms).mean(0).tolist()  # the only place where the host waits for the device
        if not all(math.isfinite(mean) for mean in means):
            fields = ("lr_img", *(("alpha",) if len(means) > 1 else ()))
            raise Diverged(
                f"{' or '.join(fields)}: too large: the loss is {means[0]} at step {step} of {self._recipe.iterations}"
            )
        elapsed = max(time.monotonic() - self._began, 1e-9)
        rate = (step - self._begun_at) / elapsed
        metrics = dict(zip(("loss/match", "loss/regularizer"), means, strict=False))
        metrics |= {f"method/{name}": float(torch.stack(one).mean()) for name, one in self._scalars.items()}
        metrics |= {"steps_per_second": rate, "images_per_second": self._images_per_step * len(self._terms) / elapsed}
        if self._dataset.images.device.type == "cuda":
            metrics["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self._tracker.log(metrics, step)
        self._terms.clear()
        self._scalars.clear()
        self._began, self._begun_at = time.monotonic(), step

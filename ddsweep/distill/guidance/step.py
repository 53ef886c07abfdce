"""The guidance of one distillation: the PTM and the real images that each step draws, and the term that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import PluginError
from ddsweep.plugins.blame import blamed
from ddsweep.registry.guidance import GUIDANCE
from ddsweep.registry.ptms import PTMS
from ddsweep.rng import copy_to, seeded_globals

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.plugins import Source
    from ddsweep.pretrained.pool import Pool, PretrainedModel
    from ddsweep.recipe import Recipe


class Real:
    """The real images of one step, without augmentation: drawn uniformly from all training images, with replacement.

    Args:
        dataset: the target.
        indices: indices of its training images, on the CPU.
        features: returns the features of these images.
    """

    def __init__(self, dataset: Dataset, indices: Int64[Tensor, " k"], features: Callable[[], Tensor]) -> None:
        self._dataset, self._indices, self._features = dataset, indices, features

    @cached_property
    def images(self) -> Float[Tensor, "k c h w"]:
        """The images, in the normalized space of the target."""
        return self._dataset.images[copy_to(self._indices, self._dataset.labels.device)]

    @cached_property
    def labels(self) -> Int64[Tensor, " k"]:
        """Their labels."""
        return self._dataset.labels[copy_to(self._indices, self._dataset.labels.device)]

    @cached_property
    def features(self) -> Float[Tensor, "k d"]:
        """``ptm.embed(images)`` of the step's PTM, without a gradient: computed once for each image, and then kept."""
        return self._features()


class Guide(Protocol):
    """Returns the unweighted term of one step; a guide whose row does not say ``real`` is called without ``real``."""

    def __call__(self, ptm: PretrainedModel, synthetic: Synthetic, *, real: Real) -> Float[Tensor, ""]:
        """Return a scalar with a gradient to ``synthetic.images``.

        Args:
            ptm: frozen and in eval mode; ``ptm.embed(images)`` are its features, ``ptm(images)`` its logits.
            synthetic: the clean images of this step, with their graph.
            real: real images to compare with.
        """


@dataclass(frozen=True, eq=False)
class Drawn:
    """What one step has drawn.

    Attributes:
        model: the PTM.
        alpha: its weight α.
        further: the real images, if the guide takes some, by the name of its parameter.
        guide: the guide.
        each: the same guide for several sets, where the guidance has one (``Guidance.each``).
    """

    model: PretrainedModel
    alpha: float
    further: dict[str, Real]
    guide: Any
    each: Source | None


class Guiding:
    """The guidance of one distillation.

    Args:
        recipe: the experiment, which has guidance.
        pool: its PTMs.
        dataset: the target.
        generator: draws the PTM and the real images of each step.
    """

    def __init__(self, recipe: Recipe, pool: Pool, dataset: Dataset, generator: torch.Generator) -> None:
        self._recipe, self._pool, self._dataset, self._generator = recipe, pool, dataset, generator
        self._row = GUIDANCE[recipe.regularizer]
        self._code = GUIDANCE.code(recipe.regularizer)
        self._seeds = self._code is not None or PTMS.code(recipe.source) is not None
        with self._calling("start"):
            self._guide: Any = self._row.make(dataset, recipe.guidance_numbers)
        self._alphas = recipe.ptm_alphas

    def term(self, synthetic: Synthetic, step: int) -> tuple[Float[Tensor, ""], float]:
        """Return the term of one step, and its weight α.

        Args:
            synthetic: the clean images of this step.
            step: the steps before it, over all iterations.

        Raises:
            PluginError: the guide of a plugin fails, or returns something else than a scalar with a gradient to the
                images.
        """
        drawn = self.draw()
        with self._calling(step):
            term = self._guide(drawn.model, synthetic, **drawn.further)
        if self._code is not None:
            self._check(term)
        return term, drawn.alpha

    def draw(self) -> Drawn:
        """Draw the PTM of the next step and its real images, if the guide takes some."""
        model = self._pool.draw(self._generator)
        further = {"real": self._real(model)} if self._row.real else {}
        each = None if self._seeds or self._recipe.guidance_numbers else self._row.each
        return Drawn(model, self._alphas[model.arch], further, self._guide, each)

    @contextmanager
    def _calling(self, step: str | int) -> Iterator[None]:
        """Call the guide: that of a plugin, or one with a plugin's PTM, may draw from the global generators and fail.

        Raises:
            PluginError: it raises an exception.
        """
        if not self._seeds:
            yield
            return
        what = f"PTM {self._recipe.source!r}" if self._code is None else self._what
        with seeded_globals(self._recipe.seed, "guidance", step), blamed(what, self._code.path if self._code else None):
            yield

    @property
    def _what(self) -> str:
        return f"guidance {self._row.name!r}"

    def _real(self, model: PretrainedModel) -> Real:
        """Draw the real images of one step."""
        count = (self._recipe.cclom_batch,)
        indices = torch.randint(len(self._dataset.labels), count, generator=self._generator)
        return Real(self._dataset, indices, partial(model.features, self._dataset, indices))

    def _check(self, term: object) -> None:
        if not isinstance(term, Tensor) or term.ndim:
            shape = f"a tensor of shape {list(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            raise PluginError(f"{self._what}: returns {shape}, not a scalar tensor", final=True)
        if not term.requires_grad:
            raise PluginError(f"{self._what}: returns a term without a gradient to the synthetic images", final=True)

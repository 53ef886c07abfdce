"""A few steps of a method, looked at from outside: what ``ddsweep.debug`` does."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep import pictures, plugins
from ddsweep.distill import loop
from ddsweep.distill.guards import Guard
from ddsweep.distill.guidance import Guiding
from ddsweep.errors import UserError
from ddsweep.grids import Grid
from ddsweep.prerequisites import prepare
from ddsweep.recipe import Recipe, make
from ddsweep.registry.methods import METHODS
from ddsweep.registry.own_methods import method as register
from ddsweep.rng import Streams
from ddsweep.text import plural
from ddsweep.trackers import Tracker

if TYPE_CHECKING:
    from ddsweep.distill.matching import Match
    from ddsweep.distill.state import DistillationState

DEFAULTS: dict[str, Any] = {"target": "digits", "ipc": 1, "alpha": 0, "width": 32}
"""What is distilled if neither a sweep nor choices say."""
SHOWN = 4  # images of a class before the steps, and after them


@dataclass(frozen=True)
class Step:
    """One step of a distillation.

    Attributes:
        loss: the matching loss.
        guidance: the term of the PTM, before it is multiplied by α; None without guidance.
        gradient_norm: the norm of the matching loss's gradient to each parameter that is learned, by name.
        guidance_norm: the same of α times the term of the PTM; empty without guidance.
        scalars: the method's own numbers.
        seconds: how long it took, with the gradient of the matching loss computed once more.
    """

    loss: float
    guidance: float | None
    gradient_norm: dict[str, float]
    guidance_norm: dict[str, float]
    scalars: dict[str, float]
    seconds: float


@dataclass(frozen=True, repr=False)
class Debugged:
    """The first steps of a distillation. The attributes of ``Step`` are here, too: those of the first step.

    Attributes:
        recipe: the experiment.
        steps: the steps.
        before: the synthetic images before the first step, [n, c, h, w] as pixels in [0, 1], class by class.
        after: the same after the last step.
        moved: the mean change of a pixel, in normalized units.
        classes: the names of the classes.
        labels: [n] the labels of the images.
    """

    recipe: Recipe
    steps: list[Step]
    before: Float[Tensor, "n c h w"]
    after: Float[Tensor, "n c h w"]
    moved: float
    classes: tuple[str, ...]
    labels: Tensor

    @property
    def loss(self) -> float:
        """The matching loss of the first step."""
        return self.steps[0].loss

    @property
    def guidance(self) -> float | None:
        """The term of the PTM in the first step, before it is multiplied by α; None without guidance."""
        return self.steps[0].guidance

    @property
    def gradient_norm(self) -> dict[str, float]:
        """The norm of the matching loss's gradient to each parameter in the first step."""
        return self.steps[0].gradient_norm

    @property
    def guidance_norm(self) -> dict[str, float]:
        """The norm of the weighted guidance's gradient to each parameter in the first step."""
        return self.steps[0].guidance_norm

    @property
    def scalars(self) -> dict[str, float]:
        """The method's own numbers in the first step."""
        return self.steps[0].scalars

    @property
    def seconds(self) -> float:
        """How long the first step took."""
        return self.steps[0].seconds

    def grid(self) -> Any:
        """Return a picture (PIL): a row per class, its first images before the steps and after them."""
        return self._drawn().image

    def _drawn(self) -> Grid:
        each = len(self.labels) // len(self.classes)
        parts = [pictures.by_class(images, each, SHOWN) for images in (self.before, self.after)]
        heads = [f"{when} {number + 1}" for when in ("before", "after") for number in range(min(SHOWN, each))]
        return pictures.grid(torch.cat(parts, dim=1), self.classes, heads)

    def __repr__(self) -> str:
        lines = [f"{self.recipe.title()}: {plural(len(self.steps), 'step')}"]
        for number, step in enumerate(self.steps):
            parts = [f"loss {step.loss:.4g}"]
            parts += [f"guidance {step.guidance:.4g} × α {self.recipe.alpha:g}"] if step.guidance is not None else []
            parts += [f"‖∇ {name}‖ {_norms(step, name)}" for name in step.gradient_norm]
            parts += [f"{name} {value:.4g}" for name, value in step.scalars.items()]
            lines.append(f"  step {number}: " + " · ".join([*parts, f"{step.seconds:.2g} s"]))
        lines.append(f"  images moved by {self.moved:.3g} on average")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return what a notebook displays: the numbers, and the images before and after."""
        import base64

        png = base64.b64encode(self._drawn().png).decode()
        return f'<pre>{html.escape(repr(self))}</pre><img src="data:image/png;base64,{png}">'


def _norms(step: Step, name: str) -> str:
    guided = f" (guidance {step.guidance_norm[name]:.3g})" if name in step.guidance_norm else ""
    return f"{step.gradient_norm[name]:.3g}{guided}"


def debug(
    method: str | Callable[..., Any],
    sweep: str | Path | Recipe | None = None,
    *,
    profile: str | None = None,
    steps: int = 1,
    device: str = "cpu",
    **choices: Any,
) -> Debugged:
    """Take the first steps of a method, and return what happened in them; nothing is stored.

        >>> ddsweep.debug("mtt-lite")
        >>> ddsweep.debug(MyMethod, "ablation-alpha@demo", alpha=100, steps=3).gradient_norm

    In a notebook, the result shows its numbers and the images before and after the steps. A method in a file is read
    again if the file has changed.

    Args:
        method: the name of a method, or its class or function; one that is not registered is registered by its name.
        sweep: a sweep, whose first cell with these choices is taken, or a recipe; default: the digits, one image per
            class, without guidance.
        profile: ``demo``, ``quick`` or ``paper`` (the default); only with a sweep.
        steps: how many steps of the images to take.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.
        **choices: recipe fields, and options of the method.

    Raises:
        UserError: an unknown method, sweep or field; or the method makes a mistake, which the line names.
    """
    from ddsweep import device as devices

    recipe = _recipe(_name(method), sweep, profile, choices)
    if steps < 1:
        raise UserError(f"steps: {steps} is out of range; at least 1")
    prepared = prepare(recipe, devices.resolve(device)[0])
    dataset, streams, guard = prepared.dataset, Streams(recipe.seed), Guard(recipe, prepared.dataset)
    guiding = None if prepared.pool is None else Guiding(recipe, prepared.pool, dataset, streams.ptm)
    with guard.calling("start"):
        state = loop.initial_state(recipe, dataset, streams, Tracker(), prepared.provided)
    with guard.calling("debug"):
        first = state.learned.decode().detached()
    images = first.images.clone()
    taken: list[Step] = []
    while len(taken) < steps:
        with guard.calling(state.iteration, "network"):
            state.begin_iteration(dataset)
        began = time.perf_counter()
        for match in guard.matches(state, dataset):
            with guard.calling(state.iteration, state.step, "update"):
                taken.append(_step(match, state, guiding, began))
            began = time.perf_counter()
            if len(taken) == steps or state.step == state.steps:
                break
        else:
            raise UserError(f"method: {recipe.method} does not yield {state.steps} losses per network (outer_loops)")
        state.step, state.iteration = 0, state.iteration + 1
    with guard.calling("debug"):
        last = state.learned.decode().detached()
    before, after = (dataset.denormalize(one).clamp(0, 1).cpu() for one in (images, last.images))
    moved = float((last.images - images).abs().mean())
    return Debugged(recipe, taken, before, after, moved, dataset.classes, last.labels.cpu())


def _step(match: Match, state: DistillationState, guiding: Guiding | None, began: float) -> Step:
    parameters = state.learned.parameters()
    alone = torch.autograd.grad(match.loss, list(parameters.values()), retain_graph=True, allow_unused=True)
    # read now: a scalar may be a view of a parameter
    scalars = {name: float(torch.as_tensor(value).detach()) for name, value in match.scalars.items()}
    terms = loop.step(match, state, guiding)
    if match.loss.device.type == "cuda":
        torch.cuda.synchronize(match.loss.device)
    matching = {name: _or_zeros(slope, parameters[name]) for name, slope in zip(parameters, alone, strict=True)}
    guided = {}
    if guiding is not None:
        guided = {name: _or_zeros(one.grad, one) - matching[name] for name, one in parameters.items()}
    seconds = time.perf_counter() - began
    loss, *guidance = (float(term) for term in terms)
    return Step(loss, guidance[0] if guidance else None, _norm(matching), _norm(guided), scalars, seconds)


def _or_zeros(slope: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if slope is None else slope.detach()


def _norm(slopes: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(slope.norm()) for name, slope in slopes.items()}


def _name(method: str | Callable[..., Any]) -> str:
    """The name of a method, whose file is read again if it has changed."""
    if isinstance(method, str):
        METHODS.take(method, "method")
        if (code := METHODS.code(method)) is not None:
            plugins.reload(code)
        return method
    name = next((name for name, row in METHODS.rows.items() if row.source is method), "")
    if not name:
        name = method.__name__
        register(name)(method)
    return name


def _recipe(name: str, sweep: str | Path | Recipe | None, profile: str | None, choices: dict[str, Any]) -> Recipe:
    from ddsweep import sweep as sweeps

    if isinstance(sweep, Recipe) or sweep is None:
        if profile:
            raise UserError("profile: only allowed with a sweep")
        base = DEFAULTS if sweep is None else sweep.model_dump(exclude={"plugins", "options"})
        return make(base | choices | {"method": name})
    loaded = sweeps.load(str(sweep), profile, choices | {"method": name})
    if loaded.search:
        raise UserError(f"{loaded.full_name} is a search; debug takes a sweep with cells, or choices alone")
    return loaded.cells[0].recipe

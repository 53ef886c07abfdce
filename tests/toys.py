"""A small data set and small nets, in float64 so that a slow formula can be compared with to the last digits."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ddsweep import device
from ddsweep.data import Dataset
from ddsweep.distill.sets.pixels import Pixels
from ddsweep.nn import microbatches


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dataset(classes: int = 3, per_class: int = 20, size: int = 8, dtype: torch.dtype = torch.float64) -> Dataset:
    """Each class is noise about a pattern of its own, so that it can be learned; training labels are interleaved."""
    patterns = noise(classes, 3, size, size, seed=1, dtype=dtype)

    def split(each: int, seed: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(classes).repeat(each)
        return patterns[labels] + 0.7 * noise(len(labels), 3, size, size, seed=seed, dtype=dtype), labels

    names = tuple(f"class {label}" for label in range(classes))
    return Dataset("toy", names, (0.0,) * 3, (1.0,) * 3, *split(per_class, 2), *split(7, 3), checksum="toy")


def synthetic(classes: int = 3, ipc: int = 2, size: int = 8, dtype: torch.dtype = torch.float64) -> Pixels:
    images = noise(classes * ipc, 3, size, size, seed=4, dtype=dtype).requires_grad_()
    return Pixels(images, torch.arange(classes).repeat_interleave(ipc), ipc)


class Net(nn.Module):
    """Conv 3×3, norm, ReLU, average pool, linear: a ConvNet-1 of width 4."""

    def __init__(self, classes: int = 3, size: int = 8, norm: str = "group", seed: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm == "batch" else nn.GroupNorm(4, 4)
        self.classifier = nn.Linear(4 * (size // 2) ** 2, classes)
        self.double()
        for number, parameter in enumerate(self.parameters()):
            parameter.data = 0.4 * noise(*parameter.shape, seed=100 * seed + number) + (parameter is self.norm.weight)

    def embed(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.relu(self.norm(self.conv(x))), 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.embed(x))


def by_hand(parameters: Sequence[Tensor], image: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of ``Net`` with group norm for *one* image, written out."""
    kernel, bias, gain, offset, weight, shift = parameters
    size = image.shape[-1]
    padded = torch.zeros(image.shape[0], size + 2, size + 2, dtype=image.dtype)
    padded[:, 1:-1, 1:-1] = image
    maps = []
    for k in range(len(kernel)):
        rows = [
            torch.stack([(padded[:, i : i + 3, j : j + 3] * kernel[k]).sum() + bias[k] for j in range(size)])
            for i in range(size)
        ]
        plane = torch.stack(rows)
        plane = (plane - plane.mean()) / (plane.var(unbiased=False) + 1e-5).sqrt() * gain[k] + offset[k]
        plane = plane.clamp(min=0)
        maps.append((plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) / 4)
    features = torch.cat([plane.flatten() for plane in maps])
    return features, weight @ features + shift


def cross_entropy(logits: Tensor, label: int) -> Tensor:
    return logits.exp().sum().log() - logits[label]


def bound_passes(monkeypatch: pytest.MonkeyPatch, images: int, size: int = 8) -> None:
    """Let a CPU take so many images of ``size`` × ``size`` at once."""
    monkeypatch.setitem(microbatches.PIXELS, "cpu", images * size**2)


def bound_memory(monkeypatch: pytest.MonkeyPatch, images: int, size: int = 8) -> None:
    """Let the CPU have room for the graph of so many images."""
    memory = images * size**2 * microbatches.GRAPH_BYTES * microbatches.SHARE
    monkeypatch.setattr(device, "memory", lambda where: memory)


class Kernels(TorchDispatchMode):
    """Counts the operations that make images (tensors of four dimensions or more): a GPU starts a kernel for each.

    Views start none.
    """

    number = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        outputs = made if isinstance(made, tuple | list) else [made]
        self.number += not func.is_view and any(isinstance(one, Tensor) and one.ndim >= 4 for one in outputs)
        return made


def spy(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, note: Callable[..., Any]) -> list[Any]:
    """Whatever ``note`` makes of the arguments of every call of ``owner.name``, which works as before."""
    original, notes = getattr(owner, name), []

    def noted(*args: Any, **kwargs: Any) -> Any:
        notes.append(note(*args, **kwargs))
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, noted)
    return notes

"""One table of networks: the facts that a recipe needs, without importing torch.

A new network of a known family is a row here. A new family is also a module beside this one and its line in
``network.FAMILIES``. Foundation models are not trained here and not built by ``build``: they have a table of their own,
by the source that a recipe names, and a line in ``foundation.FORMS``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ddsweep.errors import UserError, closest

PADDED_TO = 32
BELOW_32 = frozenset(range(1, PADDED_TO))


@dataclass(frozen=True)
class Architecture:
    """What is known of a network before it is built.

    Attributes:
        name: the name in a recipe.
        paper: the name in tables and figures.
        family: the module of ``ddsweep.nn`` that makes its layers.
        options: keyword arguments of that module's ``body``.
        smallest: height and width of the smallest image its layers can take, in pixels.
        padded: sizes that are zero-padded to 32 pixels before the first layer.
    """

    name: str
    paper: str
    family: str
    options: Mapping[str, Any] = field(default_factory=dict)
    smallest: int = 1
    padded: Collection[int] = frozenset({28})

    def canvas(self, size: int) -> int:
        """The height and width in pixels that the first convolution sees for an image of ``size`` pixels.

        Raises:
            UserError: the image is too small for this network.
        """
        canvas = PADDED_TO if size in self.padded else size
        if canvas < self.smallest:
            raise UserError(f"arch: {self.name} needs images of at least {self.smallest} pixels, not {size}")
        return canvas


@dataclass(frozen=True)
class Foundation:
    """A published model that guides the distillation of other domains as it is (paper, Sec. 5.3, Table 3).

    Attributes:
        name: the name of the network in a recipe.
        paper: its name in the paper's tables.
        source: the name in a recipe of what it was trained on.
        features: how many numbers describe an image.
        size: height and width of the images it was trained on, in pixels.
        mean: per-channel mean that it expects to be subtracted, in units of [0, 1].
        std: per-channel standard deviation that it expects to be divided by.
        url: where its publisher offers the weights.
        sha256: of that file, or its first digits where no more is published.
        extra: the extra of this package that brings its library; empty: none is needed.
    """

    name: str
    paper: str
    source: str
    features: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    url: str
    sha256: str
    extra: str = ""


def _row(name: str, paper: str, family: str, **facts: Any) -> Architecture:
    """A row, whose network has batch norm if its name ends in ``-bn``."""
    options = facts.pop("options", {}) | ({"norm": "batch"} if name.endswith("-bn") else {})
    return Architecture(name, paper, family, options, **facts)


def _convnet(name: str, paper: str, depth: int) -> Architecture:
    return _row(name, paper, "convnet", options={"depth": depth}, smallest=2**depth)


_ALEXNET = {"smallest": 8}
_VGG11 = {"padded": BELOW_32}
_RESNET18 = {"padded": BELOW_32 - {28}}  # the reference runs 28 pixels as they are: 28 → 28 → 14 → 7 → 4

TABLE: dict[str, Architecture] = {
    row.name: row
    for row in (
        *(_convnet(f"convnet{depth}", f"ConvNet-{depth}", depth) for depth in range(1, 7)),
        _row("alexnet", "AlexNet", "alexnet", **_ALEXNET),
        _row("vgg11", "VGG-11", "vgg", **_VGG11),
        _row("resnet18", "ResNet-18", "resnet", **_RESNET18),
        _row("resnet18-ap", "ResNet-18-AP", "resnet", options={"downsample": "pool"}, **_RESNET18),
        _convnet("convnet3-bn", "ConvNet-3-BN", 3),
        _row("alexnet-bn", "AlexNet-BN", "alexnet", **_ALEXNET),
        _row("vgg11-bn", "VGG-11-BN", "vgg", **_VGG11),
        _row("resnet18-bn", "ResNet-18-BN", "resnet", **_RESNET18),
    )
}
NAMES: tuple[str, ...] = tuple(TABLE)  # those that `build` makes

FOUNDATIONS: dict[str, Foundation] = {
    row.source: row
    for row in (
        Foundation(
            "resnet18-imagenet", "ResNet-18 (torchvision)", "imagenet", 512, 224,
            (0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
            "https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd",
        ),
        # the file of this address is a TorchScript program; open_clip offers the same numbers as tensors
        Foundation(
            "clip-rn50", "CLIP-RN50", "internet", 1024, 224,
            (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711),
            "https://huggingface.co/timm/resnet50_clip.openai", "", extra="clip",
        ),
    )
}  # fmt: skip
ALL_NAMES: tuple[str, ...] = (*NAMES, *(row.name for row in FOUNDATIONS.values()))  # those that can be PTMs
PAPER_NAMES = {row.name: row.paper for row in TABLE.values()} | {row.name: row.paper for row in FOUNDATIONS.values()}


def names() -> list[str]:
    """Every network that ``build`` makes."""
    return list(NAMES)


def info(name: str) -> Architecture:
    """The row of one network.

    Raises:
        UserError: there is no such network.
    """
    if name not in TABLE:
        raise UserError(f"arch: no network {name!r}; {closest(name, NAMES)}")
    return TABLE[name]


def join(archs: list[str] | tuple[str, ...]) -> str:
    """Networks as one recipe value: sorted as in the table and joined by ``+``, so that a set has one spelling."""
    return "+".join(sorted(set(archs), key=NAMES.index))

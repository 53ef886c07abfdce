"""The table of PTMs that ddsweep does not train, keyed by the source that a recipe names, without importing torch.

The paper's foundation models are published; ``nn.foundation`` gets them from their libraries. The function of a plugin
makes another one, which ``ptm`` registers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ddsweep.errors import UserError
from ddsweep.plugins import Registry, Source
from ddsweep.plugins.code import name_of
from ddsweep.registry import datasets

Maker = TypeVar("Maker", bound=Callable[..., Any])
TARGET = "target"


@dataclass(frozen=True)
class Foundation:
    """A PTM that guides distillation without training by ddsweep (paper, Sec. 5.3, Table 3).

    Attributes:
        name: the name of the network in a recipe.
        paper: its name in tables and figures.
        source: the name, in a recipe, of its training data.
        features: the number of features per image; 0: known when it is made.
        size: height and width, in pixels, to which images are resized; 0: they keep the target's.
        mean: per-channel mean to subtract from its inputs, in units of [0, 1].
        std: per-channel standard deviation to divide its inputs by.
        url: the publisher's URL of the weights; empty: a plugin's function makes it.
        sha256: the SHA-256 of that file, or its first digits if no more are published.
        domain: the name of its training data in tables and figures.
        extra: the optional extra of this package that installs its library; empty if none is needed.
        channels: 1 or 3.
        classes: the names of its classes in the order of its logits, or the dataset that has them; empty: no logits.
        maker: the function of a plugin, which returns the module.
    """

    name: str
    paper: str
    source: str
    features: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    url: str = ""
    sha256: str = ""
    domain: str = ""
    extra: str = ""
    channels: int = 3
    classes: tuple[str, ...] | str = ()
    maker: Source | None = None

    @property
    def title(self) -> str:
        """A readable name, with its origin: ``clip-rn50, published``."""
        return f"{self.name}, {'of a plugin' if self.maker else 'published'}"

    def class_names(self) -> tuple[str, ...]:
        """The names of its classes; empty if it has no logits.

        Raises:
            UserError: ``classes`` names an unknown dataset.
        """
        return datasets.facts(self.classes).classes if isinstance(self.classes, str) else self.classes

    def classifies(self, target: str) -> bool:
        """Whether its logits are those of a dataset's classes."""
        names = self.class_names() if self.classes else ()
        return bool(names) and names == datasets.facts(target).classes


PTMS: Registry[Foundation] = Registry("PTM")
"""By source: ``imagenet`` and ``internet``, and those of plugins, whose source has the name of the PTM."""

for _row in (
    Foundation(
        "resnet18-imagenet", "ResNet-18 (torchvision)", "imagenet", 512, 224,
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
        "https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd", "ImageNet",
    ),
    # the file at this URL is a TorchScript program; open_clip provides the same numbers as tensors
    Foundation(
        "clip-rn50", "CLIP-RN50", "internet", 1024, 224,
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711),
        "https://huggingface.co/timm/resnet50_clip.openai", "", "Internet", extra="clip",
    ),
):  # fmt: skip
    PTMS.add(_row.source, _row, "ddsweep.nn.foundation:build")


def ptm(
    name: str,
    *,
    paper: str = "",
    domain: str = "",
    size: int = 0,
    mean: float | tuple[float, ...] = 0.0,
    std: float | tuple[float, ...] = 1.0,
    channels: int = 3,
    classes: str | tuple[str, ...] = (),
    files: Iterable[str] = (),
) -> Callable[[Maker], Maker]:
    """Register a PTM: a function without arguments, or a class, that makes a ``torch.nn.Module`` with its own weights.

    The module maps images [n, channels, h, w] to features [n, …], which are flattened; if it has a method ``embed``,
    that does so instead. With ``classes``, calling the module gives logits [n, classes], and ``embed`` is needed. The
    function is called once in each trial, with seeded global random generators; the module is then put into eval mode
    and frozen. It needs a gradient to its images.

    A recipe uses it as ``source: NAME``.

    Args:
        name: the name in a recipe.
        paper: the name of the network in tables and figures; default: ``name``.
        domain: the name of its training data in tables and figures; default: ``paper``.
        size: height and width, in pixels, to which images are resized; default: they keep the target's.
        mean: of its inputs, for all channels or for each, in units of [0, 1]: it is subtracted from images in [0, 1].
        std: what they are divided by then.
        channels: 3, or 1 for gray images; images of the target are repeated or averaged.
        classes: the names of its classes in the order of its logits, or the name of the dataset that has them; default:
            it has features only, and cannot be used for CLoM.
        files: files that the function reads, such as weights, relative to the file with its source: their content is
            part of the key, like the code's.

    Raises:
        UserError: the name is invalid or taken, a number is out of range, or the function needs an argument.
    """

    def register(maker: Maker) -> Maker:
        where = f"plugins: PTM {name!r}"
        if name == TARGET or name in datasets.TABLE.rows:
            raise UserError(f"{where}: is the name of a dataset, or stands for the target; choose another name")
        if channels not in (1, 3) or size < 0:
            raise UserError(f"{where}: needs 1 or 3 channels and a size of at least 0; it has {channels} and {size}")
        means, stds = _per_channel(where, "mean", mean, channels), _per_channel(where, "std", std, channels)
        if not all(0 <= value <= 1 for value in means):
            raise UserError(f"{where}: mean: {mean} is out of range; 0 to 1, as images are in [0, 1]")
        if not all(0 < value <= 1 for value in stds):
            raise UserError(f"{where}: std: {std} is out of range; more than 0, up to 1, as images are in [0, 1]")
        _check_signature(where, maker)
        shown = paper or name
        known = classes if isinstance(classes, str) else tuple(classes)
        row = Foundation(
            name, shown, name, 0, size, means, stds, domain=domain or shown, channels=channels, classes=known,
            maker=maker,
        )  # fmt: skip
        PTMS.add(name, row, maker, files)
        return maker

    return register


def _check_signature(where: str, maker: Callable[..., Any]) -> None:
    try:
        inspect.signature(maker).bind()
    except TypeError as error:
        raise UserError(f"{where}: its function is called without arguments: {error}") from None
    except ValueError:  # a signature that Python cannot read
        return


def _per_channel(where: str, what: str, value: float | tuple[float, ...], channels: int) -> tuple[float, ...]:
    values = (float(value),) * channels if isinstance(value, int | float) else tuple(map(float, value))
    if len(values) != channels:
        raise UserError(f"{where}: {what}: {len(values)} numbers for {channels} channels")
    return values


def find(source: object) -> Foundation | None:
    """The PTM of a source; None for the target and other datasets, on which ddsweep trains PTMs.

    Plugins are loaded only if the source is not the name of one of ddsweep's own datasets.
    """
    if not isinstance(source, str):
        return None
    if source in ("", TARGET) or ":" in source or source in datasets.TABLE.rows:
        return PTMS.rows.get(source)
    return PTMS.get(source)


def by_network(name: str) -> Foundation | None:
    """The PTM whose network has a name, among those that are registered so far."""
    return next((row for row in PTMS.rows.values() if row.name == name), None)


def names() -> list[str]:
    """The names of the networks of all PTMs."""
    return [row.name for row in PTMS.values()]


def place(name: str) -> int | None:
    """The place of a network among those of the PTMs that are registered so far; None if it is not one of them."""
    row = by_network(name)
    return None if row is None else list(PTMS.rows).index(row.source)


def domain(source: str) -> str:
    """The name of a source in tables and figures; empty if it is no PTM's."""
    row = PTMS.rows.get(source)
    return row.domain if row else ""


def describe(row: Foundation) -> str:
    """What makes a PTM: ``module:function`` of a plugin, or the URL of its weights."""
    return name_of(row.maker) if row.maker else row.url

"""The table of networks: the properties that a recipe needs, without importing torch.

A row names the function that makes the layers; ``network`` adds a row for a plugin. PTMs that ddsweep does not train,
such as foundation models, are in a table of their own (``registry.ptms``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ddsweep.errors import UserError
from ddsweep.plugins import Registry, Source
from ddsweep.registry import ptms

Maker = TypeVar("Maker", bound=Callable[..., Any])
PADDED_TO = 32
BELOW_32 = frozenset(range(1, PADDED_TO))


@dataclass(frozen=True)
class Architecture:
    """The properties of a network that are known before it is built.

    Attributes:
        name: the name in a recipe.
        paper: the name in tables and figures.
        source: the function that makes its layers, ``body(channels, size, width, **options)``; see ``nn.build``.
        options: keyword arguments for that function.
        smallest: height and width, in pixels, of the smallest image that its layers accept.
        padded: image sizes that are zero-padded to 32 pixels before the first layer.
        sizes: the only sizes of its input, after padding; empty: all.
        channels: the only numbers of channels of its input; empty: all.
        head: dotted name of the submodule of its function's network that makes the logits; empty: ddsweep appends one.
        pretrained: all its weights come with it, so that every draw is the same network.
        plugin: whether a plugin registered it: what its function makes is the network, with all its values.
        batch_norm: whether ddsweep's own network normalizes by the statistics of a whole batch.
    """

    name: str
    paper: str
    source: Source
    options: Mapping[str, Any] = field(default_factory=dict)
    smallest: int = 1
    padded: Collection[int] = frozenset({28})
    sizes: Collection[int] = ()
    channels: Collection[int] = ()
    head: str = ""
    pretrained: bool = False
    plugin: bool = False
    batch_norm: bool = False

    def canvas(self, size: int, field: str = "arch") -> int:
        """Height and width, in pixels, of the first convolution's input for an image of ``size`` pixels.

        Args:
            size: height and width of the image in pixels.
            field: the recipe field that names the network, for the error.

        Raises:
            UserError: the image is too small for this network, or not of its sizes.
        """
        canvas = PADDED_TO if size in self.padded else size
        if canvas < self.smallest:
            raise UserError(f"{field}: {self.name} needs images of at least {self.smallest} pixels, not {size}")
        if self.sizes and canvas not in self.sizes:
            raise UserError(f"{field}: {self.name} takes images of {_listed(self.sizes)} pixels, not {size}")
        return canvas

    def check_channels(self, channels: int, field: str = "arch") -> None:
        """Check that the network takes images with so many channels.

        Raises:
            UserError: it does not.
        """
        if self.channels and channels not in self.channels:
            raise UserError(f"{field}: {self.name} takes images with {_listed(self.channels)} channels, not {channels}")


def _listed(numbers: Collection[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def _row(name: str, paper: str, family: str, **facts: Any) -> Architecture:
    """A row of the table; its network uses batch norm if the name ends in ``-bn``."""
    options = facts.pop("options", {}) | ({"norm": "batch"} if name.endswith("-bn") else {})
    facts["batch_norm"] = name.endswith("-bn") or family == "narrow_resnet"
    return Architecture(name, paper, f"ddsweep.nn.{family}:body", options, **facts)


def _convnet(name: str, paper: str, depth: int) -> Architecture:
    return _row(name, paper, "convnet", options={"depth": depth}, smallest=2**depth)


def _narrow(depth: int, downsample: str) -> Architecture:
    """A ResNet of the code of IDC and DiM; average pooling of all maps takes images of 8 pixels without padding."""
    ap = downsample == "pool"
    name, paper = (f"resnet{depth}-narrow{'-ap' * ap}", f"ResNet-{depth} (narrow{', AP' * ap})")
    facts: dict[str, Any] = {"smallest": 8, "padded": frozenset()} if ap else _RESNET18
    return _row(name, paper, "narrow_resnet", options={"depth": depth, "downsample": downsample}, **facts)


_ALEXNET = {"smallest": 8}
_VGG11 = {"padded": BELOW_32}
_RESNET18 = {"padded": BELOW_32 - {28}}  # the reference does not pad 28 pixels: 28 → 28 → 14 → 7 → 4


TABLE: Registry[Architecture] = Registry("network", reserved=("resnet18-imagenet", "clip-rn50"))
"""The networks that ``build`` makes."""

for _one in (
    *(_convnet(f"convnet{depth}", f"ConvNet-{depth}", depth) for depth in range(1, 7)),
    _row("alexnet", "AlexNet", "alexnet", **_ALEXNET),
    _row("vgg11", "VGG-11", "vgg", **_VGG11),
    _row("resnet18", "ResNet-18", "resnet", **_RESNET18),
    _row("resnet18-ap", "ResNet-18-AP", "resnet", options={"downsample": "pool"}, **_RESNET18),
    _convnet("convnet3-bn", "ConvNet-3-BN", 3),
    _row("alexnet-bn", "AlexNet-BN", "alexnet", **_ALEXNET),
    _row("vgg11-bn", "VGG-11-BN", "vgg", **_VGG11),
    _row("resnet18-bn", "ResNet-18-BN", "resnet", **_RESNET18),
    *(_narrow(depth, downsample) for downsample in ("stride", "pool") for depth in (10, 18)),
):
    TABLE.add(_one.name, _one, _one.source)


def network(
    name: str,
    *,
    paper: str = "",
    smallest: int = 1,
    padded: Collection[int] = (),
    sizes: Collection[int] = (),
    channels: Collection[int] = (),
    head: str = "",
    pretrained: bool = False,
    options: Mapping[str, Any] | None = None,
    files: Iterable[str] = (),
) -> Callable[[Maker], Maker]:
    """Register a network: a function ``body(channels, size, width, **options)`` that returns a torch module.

    What the function makes is the network, with its parameters, buffers and whatever it loads from files. The module
    maps images [n, channels, size, size] to features of any shape; these are flattened and passed to a linear
    classifier, which ddsweep appends. With ``head``, the function is also given ``classes=``, and its module maps
    images to logits [n, classes] itself; the input of its submodule ``head`` are the features. ``width`` is 128 for
    the network's regular size, and smaller for demonstrations (``nn.layers.scaled``). Decorate a function once for
    each network that it makes.

    The function is called for every network that is drawn, on the CPU, with the global generators of Python, NumPy and
    torch seeded from the recipe. A layer with a method ``initialize(generator)`` is called afterwards to draw its own
    parameters from that generator.

    Args:
        name: the name in a recipe.
        paper: the name in tables and figures; default: ``name``.
        smallest: height and width, in pixels, of the smallest image that the network accepts.
        padded: image sizes that are zero-padded to 32 pixels before the first layer.
        sizes: the only sizes that the network accepts, after padding; default: all.
        channels: the only numbers of channels that it accepts, such as ``(3,)``; default: all.
        head: dotted name of the last submodule, which makes the logits; default: ddsweep appends a linear classifier.
        pretrained: all weights that the function makes are fixed, so that every draw is the same network.
        options: further keyword arguments for the function.
        files: files that it reads, such as weights, relative to the file with its source: their content is part of the
            key, like the code's.

    Raises:
        UserError: the name is invalid, or another network has it; an argument is not valid; the function does not take
            the arguments that it will be given.
    """
    for given, values in (("padded", padded), ("sizes", sizes), ("channels", channels)):
        if isinstance(values, str) or not isinstance(values, Collection) or not all(map(_is_count, values)):
            raise UserError(f"plugins: network {name!r}: {given}: {values!r} is not a list of numbers such as (3,)")
    if not isinstance(head, str):
        raise UserError(f"plugins: network {name!r}: head: {head!r} is not the name of a submodule such as 'fc'")

    def register(body: Maker) -> Maker:
        given = dict(options or {}) | ({"classes": 10} if head else {})
        _check_signature(name, body, given)
        row = Architecture(
            name, paper or name, body, dict(options or {}), smallest, frozenset(padded), frozenset(sizes),
            frozenset(channels), head, pretrained, plugin=True,
        )  # fmt: skip
        TABLE.add(name, row, body, files)
        return body

    return register


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_signature(name: str, body: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Check that a function takes ``(channels, size, width, **given)``.

    Raises:
        UserError: it does not; the line shows the call.
    """
    try:
        inspect.signature(body).bind(3, 32, 128, **given)
    except TypeError as error:
        call = ", ".join(("channels", "size", "width", *(f"{key}=…" for key in given)))
        raise UserError(f"plugins: network {name!r}: its function is called as ({call}): {error}") from None
    except ValueError:  # a signature that Python cannot read
        return


def names() -> list[str]:
    """The names of all networks that ``build`` makes."""
    return list(TABLE)


def all_names() -> list[str]:
    """The names of all networks that can be PTMs: those that ddsweep trains, and those of others."""
    return [*TABLE, *ptms.names()]


def place(name: str) -> tuple[int, tuple[int, str], int]:
    """A sort key that orders networks as ``all_names`` does."""
    published = ptms.place(name)
    return (0, TABLE.place(name), 0) if published is None else (1, (0, ""), published)


def paper_name(name: str) -> str:
    """The name of a network in tables and figures; for an unknown network, ``name`` itself."""
    row = ptms.by_network(name) or TABLE.rows.get(name)
    return row.paper if row else name


def info(name: str) -> Architecture:
    """Return the row of a network.

    Raises:
        UserError: unknown network.
    """
    return TABLE.take(name, "arch")


def join(archs: list[str] | tuple[str, ...]) -> str:
    """Networks as a single recipe value: sorted as in the table and joined by ``+``, so that the spelling is unique."""
    return "+".join(sorted(set(archs), key=TABLE.place))

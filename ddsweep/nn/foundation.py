"""Foundation models: published networks that look at images of any domain (paper, Sec. 5.3).

The networks are their libraries' own modules and their weights their libraries' own downloads; nothing is trained here.
``pretrained.published`` checks and keeps the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ddsweep.errors import UserError
from ddsweep.registry.networks import Foundation

COUNTERS = "num_batches_tracked"  # of batch norms: old files have none, and nothing in eval mode reads them


class FoundationModel(nn.Module):
    """A published network behind its own preprocessing.

    Attributes:
        row: its facts.
        trunk: the library's module, from normalized images to features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, row: Foundation, trunk: nn.Module) -> None:
        super().__init__()
        self.row = row
        self.trunk = trunk
        for name, values in (("mean", row.mean), ("std", row.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def embed(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Features of images in [0, 1]: f((resize(x) − mean) / std), differentiable in x.

        Images of any other size become ``row.size`` pixels high and wide, bilinear (pixel centers at ½) with
        antialiasing, which changes only what gets smaller. CLIP's published preprocessing uses a bicubic filter there;
        the paper says nothing. Nothing is clamped: a synthetic image may leave [0, 1] and needs its gradient there too.
        """
        wanted = (self.row.size, self.row.size)
        if images.shape[-2:] != wanted:
            images = F.interpolate(images, wanted, mode="bilinear", antialias=True)
        return self.trunk((images - self.mean) / self.std)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """The features: a foundation model does not know the classes of the target."""
        return self.embed(images)


@dataclass(frozen=True)
class Form:
    """How one published model is had from its library.

    Attributes:
        make: its feature extractor; called where no memory is taken and nothing is drawn.
        prefix: of the names of its tensors in the published file, where they stand among others.
        unused: the prefix of what the published network has behind the features.
        download: gets the published file into a folder, and returns its path.
    """

    make: Callable[[], nn.Module]
    prefix: str
    unused: str
    download: Callable[[Foundation, Path], Path]


def build(row: Foundation, weights: Mapping[str, Tensor]) -> FoundationModel:
    """The model with ``weights`` (as ``select`` returns them), on the CPU, frozen, in eval mode.

    Raises:
        UserError: its library is not installed.
    """
    trunk = _empty(row).to_empty(device="cpu")
    for name, counter in trunk.named_buffers():
        if name.endswith(COUNTERS):
            counter.zero_()
    trunk.load_state_dict(dict(weights))
    return FoundationModel(row, trunk).requires_grad_(False).eval()


def select(row: Foundation, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the feature extractor out of a published file, in float32.

    Raises:
        UserError: the file is of another network; the line names the first tensor that does not fit. Or the library
            is not installed.
    """
    form = FORMS[row.name]
    found = {
        name.removeprefix(form.prefix): tensor
        for name, tensor in published.items()
        if name.startswith(form.prefix) and not name.endswith(COUNTERS)
    }
    found = {name: tensor for name, tensor in found.items() if not (form.unused and name.startswith(form.unused))}
    wanted = {name: value for name, value in _empty(row).state_dict().items() if not name.endswith(COUNTERS)}
    for name in [*wanted, *found]:
        have, want = (list(part[name].shape) if name in part else "nothing" for part in (found, wanted))
        if have != want:
            raise UserError(f"weights: {form.prefix}{name} is {have} where {row.name} has {want}")
    return {name: found[name].detach().to(torch.float32) for name in wanted}


def download(row: Foundation, folder: Path) -> Path:
    """Let the library download the published file into ``folder``.

    Raises:
        UserError: it could not, and what to do; or the library is not installed.
    """
    try:
        return FORMS[row.name].download(row, folder)
    except (OSError, RuntimeError, ValueError) as error:  # no network, or another file than the published one
        plain = getattr(error, "reason", error)  # of a URLError
        reason = (str(plain).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"source: the weights of {row.name} could not be downloaded ({reason}); where there is a network, get them "
            f"from {row.url}, then here: ddsweep pretrain {row.source} --weights PATH"
        ) from None


def _empty(row: Foundation) -> nn.Module:
    with torch.device("meta"):  # the libraries draw weights from the global generator: not here
        return FORMS[row.name].make()


def _resnet18() -> nn.Module:
    """torchvision's ResNet-18 up to its global average pooling."""
    from torchvision.models import resnet18

    net = resnet18()
    net.fc = nn.Identity()
    return net


def _from_torchvision(row: Foundation, folder: Path) -> Path:
    path = folder / row.url.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(row.url, str(path), hash_prefix=row.sha256, progress=False)
    return path


def _open_clip() -> ModuleType:
    try:
        import open_clip
    except ImportError:
        raise UserError("source: internet (CLIP) needs open_clip; pip install 'ddsweep[clip]'") from None
    return open_clip


def _clip_rn50() -> nn.Module:
    """CLIP's image encoder up to the features that it compares with those of texts."""
    open_clip = _open_clip()
    settings = open_clip.get_model_config("RN50")
    vision = open_clip.CLIPVisionCfg(**settings["vision_cfg"])
    from open_clip.modified_resnet import ModifiedResNet

    heads = vision.width * 32 // vision.head_width
    return ModifiedResNet(vision.layers, settings["embed_dim"], heads, vision.image_size, vision.width)


def _from_open_clip(row: Foundation, folder: Path) -> Path:
    open_clip = _open_clip()
    return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg("RN50", "openai"), cache_dir=str(folder)))


FORMS: dict[str, Form] = {
    "resnet18-imagenet": Form(_resnet18, prefix="", unused="fc.", download=_from_torchvision),
    "clip-rn50": Form(_clip_rn50, prefix="visual.", unused="", download=_from_open_clip),
}

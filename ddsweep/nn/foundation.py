"""Foundation models: published networks for images of any domain (paper, Sec. 5.3).

The networks are modules of their libraries (torchvision, open_clip), and the libraries download the weights; nothing is
trained by ddsweep. ``pretrained.published`` verifies and stores the weights.
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
from ddsweep.registry.ptms import Foundation

COUNTERS = "num_batches_tracked"  # of batch norms; old files lack them, and eval mode does not read them


class FoundationModel(nn.Module):
    """A network that was trained by others, behind its own preprocessing.

    Attributes:
        row: its row in the table of PTMs.
        trunk: a library's module, which maps normalized images to features, or a plugin's, which may have a method
            ``embed`` that does.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, row: Foundation, trunk: nn.Module) -> None:
        super().__init__()
        self.row = row
        self.trunk = trunk
        for name, values in (("mean", row.mean), ("std", row.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def embed(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the features f((resize(x) − mean) / std) of images x in [0, 1], flattened, differentiable in x.

        Images of another size are resized to ``row.size`` × ``row.size`` pixels (0: they are not), bilinearly (pixel
        centers at ½) and with antialiasing, which has an effect only when an image shrinks. CLIP's published
        preprocessing uses a bicubic filter; the paper does not specify one. Values are not clamped: a synthetic image
        may leave [0, 1], and needs its gradient outside as well.
        """
        features: Tensor = getattr(self.trunk, "embed", self.trunk)(self._seen(images))
        return features.flatten(1)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Return the logits if the model has classes; otherwise the features."""
        if not self.row.classes:
            return self.embed(images)
        logits: Tensor = self.trunk(self._seen(images))
        return logits

    def _seen(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c p p"]:
        size = (self.row.size, self.row.size)
        if self.row.size and images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return (images - self.mean) / self.std


@dataclass(frozen=True)
class Loader:
    """How to get one published model from its library.

    Attributes:
        make: returns its feature extractor; called on torch's "meta" device, so that it allocates and draws nothing.
        prefix: prefix of the names of its tensors in the published file, if that holds other tensors as well.
        unused: prefix of the tensors behind the features, which are dropped; empty: none.
        download: downloads the published file into a folder, and returns its path.
    """

    make: Callable[[], nn.Module]
    prefix: str
    unused: str
    download: Callable[[Foundation, Path], Path]


def build(row: Foundation, weights: Mapping[str, Tensor]) -> FoundationModel:
    """Return the model with ``weights`` (as ``select`` returns them), on the CPU, frozen, in eval mode.

    Raises:
        UserError: the library is not installed.
    """
    trunk = _empty(row).to_empty(device="cpu")
    for name, counter in trunk.named_buffers():
        if name.endswith(COUNTERS):
            counter.zero_()
    trunk.load_state_dict(dict(weights))
    return FoundationModel(row, trunk).requires_grad_(False).eval()


def select(row: Foundation, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the feature extractor from a published file, in float32.

    Raises:
        UserError: the file is of another network (the error names the first tensor that does not fit), or the library
            is not installed.
    """
    loader = LOADERS[row.name]
    given = {
        name.removeprefix(loader.prefix): tensor
        for name, tensor in published.items()
        if name.startswith(loader.prefix) and not name.endswith(COUNTERS)
    }
    given = {name: tensor for name, tensor in given.items() if not (loader.unused and name.startswith(loader.unused))}
    needed = {name: value for name, value in _empty(row).state_dict().items() if not name.endswith(COUNTERS)}
    for name in [*needed, *given]:
        shape, expected = (f"shape {list(part[name].shape)}" if name in part else "missing" for part in (given, needed))
        if shape != expected:
            raise UserError(f"weights: {loader.prefix}{name}: {shape} in the file, {expected} in {row.name}")
    return {name: given[name].detach().to(torch.float32) for name in needed}


def download(row: Foundation, folder: Path) -> Path:
    """Let the library download the published file into ``folder``, and return its path.

    Raises:
        UserError: the download failed (the error says how to proceed), or the library is not installed.
    """
    try:
        return LOADERS[row.name].download(row, folder)
    except (OSError, RuntimeError, ValueError) as error:  # no network, or not the published file
        plain = getattr(error, "reason", error)  # of a URLError
        reason = (str(plain).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"source: the weights of {row.name} could not be downloaded ({reason}); on a machine with internet access, "
            f"download {row.url}, then run in its folder: ddsweep pretrain {row.source} --weights {Path(row.url).name}"
        ) from None


def _empty(row: Foundation) -> nn.Module:
    with torch.device("meta"):  # elsewhere, the libraries would draw weights from the global generator
        return LOADERS[row.name].make()


def _resnet18() -> nn.Module:
    """Return torchvision's ResNet-18 up to its global average pooling."""
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
    """Return CLIP's image encoder, up to the features that CLIP compares with those of texts."""
    open_clip = _open_clip()
    settings = open_clip.get_model_config("RN50")
    vision = open_clip.CLIPVisionCfg(**settings["vision_cfg"])
    from open_clip.modified_resnet import ModifiedResNet

    heads = vision.width * 32 // vision.head_width
    return ModifiedResNet(vision.layers, settings["embed_dim"], heads, vision.image_size, vision.width)


def _from_open_clip(row: Foundation, folder: Path) -> Path:
    open_clip = _open_clip()
    return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg("RN50", "openai"), cache_dir=str(folder)))


LOADERS: dict[str, Loader] = {
    "resnet18-imagenet": Loader(_resnet18, prefix="", unused="fc.", download=_from_torchvision),
    "clip-rn50": Loader(_clip_rn50, prefix="visual.", unused="", download=_from_open_clip),
}

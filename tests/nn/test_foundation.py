"""The real architectures with generated weights, against their libraries' own preprocessing and features."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.nn import foundation
from ddsweep.registry.ptms import PTMS
from tests import foundations, toys

RESNET, CLIP = PTMS["imagenet"], PTMS["internet"]


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    return foundations.resnet18()


def pixels(size: int, n: int = 2) -> Tensor:
    return toys.noise(n, 3, size, size, dtype=torch.float32).sigmoid()


@pytest.mark.parametrize("size", [32, 28, 224, 256])
def test_resnet18_sees_what_torchvision_would_show_it(published: dict[str, Tensor], size: int) -> None:
    """fc(embed(x)) is torchvision's model on torchvision's transform of a square image in [0, 1]."""
    from torchvision.models import ResNet18_Weights, resnet18

    whole = foundations.empty(resnet18)
    whole.load_state_dict(published, assign=True)
    transform = ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=224, resize_size=224)
    images = pixels(size, n=1)
    model = foundation.build(RESNET, foundation.select(RESNET, published))
    features = model.embed(images)
    assert features.shape == (1, RESNET.features)
    expected = whole.eval()(transform(images))
    logits = features @ published["fc.weight"].T + published["fc.bias"]
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


def test_the_numbers_of_the_table_are_torchvisions() -> None:
    from torchvision.models import ResNet18_Weights

    official = ResNet18_Weights.IMAGENET1K_V1
    transform = official.transforms()
    assert (official.url, tuple(transform.mean), tuple(transform.std)) == (RESNET.url, RESNET.mean, RESNET.std)
    assert (transform.crop_size, RESNET.size) == ([224], 224)
    assert official.url.endswith(f"-{RESNET.sha256}.pth")


def test_gradients_reach_the_pixels_also_beyond_their_range(published: dict[str, Tensor]) -> None:
    model = foundation.build(RESNET, foundation.select(RESNET, published))
    images = (pixels(16, n=1) * 3 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(model.embed(images).square().sum(), images)
    beyond = (images < 0) | (images > 1)
    assert beyond.any()
    assert (gradient[beyond] != 0).all()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_nothing_is_drawn_from_the_global_generator(published: dict[str, Tensor]) -> None:
    before = torch.get_rng_state()
    foundation.build(RESNET, foundation.select(RESNET, published))
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_without_counters_of_batches_is_as_good(published: dict[str, Tensor]) -> None:
    old = {name: value for name, value in published.items() if not name.endswith("num_batches_tracked")}
    images = pixels(224, n=1)
    new, same = (foundation.build(RESNET, foundation.select(RESNET, file)).embed(images) for file in (published, old))
    assert torch.equal(new, same)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda file: file.pop("layer3.0.bn2.weight"), "weights: layer3.0.bn2.weight: missing in the file"),
        (
            lambda file: file.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}),
            r"shape \[64, 3, 3, 3\] in the file, shape \[64, 3, 7, 7\] in ",
        ),
        # ResNet-34 has every tensor of ResNet-18 in the same shape, and more
        (
            lambda file: file.update({"layer1.2.conv1.weight": torch.zeros(1)}),
            r"layer1.2.conv1.weight: shape \[1\] in the file, missing in ",
        ),
    ],
    ids=["missing", "another shape", "too much"],
)
def test_weights_of_another_network(published: dict[str, Tensor], change, line: str) -> None:
    file = dict(published)
    change(file)
    with pytest.raises(UserError, match=line):
        foundation.select(RESNET, file)


def test_clip_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UserError, match=r"pip install 'ddsweep\[clip\]'"):
        foundation.select(CLIP, {})


def test_clips_image_encoder() -> None:
    """Against the visual tower of open_clip's own CLIP, on images of 224 pixels normalized by hand."""
    open_clip = pytest.importorskip("open_clip")
    assert (CLIP.mean, CLIP.std) == (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    published = foundations.clip_rn50()
    visual = foundations.empty(lambda: open_clip.CLIP(**open_clip.get_model_config("RN50")).visual)
    numbers = {name.removeprefix("visual."): value for name, value in published.items() if name.startswith("visual.")}
    visual.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in numbers.items()}, assign=True)
    images = pixels(224, n=1)
    mean, std = (torch.tensor(values)[:, None, None] for values in (CLIP.mean, CLIP.std))
    features = foundation.build(CLIP, foundation.select(CLIP, published)).embed(images)
    assert features.shape == (1, CLIP.features)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, visual.eval()((images - mean) / std), rtol=1e-3, atol=1e-5)

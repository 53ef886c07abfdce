"""What every network has in common: counts, shapes, order of parameters, padding, width."""

import pytest
import torch
from torch import nn as layers
from torch.nn.functional import conv2d

from ddsweep import nn
from ddsweep.errors import UserError
from tests.nn.nets import count, seeded, small

# Parameters of the reference code in each of SETTINGS; None: not known
REFERENCE_COUNTS = {
    "convnet1": (331_530, 3_280_740, None, None, None),
    "convnet2": (233_610, 970_980, None, None, None),
    "convnet3": (320_010, 504_420, 2_348_520, 317_961, 317_706),
    "convnet4": (452_490, 498_660, 960_360, 451_977, None),
    "convnet5": (596_490, 608_100, None, None, None),
    "alexnet": (1_872_202, 2_148_772, 4_914_472, 1_869_129, 1_865_802),
    "alexnet-bn": (1_872_202 + 1_920, None, None, None, None),
    "vgg11": (9_231_114, 9_277_284, 9_738_984, 9_230_601, 9_229_962),
    "vgg11-bn": (9_231_114, None, None, None, None),
    "resnet18": (11_173_962, 11_220_132, 11_681_832, 11_173_449, 11_172_810),
    "resnet18-bn": (11_173_962, None, None, None, None),
    "resnet18-ap": (11_250_762, 11_988_132, None, None, 11_213_770),
}
# (channels, size, classes)
SETTINGS = ((3, 32, 10), (3, 32, 100), (3, 32, 1000), (3, 32, 9), (1, 28, 10))
NAMES = nn.names()
BN_NAMES = [name for name in NAMES if name.endswith("-bn") or "-narrow" in name]


@pytest.mark.parametrize("name", REFERENCE_COUNTS)
def test_parameter_counts_of_the_reference(name):
    for (channels, size, classes), expected in zip(SETTINGS, REFERENCE_COUNTS[name], strict=True):
        if expected is not None:
            net = nn.build(name, channels=channels, size=size, classes=classes, generator=seeded())
            assert count(net) == expected, (channels, size, classes)


@pytest.mark.parametrize(("size", "expected"), [(224, 754_570), (128, 748_170)])
def test_parameter_counts_of_the_network_of_table_3(size, expected):
    assert count(nn.build("convnet6", channels=3, size=size, classes=10, generator=seeded())) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("name", NAMES)
def test_every_network_takes_images_of_every_size_it_can(name, size, channels):
    too_small = {16: ("convnet5", "convnet6"), 28: ("convnet6",), 32: ("convnet6",), 64: ()}[size]
    if name in too_small:
        with pytest.raises(UserError, match=rf"^arch: {name} needs images of at least \d+ pixels, not {size}$"):
            small(name, channels=channels, size=size)
        return
    net = small(name, channels=channels, size=size, classes=7)
    images = torch.randn(2, channels, size, size, generator=seeded())
    assert net(images).shape == (2, 7)
    torch.testing.assert_close(net(images), net.classifier(net.embed(images)))


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("convnet3", 2048),
        ("convnet4", 512),
        ("alexnet", 3072),
        ("vgg11", 512),
        ("resnet18", 512),
        ("resnet18-ap", 8192),
    ],
)
def test_feature_widths_of_the_reference(name, features):
    net = nn.build(name, generator=seeded())
    assert net.embed(torch.zeros(2, 3, 32, 32)).shape == (2, features)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("convnet3", {8: 16, 16: 64, 28: 256, 64: 1024}),
        ("alexnet", {8: 24, 16: 96, 28: 384, 64: 1536}),
        ("vgg11", {8: 64, 16: 64, 28: 64, 64: 256}),
        ("resnet18", {8: 64, 16: 64, 28: 64, 64: 256}),
        ("resnet18-ap", {8: 1024, 16: 1024, 28: 576, 64: 4096}),
    ],
)
def test_features_of_other_sizes_than_the_one_built_for(name, features):
    net = small(name, size=32)
    for size, expected in features.items():
        assert net.embed(torch.zeros(2, 3, size, size)).shape == (2, expected), size
        assert small(name, size=size).classifier.in_features == expected, size


def test_features_of_images_that_are_too_small_are_refused_by_name():
    with pytest.raises(UserError, match="arch: convnet4 needs images of at least 16 pixels, not 8"):
        small("convnet4").embed(torch.zeros(1, 3, 8, 8))


def test_the_features_are_in_channel_row_column_order():
    net = small("convnet3")
    maps = net.layers(torch.randn(2, 3, 32, 32, generator=seeded()))
    features = net.embed(torch.randn(2, 3, 32, 32, generator=seeded()))
    assert maps.shape == (2, 16, 4, 4)
    assert features[1, 5 * 16 + 2 * 4 + 3] == maps[1, 5, 2, 3]


def kinds(net: nn.Network) -> list[str]:
    """Each parameter in registration order, as what its layer is: conv.weight, norm.bias, …"""
    short = {"Conv2d": "conv", "GroupNorm": "norm", "BatchNorm2d": "norm", "Linear": "linear"}
    found = []
    for name, _ in net.named_parameters():
        owner, _, leaf = name.rpartition(".")
        found.append(f"{short[type(net.get_submodule(owner)).__name__]}.{leaf}")
    return found


CONV, NORM, LINEAR = ["conv.weight", "conv.bias"], ["norm.weight", "norm.bias"], ["linear.weight", "linear.bias"]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("convnet3", 3 * (CONV + NORM) + LINEAR),
        ("convnet3-bn", 3 * (CONV + NORM) + LINEAR),
        ("alexnet", 5 * CONV + LINEAR),
        ("alexnet-bn", 5 * (CONV + NORM) + LINEAR),
        ("vgg11", 8 * (CONV + NORM) + LINEAR),
        ("resnet18", (1 + 2 * 2 + 3 * 5) * ["conv.weight", *NORM] + LINEAR),
    ],
)
def test_parameters_are_registered_weight_before_bias_and_convolution_before_norm(name, order):
    assert kinds(small(name)) == order


@pytest.mark.parametrize("name", ["convnet3", "vgg11", "resnet18", "resnet18-ap"])
def test_parameters_are_registered_in_execution_order(name):
    """In a residual block the shortcut is registered last and, ``residual(x) + shortcut(x)``, run last."""
    net, ran = small(name), []
    for layer in net.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, *_: ran.append(layer))
    net(torch.zeros(2, 3, 32, 32))
    used = [id(parameter) for layer in ran for parameter in layer.parameters()]
    assert used == [id(parameter) for parameter in net.parameters()]


@pytest.mark.parametrize(("name", "padding"), [("convnet3", 3), ("vgg11", 3), ("alexnet", 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_padding_28_pixels_to_32_equals_the_reference_which_widens_the_first_padding(name, padding, channels):
    net = small(name, channels=channels, size=28).double()
    images = torch.randn(2, channels, 28, 28, generator=seeded(1), dtype=torch.float64)
    first, *rest = net.layers.children()
    weight, bias = first.parameters()
    maps = conv2d(images, weight, bias, padding=padding)
    assert maps.shape[-1] == 32
    torch.testing.assert_close(net.embed(images), layers.Sequential(*rest)(maps).flatten(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [16, 17])
def test_small_images_are_padded_in_the_middle(size):
    net = small("vgg11", size=size).double()
    images = torch.randn(2, 3, size, size, generator=seeded(1), dtype=torch.float64)
    framed = torch.zeros(2, 3, 32, 32, dtype=torch.float64)
    corner = (32 - size) // 2
    framed[..., corner : corner + size, corner : corner + size] = images
    torch.testing.assert_close(net(images), net(framed), rtol=0, atol=0)


def spelt(net: nn.Network) -> str:
    """The layers in one line: a convolution as kernel x channels, R for ReLU, M for max and A for average pooling."""
    words = []
    for layer in net.layers.children():
        match layer:
            case layers.Conv2d():
                assert layer.stride == (1, 1) and layer.padding == (layer.kernel_size[0] // 2,) * 2
                words.append(f"{layer.kernel_size[0]}x{layer.out_channels}")
            case layers.MaxPool2d() | layers.AvgPool2d():
                assert layer.kernel_size == layer.stride == 2
                words.append(type(layer).__name__[0])
            case _:
                words.append({"ReLU": "R", "GroupNorm": "I", "BatchNorm2d": "B"}[type(layer).__name__])
    return " ".join(words)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convnet2", "3x128 I R A 3x128 I R A"),
        ("alexnet", "5x128 R M 5x192 R M 3x256 R 3x192 R 3x192 R M"),
        ("alexnet-bn", "5x128 B R M 5x192 B R M 3x256 B R 3x192 B R 3x192 B R M"),
        (
            "vgg11",
            "3x64 I R M 3x128 I R M 3x256 I R 3x256 I R M 3x512 I R 3x512 I R M 3x512 I R 3x512 I R M",
        ),
    ],
)
def test_layers_of_the_sequential_networks(name, expected):
    assert spelt(nn.build(name, generator=seeded())) == expected


def test_a_network_is_trainable_on_the_cpu_in_training_mode():
    net = small("convnet3-bn")
    assert net.training
    assert {(p.device.type, p.dtype, p.requires_grad) for p in net.parameters()} == {("cpu", torch.float32, True)}


@pytest.mark.parametrize("name", NAMES)
def test_only_batch_norm_depends_on_the_other_images_of_a_batch(name):
    size = 64 if name == "convnet6" else 32
    net = small(name, size=size).double()
    images = torch.randn(4, 3, size, size, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        independent = torch.allclose(net(images)[:2], net(images[:2]), rtol=1e-9, atol=1e-9)
    assert nn.has_batch_norm(net) == (name in BN_NAMES) == (not independent)


def test_width_scales_every_channel_count_and_rounds_to_at_least_one():
    def channels(name: str, width: int) -> list[int]:
        net = nn.build(name, width=width, generator=seeded())
        return [layer.out_channels for layer in net.modules() if isinstance(layer, layers.Conv2d)]

    assert channels("convnet3", 24) == [24, 24, 24]
    assert channels("alexnet", 128) == [128, 192, 256, 192, 192]
    assert channels("alexnet", 64) == [64, 96, 128, 96, 96]
    assert channels("vgg11", 64) == [32, 64, 128, 128, 256, 256, 256, 256]
    assert channels("resnet18", 64) == [*(32,) * 5, *(64,) * 5, *(128,) * 5, *(256,) * 5]
    assert channels("alexnet", 1) == [1, 2, 2, 2, 2]
    assert channels("vgg11", 1) == [1, 1, 2, 2, 4, 4, 4, 4]
    assert small("resnet18", width=1)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_an_unknown_network_is_refused():
    with pytest.raises(UserError, match="arch: unknown network 'convnet7'; did you mean convnet"):
        nn.build("convnet7")

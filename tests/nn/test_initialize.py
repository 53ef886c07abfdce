import math

import pytest
import torch
from torch import nn as layers

from ddsweep import nn
from tests.nn.nets import seeded, small


@pytest.mark.parametrize("name", nn.names())
def test_the_same_seed_gives_the_same_network_and_the_global_generator_is_not_touched(name):
    size = 64 if name == "convnet6" else 32
    before = torch.get_rng_state()
    first, again, other = (small(name, size=size, generator=seeded(seed)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize("name", ["convnet3", "convnet3-bn", "alexnet", "resnet18"])
def test_initialize_redraws_every_parameter_in_place(name):
    net, fresh = small(name), small(name, generator=seeded(5))
    parameters = list(net.parameters())
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.fill_(3)
    nn.initialize(net, seeded(5))
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert all(parameter.requires_grad and parameter.grad_fn is None for parameter in parameters)
    for key, tensor in fresh.state_dict().items():
        assert torch.equal(net.state_dict()[key], tensor), key


def test_initialization_is_pytorchs_own():
    """The same layers made in the same order with PyTorch's global generator at the same seed."""
    net = small("convnet2", generator=seeded(7))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        reference = layers.Sequential(
            *(layers.Conv2d(3, 16, 3), layers.GroupNorm(16, 16)),
            *(layers.Conv2d(16, 16, 3), layers.GroupNorm(16, 16)),
            layers.Linear(16 * 8 * 8, 10),
        )
        torch.manual_seed(7)
        of_the_global_generator = nn.build("convnet2", width=16)
    for ours, theirs, ours_too in zip(
        net.parameters(), reference.parameters(), of_the_global_generator.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
        assert torch.equal(ours, ours_too)


def test_weights_and_biases_are_uniform_within_one_over_the_root_of_fan_in():
    net = nn.build("vgg11", generator=seeded())
    for layer in net.modules():
        if not isinstance(layer, layers.Conv2d | layers.Linear):
            continue
        weight, bias = (parameter.detach().double() for parameter in layer.parameters())
        bound, n = 1 / math.sqrt(weight[0].numel()), weight.numel()
        assert max(weight.abs().max(), bias.abs().max()) <= bound * (1 + 1e-6)
        assert weight.abs().max() > bound * (1 - 20 / n)
        # moments of U(−b, b): mean 0 ± b/√(3n), variance b²/3 ± b²·√(4/45n); six standard errors
        assert abs(weight.mean()) < 6 * bound / math.sqrt(3 * n)
        assert abs(weight.square().mean() - bound**2 / 3) < 6 * bound**2 * math.sqrt(4 / (45 * n))


@pytest.mark.parametrize("name", [name for name in nn.names() if name.endswith("-bn")])
def test_norms_start_as_the_identity_with_fresh_statistics(name):
    state = small(name).state_dict()
    norms = {key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")}
    assert norms
    for norm in norms:
        assert state[f"{norm}.weight"].eq(1).all()
        assert state[f"{norm}.bias"].eq(0).all()
        assert state[f"{norm}.running_mean"].eq(0).all()
        assert state[f"{norm}.running_var"].eq(1).all()
        assert state[f"{norm}.num_batches_tracked"] == 0


@pytest.mark.gpu
def test_a_network_on_the_gpu_gets_the_same_numbers():
    on_gpu = small("resnet18-bn").cuda()
    nn.initialize(on_gpu, seeded(3))
    for ours, theirs in zip(small("resnet18-bn", generator=seeded(3)).parameters(), on_gpu.parameters(), strict=True):
        assert torch.equal(ours, theirs.cpu())


def test_initialize_refuses_layers_that_it_does_not_know():
    with pytest.raises(TypeError, match="PReLU"):
        nn.initialize(layers.Sequential(layers.ReLU(), layers.PReLU()), seeded())

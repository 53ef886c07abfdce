import math

import pytest
import torch

from ddsweep.distill.guidance.clom import cclom, clom
from tests import toys


def frozen(norm: str = "group") -> toys.Net:
    return toys.Net(norm=norm).eval().requires_grad_(False)


def test_clom_is_the_mean_cross_entropy_of_every_image():
    net, syn = frozen(), toys.synthetic()
    total = 0.0
    for image, label in zip(syn.images.detach(), syn.labels.tolist(), strict=True):
        _, logits = toys.by_hand(list(net.parameters()), image)
        total += math.log(sum(math.exp(logit) for logit in logits.tolist())) - logits[label].item()
    assert clom(net, syn.images, syn.labels).item() == pytest.approx(total / 6, rel=1e-12)


def test_clom_does_not_depend_on_the_order_of_the_set():
    net, syn = frozen(), toys.synthetic()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(clom(net, syn.images[order], syn.labels[order]), clom(net, syn.images, syn.labels))


def test_an_image_is_pulled_by_its_share_of_the_error_and_no_more():
    """Of a linear PTM, logits = W s: the gradient to image i is Wᵀ (softmax(W s_i) − onehot(y_i)) / |S|."""
    syn = toys.synthetic()
    weight = 0.1 * toys.noise(3, syn.images[0].numel(), seed=8)
    (gradient,) = torch.autograd.grad(
        clom(lambda images: images.flatten(1) @ weight.T, syn.images, syn.labels), syn.images
    )
    for image, label, found in zip(syn.images.detach(), syn.labels.tolist(), gradient, strict=True):
        powers = [math.exp(sum((row * image.flatten()).tolist())) for row in weight]
        errors = [power / sum(powers) - (index == label) for index, power in enumerate(powers)]
        expected = sum(error * row for error, row in zip(errors, weight, strict=True)) / 6
        torch.testing.assert_close(found.flatten(), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("regularizer", ["clom", "cclom"])
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_ptm_stays_as_it_was(regularizer, norm):
    net, syn, data = frozen(norm), toys.synthetic(), toys.dataset()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    if regularizer == "clom":
        clom(net, syn.images, syn.labels).backward()
    else:
        cclom(net.embed(syn.images), syn.labels, net.embed(data.images[:]), data.labels).backward()
    assert syn.images.grad is not None
    assert syn.images.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def features(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# Two synthetic features along the axes, real ones along the axes and the diagonal. Of the distances
#             (1, 0)  (0, 1)  (1, 1)/√2
#     (1, 0)    0       1      1 - 1/√2
#     (0, 1)    1       0      1 - 1/√2
# the pairs of one class, (first, first), (second, second), (second, third), add up to 1 - 1/√2.
AXES = features((1, 0), (0, 1)), torch.tensor([0, 1])
REAL = features((1, 0), (0, 1), (1, 1)), torch.tensor([0, 1, 1])


def test_cclom_by_hand():
    short = 1 - 1 / math.sqrt(2)
    loss = cclom(*AXES, *REAL)
    assert loss.item() == pytest.approx(short / (2 + 2 * short), rel=1e-12)


def test_cclom_does_not_depend_on_the_length_of_features():
    synthetic, labels = AXES
    real, real_labels = REAL
    loss = cclom(synthetic * features((3.0,), (0.1,)), labels, real * features((5.0,), (1.0,), (0.2,)), real_labels)
    torch.testing.assert_close(loss, cclom(*AXES, *REAL))


def test_cclom_of_features_that_tell_nothing_is_one_in_as_many_as_there_are_classes():
    classes, labels = 5, torch.arange(5)
    basis = torch.eye(2 * classes, dtype=torch.float64)  # every synthetic feature is orthogonal to every real one
    loss = cclom(basis[:classes], labels, basis[classes:], labels)
    assert loss.item() == pytest.approx(1 / classes, rel=1e-12)


def test_cclom_of_classes_that_each_point_one_way_is_zero():
    synthetic, labels = AXES
    assert cclom(synthetic, labels, 7 * synthetic, labels).item() == pytest.approx(0, abs=1e-12)


def test_cclom_is_the_double_loop_over_pairs():
    net, syn, data = frozen(), toys.synthetic(), toys.dataset(per_class=2)
    parameters = list(net.parameters())
    same = total = 0.0
    for image, label in zip(syn.images.detach(), syn.labels.tolist(), strict=True):
        ours, _ = toys.by_hand(parameters, image)
        for other, other_label in zip(data.images[:], data.labels.tolist(), strict=True):
            theirs, _ = toys.by_hand(parameters, other)
            distance = 1 - (ours @ theirs / (ours.norm() * theirs.norm())).item()
            same, total = same + distance * (label == other_label), total + distance
    loss = cclom(net.embed(syn.images), syn.labels, net.embed(data.images[:]), data.labels)
    assert loss.item() == pytest.approx(same / total, rel=1e-12)


def test_real_features_carry_no_graph():
    real = toys.dataset().images[:].clone().requires_grad_()
    syn, labels = toys.synthetic(), toys.dataset().labels
    embed = toys.Net().embed
    cclom(embed(syn.images), syn.labels, embed(real), labels).backward()
    assert real.grad is None
    assert syn.images.grad is not None


def test_gradient_of_cclom_flows_through_numerator_and_denominator():
    net, syn, data = frozen(), toys.synthetic(), toys.dataset(per_class=3)
    probe = toys.noise(*syn.images.shape, seed=11)

    def loss(images: torch.Tensor) -> torch.Tensor:
        return cclom(net.embed(images), syn.labels, net.embed(data.images[:]), data.labels)

    (gradient,) = torch.autograd.grad(loss(syn.images), syn.images)
    with torch.no_grad():
        slope = (loss(syn.images + 1e-6 * probe) - loss(syn.images - 1e-6 * probe)) / 2e-6
    assert (gradient * probe).sum().item() == pytest.approx(slope.item(), rel=1e-5)

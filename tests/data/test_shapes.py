import math

import pytest
import torch
from torch import nn

from ddsweep import data, rng
from ddsweep.data import shapes
from ddsweep.registry import classes


def at(name, points):
    x, y = torch.tensor(points, dtype=torch.float64).unbind(1)
    return shapes.FIELDS[name](x, y)


INSIDE_AND_OUTSIDE = {
    "disc": ([(0, 0), (0.6, 0.6)], [(0.9, 0), (0.7, 0.7)]),
    "ring": ([(0.7, 0), (0, -0.6)], [(0, 0), (0.4, 0), (0.95, 0)]),
    "square": ([(0, 0), (0.75, 0.75)], [(0.8, 0), (0, -0.8)]),
    "frame": ([(0.7, 0.7), (-0.6, 0)], [(0, 0), (0.4, 0.4), (0.9, 0)]),
    "triangle": ([(0, 0.95), (0.8, -0.45), (-0.8, -0.45)], [(0.5, 0.5), (0, -0.55), (-0.5, 0.5)]),
    "diamond": ([(0, 0.95), (0.5, 0), (-0.5, 0)], [(0.6, 0), (0.4, 0.4)]),
    "cross": ([(0, 0), (0.9, 0.2), (0.2, -0.9)], [(0.4, 0.4), (-0.4, 0.4)]),
    "bars": ([(0, 0.8), (0.68, -0.8), (-0.68, 0)], [(0.34, 0), (-0.34, 0), (0.95, 0)]),
    "star": ([(0, 0.95), (0, -0.38), (0, 0)], [(0, -0.5), (0, 1.02)]),
    "crescent": ([(-0.8, 0), (0, 0.8)], [(0, 0), (0.5, 0), (-0.95, 0)]),
}


def test_the_shapes_are_those_of_the_table():
    assert list(shapes.FIELDS) == list(classes.SHAPES) == list(INSIDE_AND_OUTSIDE)


@pytest.mark.parametrize("name", shapes.FIELDS)
def test_a_field_is_negative_inside_and_positive_outside(name):
    inside, outside = INSIDE_AND_OUTSIDE[name]
    assert (at(name, inside) < 0).all()
    assert (at(name, outside) > 0).all()


@pytest.mark.parametrize("name", shapes.FIELDS)
def test_a_field_measures_distance_so_that_every_edge_is_one_pixel_wide(name):
    """The gradient of a signed distance has length 1 wherever it exists."""
    across, down = (
        torch.linspace(-0.99, 0.97, 67).double(),
        torch.linspace(-0.98, 0.95, 61).double(),
    )  # off the diagonals
    x, y = (part.flatten().requires_grad_() for part in torch.meshgrid(across, down, indexing="xy"))
    slope = torch.hypot(*torch.autograd.grad(shapes.FIELDS[name](x, y).sum(), (x, y)))
    assert torch.allclose(slope, torch.ones_like(slope), atol=1e-6)


def test_the_star_has_five_tips_and_five_inner_corners():
    turns = torch.arange(5, dtype=torch.float64) * 2 * math.pi / 5
    star = shapes.FIELDS["star"]
    assert torch.allclose(star(turns.sin(), turns.cos()), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    inner = turns + math.pi / 5
    corners = star(0.42 * inner.sin(), 0.42 * inner.cos())
    assert torch.allclose(corners, torch.zeros(5, dtype=torch.float64), atol=1e-12)


def test_coverage_of_a_disc_adds_up_to_its_area():
    still = torch.zeros(1, dtype=torch.float64)
    scene = shapes.Scenes(
        still + 0.7, torch.zeros(1, 2).double(), still, torch.ones(1, 3).double(), torch.zeros(1, 3).double()
    )
    covered = shapes.coverage(shapes.FIELDS["disc"], scene, 64).mean() * 4
    assert covered == pytest.approx(math.pi * (0.88 * 0.7) ** 2, rel=0.01)


def test_position_and_turn_move_the_shape_as_they_say():
    """The tip of a triangle turned a quarter anticlockwise points left, and x and y point right and up."""
    one, color = torch.ones(1, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64)
    scene = shapes.Scenes(0.5 * one, torch.tensor([[0.4, 0.3]]).double(), math.pi / 2 * one, color, color)
    mask = shapes.coverage(shapes.FIELDS["triangle"], scene, 200)[0]
    rows, columns = torch.nonzero(mask > 0.5).unbind(1)
    assert ((columns.min() + 0.5) / 100 - 1).item() == pytest.approx(0.4 - 0.5, abs=0.03)
    assert ((columns.max() + 0.5) / 100 - 1).item() == pytest.approx(0.4 + 0.25, abs=0.03)
    assert (1 - (rows.double().mean() + 0.5) / 100).item() == pytest.approx(0.3, abs=0.03)


def test_ink_stands_out_from_paper_in_every_scene_either_way_round():
    scene = shapes.scenes(2000, rng.generator(0, "test"))
    weights = torch.tensor(shapes.LUMA, dtype=torch.float64)
    contrast = (scene.ink - scene.paper) @ weights
    assert contrast.abs().min() > 0.25
    assert 0.4 < (contrast > 0).double().mean() < 0.6
    assert (scene.center.abs() + scene.radius[:, None]).max() <= 1


def test_the_same_pictures_at_every_size():
    small, _ = shapes.draw(3, 16, rng.generator(0, "test"))
    large, _ = shapes.draw(3, 64, rng.generator(0, "test"))
    shrunk = nn.functional.avg_pool2d(large.float(), 4)
    assert (small.float() - shrunk).abs().mean() < 3 * 255 * shapes.NOISE


def test_a_small_network_soon_tells_the_shapes_apart():
    dataset = data.load("shapes")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for channels in (3, 24, 24):
            layers += [nn.Conv2d(channels, 24, 3, padding=1), nn.GroupNorm(24, 24), nn.ReLU(), nn.AvgPool2d(2)]
        net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * 4, 10))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for _ in range(6):
            for batch in torch.randperm(len(dataset.images)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(dataset.images[batch]), dataset.labels[batch]).backward()
                optimizer.step()
    accuracy = (net(dataset.test_images).argmax(1) == dataset.test_labels).float().mean()
    assert accuracy > 0.85

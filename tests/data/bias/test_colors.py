"""Colors, against a loop over images, channels and pixels."""

import numpy as np
import pytest
import torch

from ddsweep.data.bias import colors

# protocols, section 8: rounded to four decimals
TABLE = """
.9837,.3125,.1686 .9905,.9156,.3515 .6730,.4611,.5798 .7833,.8316,.6013 .0880,.7780,.9818 .3214,.9611,.4464
.0246,.2357,.7587 .5552,.1016,.7618 .2077,.3929,.0187 .8337,.2024,.2669
"""
SD = {1: 0.05, 2: 0.02, 3: 0.01, 4: 0.005}


def test_the_colors_and_the_noise_are_the_published_ones():
    assert tuple(tuple(map(float, one.split(","))) for one in TABLE.split()) == colors.MEANS
    assert colors.NOISE == SD


def test_noise_is_drawn_image_by_image_as_the_authors_draw_it():
    ours, theirs = torch.Generator().manual_seed(42), torch.Generator().manual_seed(42)
    for count in (1, 7, 100):  # an odd number of draws leaves half of a pair for the next
        expected = torch.stack([torch.randn((3, 1, 1), generator=theirs).flatten() for _ in range(count)])
        assert torch.equal(colors.noise(count, ours), expected)


@pytest.mark.parametrize("severity", [1, 2, 3, 4])
def test_every_byte(severity):
    generator = torch.Generator().manual_seed(severity)
    gray = torch.randint(0, 256, (30, 1, 5, 4), generator=generator, dtype=torch.uint8)
    attributes = torch.arange(10).repeat(3)
    triples = 2 * torch.randn((30, 3), generator=generator)  # so that some colors are clipped
    found = colors.colored(gray, attributes, severity, triples)
    means = [tuple(map(float, one.split(","))) for one in TABLE.split()]
    for n in range(30):
        for channel in range(3):
            color = np.float32(means[attributes[n]][channel]) + triples[n, channel].numpy() * np.float32(SD[severity])
            clipped = np.float32(min(max(float(color), 0), 1))
            for y in range(5):
                for x in range(4):
                    byte = int(clipped * np.float32(gray[n, 0, y, x].item()))
                    assert found[n, channel, y, x] == byte, (n, channel, y, x)


def test_black_stays_black_and_white_becomes_the_color():
    gray = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    found = colors.colored(gray, torch.tensor([4, 4]), 4, torch.zeros(2, 3))
    assert found.flatten(1).tolist() == [[0, 0, 0], [22, 198, 250]]  # floor(255 · (0.0880, 0.7780, 0.9818))

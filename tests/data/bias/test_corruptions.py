"""Each corruption against its formula written out, slowly, or against the library that is the reference.

The numbers are those of the protocol (appendix, section 8), written once more here.
"""

from __future__ import annotations

import colorsys
import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage  # type: ignore[import-untyped]

from ddsweep.data.bias import corruptions, weather
from ddsweep.data.bias.corruptions import CORRUPTIONS, corrupted
from ddsweep.data.bias.draws import Draws
from ddsweep.errors import UserError

NAMES = "snow frost fog brightness contrast spatter elastic jpeg pixelate saturate".split()
LEVELS = [1, 2, 3, 4, 5]
levels = pytest.mark.parametrize("level", LEVELS)


def image(kind="photo"):
    """32×32: smooth colors, with a gray, a black and a white patch."""
    y, x = np.mgrid[:32, :32] / 31
    colors = np.stack([x, y, 0.5 + 0.5 * np.sin(9 * x * y)], -1)
    noise = np.random.default_rng(3).normal(0, 0.08, (32, 32, 3))
    pixels = (np.clip(colors + noise, 0, 1) * 255).astype(np.uint8)
    pixels[2:6, 2:6], pixels[8:12, 2:6], pixels[14:18, 2:6] = 128, 0, 255
    return pixels


def draws():
    return Draws(42, "here", 7)


def run(name, level, pixels=None):
    found = CORRUPTIONS[NAMES.index(name)](image() if pixels is None else pixels, level, draws())
    assert found.min() >= 0
    assert found.max() <= 255
    return found


def test_the_order_is_that_of_the_attributes():
    assert [one.__name__ for one in CORRUPTIONS] == NAMES


def gaussian(layer, sigma):
    """Row by row and column by column, with weights up to 4 sigma; the border is repeated."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(-radius, radius + 1)]
    total = sum(weights)
    size = len(layer)

    def along_rows(values):
        return np.array([
            [
                sum(w / total * values[y, min(max(x + i - radius, 0), size - 1)] for i, w in enumerate(weights))
                for x in range(size)
            ]
            for y in range(size)
        ])  # fmt: skip

    return along_rows(along_rows(layer).T).T


@levels
def test_snow(level):
    mean, sd, zoom, threshold, radius, sigma, mix = [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ][level - 1]  # fmt: skip
    own = draws()
    layer = own.normal(mean, sd, (32, 32))
    angle = math.radians(float(own.uniform(-135, -45)))
    part = math.ceil(32 / zoom)
    top = (32 - part) // 2
    layer = ndimage.zoom(layer[top : top + part, top : top + part], zoom, order=1)
    trim = (len(layer) - 32) // 2
    layer = layer[trim : trim + 32, trim : trim + 32]
    flakes = [[math.floor(255 * min(max(v if v >= threshold else 0, 0), 1)) for v in line] for line in layer]
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
    blurred = np.zeros((32, 32))
    for y in range(32):
        for x in range(32):
            for i, weight in enumerate(weights):
                there_x = min(max(x + math.ceil(i * math.cos(angle) - 0.5), 0), 31)
                there_y = min(max(y + math.ceil(i * math.sin(angle) - 0.5), 0), 31)
                blurred[y, x] += weight / sum(weights) * flakes[there_y][there_x]
    blurred = np.round(blurred) / 255
    x, expected = image() / 255, np.zeros((32, 32, 3))
    for row in range(32):
        for column in range(32):
            red, green, blue = x[row, column]
            bright = 1.5 * (0.299 * red + 0.587 * green + 0.114 * blue) + 0.5
            for channel in range(3):
                value = mix * x[row, column, channel] + (1 - mix) * max(x[row, column, channel], bright)
                value += blurred[row, column] + blurred[31 - row, 31 - column]
                expected[row, column, channel] = 255 * min(max(value, 0), 1)
    assert run("snow", level) == pytest.approx(expected, abs=1e-9)
    assert blurred.max() > 0


def test_snow_falls_down():
    """A flake leaves a trail on the pixels that see it when they look up, at −90°."""
    layer = np.zeros((32, 32))
    layer[4, 10] = 1
    found = weather.streaked(layer, 3, 2.0, -90)
    assert np.flatnonzero(found.sum(0)).tolist() == [10]
    assert np.flatnonzero(found.sum(1)).tolist() == list(range(4, 11))
    assert found[4, 10] > found[5, 10] > found[10, 10]
    assert found.sum() == pytest.approx(1)


def plasma(size, decay, own):
    """Diamond-square, one point at a time, on a torus; the draws of a round are those of its points in rows."""
    value, step, amplitude = {(0, 0): 0.0}, size, 100.0
    while step >= 2:
        half = step // 2
        for kind in ("square", "right", "down"):
            count = size // step
            noise = own.uniform(-amplitude, amplitude, (count, count)) * amplitude
            for i in range(count):
                for j in range(count):
                    y, x = i * step, j * step
                    around = [(half, 0), (-half, 0), (0, half), (0, -half)]
                    if kind == "square":
                        y, x, around = y + half, x + half, [(a, b) for a in (-half, half) for b in (-half, half)]
                    elif kind == "right":
                        x += half
                    else:
                        y += half
                    mean = sum(value[(y + dy) % size, (x + dx) % size] for dy, dx in around) / 4
                    value[y, x] = mean + noise[i, j]
        step, amplitude = half, amplitude / decay
    low, high = min(value.values()), max(value.values())
    return np.array([[(value[y, x] - low) / (high - low) for x in range(size)] for y in range(size)])


@levels
def test_fog(level):
    amount, decay = [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)][level - 1]
    x = image() / 255 * 0.9
    fractal = plasma(32, decay, draws())
    dark = np.floor(x * 255).astype(np.uint8)
    x = dark / 255
    expected = 255 * np.clip((x + amount * fractal[..., None]) * x.max() / (x.max() + amount), 0, 1)
    assert run("fog", level, dark) == pytest.approx(expected, abs=1e-8)


@levels
def test_frost(level):
    own, ice = [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)][level - 1]
    generator, pixels = draws(), image()
    texture = weather.textures()[generator.below(5)]
    top, left = generator.below(96), generator.below(96)
    expected = [
        [[min(own * pixels[y, x, c] + ice * texture[top + y, left + x, c], 255) for c in range(3)] for x in range(32)]
        for y in range(32)
    ]
    assert run("frost", level) == pytest.approx(np.array(expected), abs=1e-9)


def test_the_textures_of_frost_are_ridges_of_fractals_and_always_the_same():
    for number, texture in enumerate(weather.textures()):
        fractal = plasma(128, 1.7, Draws(0, "frost", number))
        ridges = (1 - abs(2 * fractal - 1)) ** 2
        expected = 255 * (0.3 + 0.7 * ridges)[..., None] * [0.86, 0.95, 1.0]
        assert texture == pytest.approx(expected, abs=1e-7)
    assert len({texture.tobytes() for texture in weather.textures()}) == 5


def in_hsv(pixels, change):
    """Every pixel through the standard library's HSV."""
    changed = [[colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in line] for line in pixels / 255]
    return 255 * np.array(changed)


@levels
def test_brightness(level):
    more = [0.05, 0.1, 0.15, 0.2, 0.3][level - 1]
    expected = in_hsv(image(), lambda h, s, v: (h, s, min(v + more, 1)))
    assert run("brightness", level) == pytest.approx(expected, abs=1e-9)


@levels
def test_saturate(level):
    factor, offset = [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)][level - 1]
    expected = in_hsv(image(), lambda h, s, v: (h, min(max(s * factor + offset, 0), 1), v))
    assert run("saturate", level) == pytest.approx(expected, abs=1e-9)


@levels
def test_contrast(level):
    factor, pixels = [0.75, 0.5, 0.4, 0.3, 0.15][level - 1], image()
    expected = np.zeros((32, 32, 3))
    for channel in range(3):
        mean = sum(int(pixels[y, x, channel]) for y in range(32) for x in range(32)) / 1024
        for y in range(32):
            for x in range(32):
                expected[y, x, channel] = min(max((pixels[y, x, channel] - mean) * factor + mean, 0), 255)
    assert run("contrast", level) == pytest.approx(expected, abs=1e-9)


WATER = [(0.62, 0.1, 0.7, 0.7, 0.5), (0.65, 0.1, 0.8, 0.7, 0.5), (0.65, 0.3, 1, 0.69, 0.5)]
MUD = [(0.65, 0.1, 0.7, 0.69, 0.6), (0.65, 0.1, 0.5, 0.68, 0.6)]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_water(level):
    """With OpenCV, as published, in its 32-bit floats."""
    mean, sd, sigma, threshold, strength = WATER[level - 1]
    liquid = gaussian(draws().normal(mean, sd, (32, 32)), sigma)
    liquid[liquid < threshold] = 0
    pixels = np.array([[math.floor(255 * min(v, 1)) for v in line] for line in liquid], np.uint8)
    edges = 255 - cv2.Canny(pixels, 50, 150)
    _, far = cv2.threshold(cv2.distanceTransform(edges, cv2.DIST_L2, 5), 20, 20, cv2.THRESH_TRUNC)
    far = cv2.equalizeHist(cv2.blur(far, (3, 3)).astype(np.uint8))
    far = cv2.filter2D(far, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    drops = pixels * cv2.blur(far, (3, 3)).astype(np.float32)
    drops = drops / drops.max() * strength
    assert drops.any()
    expected = np.zeros((32, 32, 3))
    for channel, color in enumerate((175, 238, 238)):
        expected[..., channel] = 255 * np.clip(image()[..., channel] / 255 + drops * (color / 255), 0, 1)
    assert run("spatter", level) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("level", [4, 5])
def test_mud(level):
    mean, sd, sigma, threshold, strength = MUD[level - 4]
    liquid = gaussian(draws().normal(mean, sd, (32, 32)), sigma)
    soft = gaussian((liquid > threshold) * 1.0, strength)
    soft[soft < 0.8] = 0
    assert soft.any()
    expected = np.zeros((32, 32, 3))
    for channel, color in enumerate((63, 42, 20)):
        expected[..., channel] = image()[..., channel] * (1 - soft) + soft * color
    assert run("spatter", level) == pytest.approx(np.clip(expected, 0, 255), abs=1e-9)


def test_without_a_drop_nothing_is_divided_by_zero():
    class Dry(Draws):
        def normal(self, mean, sd, shape):
            return np.zeros(shape)

    pixels = image()
    for level in LEVELS:
        assert CORRUPTIONS[5](pixels, level, Dry(1, "dry")) == pytest.approx(pixels)


def test_opencv_is_asked_for_in_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    run("spatter", 5)  # mud does not need it
    with pytest.raises(UserError, match=r"^ccifar10: needs OpenCV for drops of water: pip install 'ddsweep\[corr"):
        run("spatter", 2)


def bilinear(values, y, x, border):
    """One channel at a fractional place; indices outside are reflected about the edge, or about its pixel."""
    size = len(values)

    def inside(index):
        repeated = border == "edge"
        while not 0 <= index < size:
            index = -index - repeated if index < 0 else 2 * size - 2 - index + repeated
        return index

    top, left = math.floor(y), math.floor(x)
    down, right = y - top, x - left
    corners = [
        (1 - down) * (1 - right) * values[inside(top), inside(left)],
        (1 - down) * right * values[inside(top), inside(left + 1)],
        down * (1 - right) * values[inside(top + 1), inside(left)],
        down * right * values[inside(top + 1), inside(left + 1)],
    ]
    return sum(corners)


@levels
def test_elastic(level):
    """The affine part against OpenCV's, which places a pixel in steps of 1/32; the rest, point by point."""
    scale, blur, jitter = (32 * v for v in [
        (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03),
    ][level - 1])  # fmt: skip
    generator = draws()
    points = np.array([[26, 26], [26, 6], [6, 6]], np.float32)
    moved = points + generator.uniform(-jitter, jitter, (3, 2)).astype(np.float32)
    smooth = np.stack([gaussian(image()[..., c] / 255, 2.0) for c in range(3)], -1)  # so that 1/32 matters little
    pixels = (smooth * 255).astype(np.uint8)
    affine = cv2.warpAffine(
        (pixels / 255).astype(np.float32), cv2.getAffineTransform(points, moved), (32, 32),
        borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    fields = [
        scale * ndimage.gaussian_filter(generator.uniform(-1, 1, (32, 32)), blur, mode="reflect", truncate=3)
        for _ in range(2)
    ]
    expected = np.zeros((32, 32, 3))
    for y in range(32):
        for x in range(32):
            for channel in range(3):
                there = y + fields[1][y, x], x + fields[0][y, x]
                expected[y, x, channel] = 255 * bilinear(affine[..., channel], *there, "edge")
    found = run("elastic", level, pixels)
    assert np.abs(found - expected).max() < 2.5, "1/32 of a pixel of the largest slope"
    assert np.abs(found - expected).mean() < 0.3
    assert np.abs(found - pixels).mean() > 1, "it is not the identity"


@levels
def test_jpeg(level):
    """Pillow's file of the published quality; its first quantization step is 16, scaled as the standard says."""
    quality = [80, 65, 58, 50, 40][level - 1]
    file = io.BytesIO()
    Image.fromarray(image()).save(file, "JPEG", quality=quality)
    again = Image.open(file)
    scale = 200 - 2 * quality if quality >= 50 else 5000 // quality
    assert again.quantization[0][0] == (16 * scale + 50) // 100  # type: ignore[attr-defined]
    assert np.array_equal(run("jpeg", level), np.asarray(again))


def box_resized(values, size):
    """One axis: the mean of the pixels whose centers lie in the box of the target pixel; enlarging, the nearest."""
    scale = len(values) / size
    width = max(scale, 1)
    out = []
    for index in range(size):
        center = (index + 0.5) * scale
        inside = [v for i, v in enumerate(values) if -0.5 < (i + 0.5 - center) / width <= 0.5]
        out.append(sum(inside) / len(inside))
    return out


@levels
def test_pixelate(level):
    small = [30, 28, 27, 24, 20][level - 1]  # int(32 · (0.95, 0.9, 0.85, 0.75, 0.65))
    found, pixels = run("pixelate", level), image().astype(np.float64)
    for channel in range(3):
        layer = pixels[..., channel]
        for size in (small, 32):
            layer = np.array([box_resized(line, size) for line in layer])
            layer = np.array([box_resized(line, size) for line in layer.T]).T
        assert np.abs(found[..., channel] - layer).max() <= 1.01, "Pillow rounds after each axis"
    assert len(np.unique(found[:, 7:25].reshape(-1, 3), axis=0)) <= small * 18


@pytest.mark.parametrize("attribute", range(10), ids=NAMES)
def test_a_byte_is_the_integer_part(attribute):
    for level in LEVELS:
        exact = CORRUPTIONS[attribute](image(), level, draws())
        found = corrupted(image(), attribute, level, draws())
        assert found.dtype == np.uint8
        assert np.array_equal(found, np.floor(exact))


@pytest.mark.parametrize("attribute", range(10), ids=NAMES)
@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_images_survive(attribute, value):
    plain = np.full((32, 32, 3), value, np.uint8)
    for level in LEVELS:
        assert np.isfinite(CORRUPTIONS[attribute](plain, level, draws())).all()


def test_the_image_itself_is_not_changed():
    pixels = image()
    for attribute in range(10):
        corrupted(pixels, attribute, 5, draws())
    assert np.array_equal(pixels, image())
    assert corruptions.SIZE == 32

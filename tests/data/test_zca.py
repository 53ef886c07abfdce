"""ZCA whitening: against its definition in float64, inverted, and stored once."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ddsweep import data
from ddsweep.data import cache, dataset, decoded, paths, store, zca
from ddsweep.errors import UserError
from tests.read_only import make_read_only


def pixels(count: int, channels: int, size: int) -> Tensor:
    """Correlated pixels in 0 … 255."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(count, channels, size, size, generator=generator).cumsum(2).cumsum(3)
    return (128 + 12 * values).clamp(0, 255).to(torch.uint8)


def covariance(images: Tensor) -> Tensor:
    """The unbiased covariance, written out."""
    vectors = images.double().flatten(1)
    centered = vectors - vectors.mean(0)
    return centered.T @ centered / (len(vectors) - 1)


@pytest.mark.parametrize(("count", "channels", "size"), [(300, 3, 4), (90, 1, 6), (20, 1, 6)])
def test_whitened_covariance_has_the_eigenvalues_s_over_s_plus_a_tenth(count: int, channels: int, size: int) -> None:
    """Also of fewer images than values: then most eigenvalues S are 0."""
    raw = pixels(count, channels, size)
    before = torch.linalg.eigvalsh(covariance(raw / 255)).clamp(min=0)
    after = torch.linalg.eigvalsh(covariance(zca.fit(raw)(raw / 255)))
    torch.testing.assert_close(after, before / (before + 0.1), rtol=1e-4, atol=1e-5)


def test_the_transformation_against_its_definition() -> None:
    raw = pixels(200, 3, 4)
    vectors = raw.double().flatten(1) / 255
    eigenvalues, basis = torch.linalg.eigh(covariance(raw / 255.0))
    expected = torch.stack(
        [basis @ ((basis.T @ (x - vectors.mean(0))) / (eigenvalues + 0.1) ** 0.5) for x in vectors[:5]]
    )
    found = zca.fit(raw)(raw[:5] / 255)
    torch.testing.assert_close(found.flatten(1).double(), expected, rtol=1e-4, atol=1e-5)


def test_the_inverse_restores_pixels_also_outside_of_the_range() -> None:
    raw = pixels(200, 3, 4)
    whitening = zca.fit(raw)
    shown = torch.randn(7, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2
    torch.testing.assert_close(whitening.invert(whitening(shown)), shown, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(whitening(whitening.invert(shown)), shown, rtol=1e-4, atol=1e-4)


def test_a_whitened_view_of_a_dataset() -> None:
    plain, white = data.load("digits"), data.load("digits", zca=True)
    assert white.checksum == plain.checksum
    assert (plain.whitening, white.mean, white.std) == (None, plain.mean, plain.std)
    assert torch.equal(white.labels, plain.labels)
    shown = plain.denormalize(plain.test_images[:])
    torch.testing.assert_close(white.denormalize(white.test_images[:]), shown, rtol=0, atol=1e-4)
    before = torch.linalg.eigvalsh(covariance(plain.denormalize(plain.images[:]))).clamp(min=0)
    after = torch.linalg.eigvalsh(covariance(white.images[:]))
    torch.testing.assert_close(after, before / (before + 0.1), rtol=1e-3, atol=1e-4)


def test_images_that_are_kept_as_bytes_are_whitened_on_access(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = data.load("digits", zca=True)
    monkeypatch.setattr(dataset, "FLOATS_UP_TO", 1000)
    packed = data.load("digits", zca=True)
    assert isinstance(packed.images, data.PackedImages)
    indices = torch.tensor([3, 900, 3])
    torch.testing.assert_close(packed.images[indices], whole.images[indices], rtol=0, atol=1e-6)
    torch.testing.assert_close(packed.images[5], whole.images[5], rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cat(list(packed.images.split(500))), whole.images[:], rtol=0, atol=1e-6)


def test_computed_once_and_again_for_other_images(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fits: list[int] = []
    fit = zca.fit

    def counted(raw: Tensor) -> zca.Whitening:
        fits.append(len(raw))
        return fit(raw)

    monkeypatch.setattr(zca, "fit", counted)
    one, two = data.load("digits", zca=True), data.load("digits", zca=True)
    assert len(fits) == 1
    assert torch.equal(one.images[:], two.images[:])
    row = decoded.row("digits", None)
    path, stored = paths.whitening(row), store.stored(row)
    other = cache.Stored(replace(stored.raw, images=stored.raw.images[:500]), stored.header, "other")
    zca.of(row, other)
    assert fits == [1201, 500]
    path.write_bytes(path.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        three = data.load("digits", zca=True)
    assert "is damaged" in caplog.text
    assert torch.equal(one.images[:], three.images[:])


def test_a_cache_that_cannot_be_written_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data.load("digits")
    row = decoded.row("digits", None)
    digits = store.stored(row)
    before = zca.of(row, digits)
    make_read_only(monkeypatch)
    assert torch.equal(zca.of(row, digits).matrix, before.matrix)
    with pytest.raises(UserError, match=r"cannot write .*: Read-only file system"):
        zca.of(row, cache.Stored(digits.raw, digits.header, "other"))


def test_the_listing_counts_the_file() -> None:
    data.load("digits")
    before = next(one for one in data.holdings() if one.row.name == "digits").disk
    data.load("digits", zca=True)
    after = next(one for one in data.holdings() if one.row.name == "digits").disk
    assert after - before == paths.whitening(decoded.row("digits", None)).stat().st_size > 0

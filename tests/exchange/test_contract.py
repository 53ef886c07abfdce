"""What every format that ddsweep writes has to keep: images, labels, and the answers to what people ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ddsweep import data, exchange
from ddsweep.distill.sets.multi_formation import decode
from ddsweep.exchange import Facts, Grids, ImageSet, prepare, space


def given_to(name: str, one: ImageSet) -> ImageSet:
    """The set as ``ddsweep export`` hands it to a writer."""
    return space.restated(one, space.fixed("unit", one.images.shape[1])) if exchange.WRITERS[name].pixels else one


@pytest.fixture(params=sorted(exchange.WRITERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_written_is_read(name: str, one: ImageSet, place: Path) -> None:
    written = exchange.WRITERS[name].write(given_to(name, one), place / "out")
    found = exchange.read(written)
    assert found.format == name
    assert found.labels is not None
    assert one.labels is not None
    assert torch.equal(found.labels, one.labels)
    if exchange.WRITERS[name].bits:
        expected = one.images * torch.tensor(one.facts.std)[:, None, None] + torch.tensor(one.facts.mean)[:, None, None]
        assert (found.images - expected.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6
    else:
        assert torch.equal(found.images, given_to(name, one).images)
    assert found.facts.space == ("pixels" if exchange.WRITERS[name].pixels else "normalised")
    for field in ("dataset", "classes", "mean", "std", "zca", "factor", "ipc", "method", "recipe", "origin"):
        assert getattr(found.facts, field) == getattr(one.facts, field), field


def test_it_is_ready_for_networks(name: str, one: ImageSet, place: Path) -> None:
    dataset = data.load(one.facts.dataset)
    written = exchange.WRITERS[name].write(given_to(name, one), place)
    ready = prepare.prepare(exchange.read(written), dataset, written, prepare.Choices())
    low, high = ((bound - torch.tensor(dataset.mean)) / torch.tensor(dataset.std) for bound in (0, 1))
    if exchange.WRITERS[name].bits:
        clipped = torch.maximum(torch.minimum(one.images, high[:, None, None]), low[:, None, None])
        step = 0.5 / 255 / min(dataset.std)
        assert (ready.synthetic.images - clipped).abs().max() <= step + 1e-5
    elif exchange.WRITERS[name].pixels:
        torch.testing.assert_close(ready.synthetic.images, one.images, rtol=0, atol=1e-5)
    else:
        assert torch.equal(ready.synthetic.images, one.images)
    assert ready.synthetic.ipc == 2
    assert ready.warnings == []


def test_a_person_finds_the_answers(name: str, one: ImageSet, place: Path) -> None:
    exchange.WRITERS[name].write(given_to(name, one), place)
    (note,) = place.rglob("*.json")
    record = json.loads(note.read_text())
    formula = "pixel / 255" if exchange.WRITERS[name].pixels else "(pixel / 255 - mean) / std"
    assert record["values"] == formula
    assert record["order"] == "class-major"
    assert len(record["classes"]) == 10
    assert record["recipe"]["method"] == "dm"
    assert record["written_by"].startswith("ddsweep ")
    if exchange.WRITERS[name].bits:
        outside = ((given := given_to(name, one).images) < 0) | (given > 1)
        assert record["clipped_share"] == pytest.approx(float(outside.float().mean()), abs=1e-5)


def test_grids_are_written_before_they_are_decoded(place: Path) -> None:
    """Others read the learned images; the factor is in the description, or given by hand."""
    dataset = data.load("shapes", 15)
    stored = torch.rand(20, 3, 15, 15, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    cells = decode(stored, 3).unflatten(0, (9, 10, 2)).transpose(0, 1).flatten(0, 2)
    facts = Facts("shapes", dataset.classes, "normalised", dataset.mean, dataset.std, False, 1, 18, "idc")
    one = ImageSet((cells - mean) / std, torch.arange(10).repeat_interleave(18), facts, grids=Grids(stored, 3))
    path = exchange.WRITERS["idc"].write(given_to("idc", one), place)
    images, labels = torch.load(path, weights_only=True)
    assert torch.equal(images, stored)
    assert torch.equal(labels, torch.arange(10).repeat_interleave(2))
    found = exchange.read(path)
    assert (found.facts.factor, found.facts.ipc, found.facts.space) == (3, 2, "pixels")
    for choices in (prepare.Choices(), prepare.Choices(space="unit", factor=3)):
        ready = prepare.prepare(exchange.read(path), dataset, path, choices)
        torch.testing.assert_close(ready.synthetic.images, one.images, rtol=0, atol=1e-5)
        assert (ready.synthetic.ipc, ready.factor) == (18, 3)
        path.with_name("ddsweep.json").unlink(missing_ok=True)


def test_a_note_of_another_file_is_not_believed(one: ImageSet, place: Path) -> None:
    exchange.WRITERS["pt"].write(one, place)
    other = place / "other_images.pt"
    torch.save(one.images, other)
    assert exchange.read(other).facts.dataset == ""


def test_the_formats_of_the_option_are_those_that_are_written() -> None:
    from ddsweep.cli.export import FORMATS

    assert set(FORMATS) == set(exchange.WRITERS)

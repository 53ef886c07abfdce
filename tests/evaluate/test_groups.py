"""Accuracy by group: counted image by image, and averaged over the networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot, State
from ddsweep.data import Dataset
from ddsweep.evaluate import Rule, Score, evaluate, groups
from ddsweep.evaluate.trainer import Trainer
from tests import toys

Groups = dict[str, float | None]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network() -> torch.nn.Module:
    return nn.build("convnet1", channels=3, classes=3, size=8, width=4, generator=seeded())


def biased(attributes: list[int], test: list[int], labels: list[int] | None = None) -> Dataset:
    """Three classes; training image k has label k % 3, and the label of a test image is given or likewise."""
    data = toys.dataset(per_class=len(attributes) // 3, dtype=torch.float32)
    test_labels = torch.tensor(labels if labels is not None else [k % 3 for k in range(len(test))])
    images = toys.noise(len(test), 3, 8, 8, seed=9, dtype=torch.float32)
    return replace(
        data, attributes=torch.tensor(attributes), test_attributes=torch.tensor(test), test_labels=test_labels,
        test_images=images,
    )  # fmt: skip


def counted(correct: list[bool], labels: list[int], attributes: list[int], own: list[int]) -> Groups:
    """The definition, one image after the other; ``own``: the attribute of each class."""
    hits: dict[str, list[bool]] = {"aligned": [], "conflicting": []}
    pairs: dict[tuple[int, int], list[bool]] = {}
    for right, label, attribute in zip(correct, labels, attributes, strict=True):
        hits["aligned" if attribute == own[label] else "conflicting"].append(right)
        pairs.setdefault((label, attribute), []).append(right)
    found: Groups = {name: sum(some) / len(some) if some else None for name, some in hits.items()}
    return found | {"worst_group": min(sum(some) / len(some) for some in pairs.values())}


IMAGE = st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 4))


@given(st.lists(IMAGE, min_size=1, max_size=40))
def test_every_image_counts_once(images: list[tuple[bool, int, int]]) -> None:
    """In an image folder, the attribute of a class is the most frequent one of its training images: 4, 0 and 2."""
    correct, labels, attributes = (list(column) for column in zip(*images, strict=True))
    data = biased([4, 0, 2, 4, 1, 2, 3, 0, 2], attributes, labels)
    found = groups.accuracy(torch.tensor(correct), data)
    assert found == pytest.approx(counted(correct, labels, attributes, [4, 0, 2]))


def test_the_attribute_of_a_class_is_its_own_in_a_dataset_that_was_made_here() -> None:
    """At a low share of aligned images, another attribute may be more frequent."""
    data = biased([4, 0, 2, 4, 1, 2, 3, 0, 2], [0, 4, 1, 0, 2, 2], [0, 0, 1, 1, 2, 0])
    correct = [True, False, False, True, True, False]
    for name, own in (("imagefolder:/x", [4, 0, 2]), ("cdigits:align=0.1,severity=2", [0, 1, 2])):
        found = groups.accuracy(torch.tensor(correct), replace(data, name=name))
        assert found == pytest.approx(counted(correct, [0, 0, 1, 1, 2, 0], [0, 4, 1, 0, 2, 2], own))


def test_a_group_without_images_has_no_accuracy() -> None:
    aligned = biased([0, 1, 2], [0, 1, 2])
    assert groups.accuracy(torch.tensor([True, False, True]), aligned) == {
        "aligned": pytest.approx(2 / 3), "conflicting": None, "worst_group": 0.0,
    }  # fmt: skip
    conflicting = biased([0, 1, 2], [1, 2, 0])
    assert groups.accuracy(torch.tensor([True, True, True]), conflicting) == {
        "aligned": None, "conflicting": 1.0, "worst_group": 1.0,
    }  # fmt: skip


def test_other_datasets_have_no_groups() -> None:
    plain = toys.dataset(dtype=torch.float32)
    assert groups.accuracy(torch.ones(len(plain.test_labels), dtype=torch.bool), plain) == {}
    syn = toys.synthetic(dtype=torch.float32)
    found = evaluate(syn, plain, "convnet1", 2, seeded(), Rule(epochs=1), width=4)
    assert found.group_accuracy == {}


def test_networks_are_averaged_and_each_has_a_worst_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test images are never trained on: only their labels and attributes decide what the tests below count."""
    data = biased([0, 1, 2] * 4, [0, 1, 2, 1, 0, 0, 0, 2, 1, 0])
    syn = toys.synthetic(dtype=torch.float32)
    predicted: list[Tensor] = []

    def watched(net: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            predicted.append(net.eval()(images).argmax(1))
        return predicted[-1] == labels

    monkeypatch.setattr("ddsweep.evaluate.trainer.recognized", watched)
    rule = Rule(epochs=6, lr=0.1)
    found = evaluate(syn, data, "convnet1", 3, seeded(), rule, width=4)
    assert data.test_attributes is not None
    labels, attributes = data.test_labels.tolist(), data.test_attributes.tolist()
    each = [counted((one == data.test_labels).tolist(), labels, attributes, [0, 1, 2]) for one in predicted]
    assert len(each) == 3 and len({str(one) for one in each}) > 1
    for name in groups.GROUPS:
        values = [one[name] for one in each]
        assert found.group_accuracy[name] == pytest.approx(sum(value or 0.0 for value in values) / 3)
    assert found.accuracies == pytest.approx([float((one == data.test_labels).double().mean()) for one in predicted])


def test_of_several_tests_the_one_that_counts_has_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``best``, the groups are those of the best test, not the best groups."""
    made = iter([Score(0.5, [0.5], {"aligned": 0.9}), Score(0.7, [0.7], {"aligned": 0.6}), Score(0.6, [0.6], {})])
    monkeypatch.setattr("ddsweep.evaluate.trainer.accuracy", lambda *_: next(made))
    trainer = Trainer(toys.synthetic(dtype=torch.float32), toys.dataset(dtype=torch.float32), Rule(epochs=3, checks=3))
    net = network()
    (score,) = trainer.train([net], [seeded()])
    assert score == Score(0.7, [0.7], {"aligned": 0.6})


def test_checkpoints_keep_the_groups_and_those_of_earlier_versions_are_read() -> None:
    data = biased([0, 1, 2] * 4, [0, 1, 2, 1, 0, 0])
    kept: list[State] = []

    class Watched(Slot):
        def save(self, state: State) -> None:
            kept.append(state)

    trainer = Trainer(toys.synthetic(dtype=torch.float32), data, Rule(epochs=2))
    (score,) = trainer.train([network()], [seeded()], slot=Watched())
    assert set(score.by_group) == set(groups.GROUPS)
    (best,) = kept[-1].facts["best"]
    assert Score(**best) == score
    del best["by_group"]
    assert Score(**best) == replace(score, by_group={})

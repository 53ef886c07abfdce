"""Which attribute each image gets, against the rule written out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddsweep.data.bias.attributes import assigned, usual


def by_hand(labels, align, count):
    """A table of cumulative counts for each class; the k-th image of a class gets the first one above k."""
    found: list[int] = []
    seen: dict[int, int] = {}
    totals = {label: labels.count(label) for label in set(labels)}
    for label in labels:
        shares = [align if attribute == label else (1 - align) / (count - 1) for attribute in range(count)]
        ends = np.round(np.cumsum(shares) * totals[label])
        k = seen.get(label, 0)
        seen[label] = k + 1
        found.append(next(attribute for attribute, end in enumerate(ends) if end > k))
    return found


def test_the_published_counts():
    """Protocols, section 12.13: class 0, 5000 images, 0.95."""
    counts = torch.bincount(assigned(torch.zeros(5000, dtype=torch.int64), 0.95, 10), minlength=10)
    assert counts.tolist() == [4750, 28, 28, 27, 28, 28, 28, 27, 28, 28]


def test_without_aligned_images_the_others_share_the_class():
    counts = torch.bincount(assigned(torch.full((5000,), 3), 0.0, 10), minlength=10).tolist()
    assert counts[3] == 0
    assert sorted(counts[:3] + counts[4:]) == [555] * 4 + [556] * 5


def test_a_tenth_is_every_attribute_equally():
    assert torch.bincount(assigned(torch.full((5000,), 7), 0.1, 10)).tolist() == [500] * 10


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.8, 0.93, 0.95, 1.0]),
)
def test_every_image_gets_the_attribute_of_the_rule(labels, align):
    assert assigned(torch.tensor(labels), align, 5).tolist() == by_hand(labels, align, 5)


@pytest.mark.parametrize("align", [0.0, 0.1, 0.5, 0.8, 0.95, 1.0])
def test_mixed_classes_are_aligned_as_often_as_it_says(align):
    labels = torch.arange(10).repeat(600)[torch.randperm(6000, generator=torch.Generator().manual_seed(1))]
    found = assigned(labels, align, 10)
    for label in range(10):
        assert int((found[labels == label] == label).sum()) == pytest.approx(align * 600, abs=1)


def test_the_usual_attribute_is_the_most_frequent_then_the_first():
    attributes, labels = torch.tensor([1, 1, 0, 2, 2, 0, 0]), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    assert usual(attributes, labels, 2).tolist() == [1, 0]

"""Attributes that a decoder returns: checked like its labels."""

from dataclasses import replace

import pytest
import torch

from ddsweep import data
from ddsweep.data.raw import Raw, assembled

ROW = replace(data.info("digits"), size=4)


def made(attributes, test_attributes):
    images, labels = torch.zeros(20, 1, 8, 8, dtype=torch.uint8), torch.arange(20) % 10
    return Raw(ROW.classes, images, labels, images[:10], labels[:10], attributes, test_attributes)


def test_attributes_survive_resizing_and_share_no_memory():
    own = torch.arange(20, dtype=torch.uint8)
    raw = assembled(ROW, made(own, own[:10]))
    assert raw.images.shape == (20, 1, 4, 4)
    assert raw.attributes is not None
    assert raw.test_attributes is not None
    assert (raw.attributes.dtype, raw.attributes.tolist()) == (torch.int64, list(range(20)))
    assert raw.attributes.data_ptr() != raw.test_attributes.data_ptr()


def test_a_decoder_need_not_have_any():
    raw = assembled(ROW, made(None, None))
    assert (raw.attributes, raw.test_attributes) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "test_attributes", "line"),
    [
        (torch.zeros(20, dtype=torch.int64), None, "its test attributes are NoneType; needed: a whole number from 0"),
        (None, torch.zeros(10, dtype=torch.int64), "its training attributes are NoneType"),
        (
            torch.zeros(19, dtype=torch.int64),
            torch.zeros(10, dtype=torch.int64),
            r"training attributes are int64 \[19\]",
        ),
        (torch.full((20,), -1), torch.zeros(10, dtype=torch.int64), "its training attributes are int64"),
        (torch.zeros(20), torch.zeros(10), "its training attributes are float32"),
    ],
)
def test_wrong_attributes_are_named(attributes, test_attributes, line):
    with pytest.raises(ValueError, match=line):
        assembled(ROW, made(attributes, test_attributes))

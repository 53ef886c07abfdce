"""A PTM's logits are for the classes of the images it was trained on, in their order: it guides no other order."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from ddsweep import data
from ddsweep.data import Dataset
from ddsweep.errors import UserError
from ddsweep.nn.measure import class_accuracy
from ddsweep.pretrained import pool, training
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import make
from tests.exchange.test_names import TWELVE, data_folder


def swap(root: Path, one: str, other: str) -> None:
    """Let two classes have each other's images: the files are the same, and so are the sizes of the classes."""
    for part in ("train", "test"):
        (root / part / one).rename(root / part / "spare")
        (root / part / other).rename(root / part / one)
        (root / part / "spare").rename(root / part / other)


def accuracy(spec: Spec, dataset: Dataset) -> float:
    ((ptm,),) = pool.load([[spec]], spec.epochs, dataset).models
    assert isinstance(ptm.net, torch.nn.Module)
    return float(class_accuracy(ptm.net, dataset.test_images, dataset.test_labels, len(dataset.classes))[0])


def test_a_ptm_is_trained_again_when_classes_change_places(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing but two names is exchanged; with the old PTM, CLoM would pull both classes to each other's images."""
    caplog.set_level(logging.WARNING)
    before = data_folder(tmp_path / "data", TWELVE)
    spec = Spec(before.name, 16, "convnet1", width=8, seed=0, epochs=20, lr=0.05, weight_decay=0.0, batch=12)
    training.ensure(spec, {20}, before, lambda done, total: None)
    assert accuracy(spec, before) == 1.0
    swap(tmp_path / "data", "0", "7")
    after = data.load(before.name, 16)
    assert after.checksum != before.checksum
    assert accuracy(spec, after) == pytest.approx(10 / 12)  # the old weights: two classes are the other one
    training.ensure(spec, {20}, after, lambda done, total: None)
    assert "was trained on other images of imagefolder" in caplog.text
    assert accuracy(spec, after) == 1.0


def test_another_name_alone_is_another_dataset(tmp_path: Path) -> None:
    """The pixels and labels stay as they are: 0 … 11 sort like a0 … a11."""
    before = data_folder(tmp_path / "one", TWELVE)
    after = data_folder(tmp_path / "two", [f"a{name}" for name in TWELVE])
    assert torch.equal(before.images[:], after.images[:])
    assert torch.equal(before.labels, after.labels)
    assert before.checksum != after.checksum


def test_logits_of_another_source_never_guide(tmp_path: Path) -> None:
    """The same classes in another order, or the same folder by another path: CLoM is refused in one line."""
    target = data_folder(tmp_path / "one", ["a", "b", "c"])
    other = data_folder(tmp_path / "two", ["c", "a", "b"])
    (tmp_path / "link").symlink_to(tmp_path / "one")
    recipe = {"target": target.name, "size": 16, "ipc": 1, "alpha": 10}
    for source in (other.name, f"imagefolder:{tmp_path}/link", "cifar10"):
        with pytest.raises(UserError, match="regularizer: clom needs PTMs with the labels of"):
            make({**recipe, "source": source, "regularizer": "clom"})
        assert make({**recipe, "source": source}).regularizer == "cclom"  # which compares features, not classes
    assert make({**recipe, "source": target.name}).regularizer == "clom"

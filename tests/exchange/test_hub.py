"""What ``export --to hf`` writes, as Hugging Face's own library loads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ddsweep import exchange
from ddsweep.exchange import ImageSet, space
from tests import hostile

LOAD = """
import json, sys
import numpy as np
from datasets import ClassLabel, Image, load_dataset

loaded = load_dataset(sys.argv[1])
(split,) = loaded
rows = loaded[split]
label = rows.features["label"]
assert isinstance(label, ClassLabel) and isinstance(rows.features["image"], Image)
np.savez(sys.argv[2], images=np.stack([np.asarray(image) for image in rows["image"]]), labels=np.array(rows["label"]))
print(json.dumps({"split": split, "columns": rows.column_names, "names": label.names}))
"""


@pytest.mark.parametrize(
    ("one", "classes"),
    [("digits", (*hostile.CLASSES, "yes", "null")), ("shapes", ())],
    indirect=["one"],
    ids=["gray, odd names", "color, usual names"],
)
def test_the_library_loads_images_labels_and_names_without_a_warning(
    one: ImageSet, classes: tuple[str, ...], tmp_path: Path
) -> None:
    given = space.restated(one, space.fixed("unit", one.images.shape[1]))
    given = replace(given, facts=replace(given.facts, classes=classes or given.facts.classes))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    given = replace(given, images=given.images[order], labels=labels_of(given)[order])
    folder = exchange.WRITERS["hf"].write(given, tmp_path / "set")
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    words = [sys.executable, "-W", "error", "-c", LOAD, str(folder), str(tmp_path / "found.npz")]
    done = subprocess.run(words, env=os.environ | quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "split": "train", "columns": ["image", "label"], "names": list(given.facts.classes),
    }  # fmt: skip
    found = np.load(tmp_path / "found.npz")
    assert torch.equal(torch.from_numpy(found["labels"]), labels_of(given))
    ours = exchange.read(folder)
    assert ours.labels is not None
    assert torch.equal(ours.labels, labels_of(given))
    theirs = torch.from_numpy(found["images"]).float() / 255
    theirs = theirs[:, None] if theirs.ndim == 3 else theirs.permute(0, 3, 1, 2)
    assert torch.equal(ours.images, theirs)
    (folder / "ddsweep.json").unlink()  # uploaded without it, the card has the names
    assert exchange.read(folder).facts.classes == given.facts.classes


def labels_of(one: ImageSet) -> torch.Tensor:
    assert one.labels is not None
    return one.labels

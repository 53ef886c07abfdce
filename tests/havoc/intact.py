"""Whether everything that a sweep leaves behind is whole; and its findings, to be compared with another run's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from PIL import Image
from safetensors import safe_open

from ddsweep.backends.optuna.backend import OptunaBackend
from ddsweep.recipe import make
from tests.test_resume import untimed

Findings = dict[str, Any]


def findings(runs: Path, pool: Path) -> Findings:
    """What was found, bit for bit and without times: of every finished cell, and of the PTMs. Everything opens."""
    found: Findings = {}
    for path in sorted(runs.glob("*/result.json")):
        folder = path.parent
        values = json.loads(path.read_text(encoding="utf-8"))
        recipe = make(values["recipe"])
        assert values["key"] == recipe.key() == folder.name
        images, labels = (tensors(folder / "synthetic.safetensors")[name] for name in ("images", "labels"))
        assert images.shape == (10 * recipe.ipc, 1, recipe.size, recipe.size)
        assert labels.tolist() == [label for label in range(10) for _ in range(recipe.ipc)]
        found[folder.name] = {
            "synthetic": images.tobytes(), "metrics": metrics(folder / "metrics.jsonl", recipe.iterations),
            "pictures": {str(one.relative_to(folder)): pixels(one) for one in sorted(folder.rglob("*.png"))},
            **{name: values[name] for name in ("accuracies", "class_accuracy", "state", "data")},
        }  # fmt: skip
    weights = sorted(pool.rglob("epoch*.safetensors"))
    found["pool"] = {
        str(path.relative_to(pool)): {name: value.tobytes() for name, value in tensors(path).items()}
        for path in weights
    }
    return found


def tensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """All of them."""
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in sorted(file.keys())}


def metrics(path: Path, iterations: int) -> list[dict[str, float]]:
    """The lines, without times: no step twice, and the last of them the end."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    steps = [line["step"] for line in lines if "accuracy" not in line]
    assert steps == sorted(set(steps)), f"{path}: {steps}"
    assert ["accuracy" in line for line in lines] == [False] * len(steps) + [True]
    assert lines[-1]["step"] == steps[-1] == iterations
    return [untimed(line) for line in lines]


def pixels(path: Path) -> bytes:
    """Of a picture that is whole."""
    with Image.open(path) as picture:
        picture.verify()
    with Image.open(path) as picture:
        return picture.tobytes()


def on_the_dashboard(backend: OptunaBackend) -> int:
    """How many pictures the completed trials have there; each of them opens."""
    rdb, pictures = backend.store.database.rdb, backend.store.pictures
    trials = [one for one in backend.study().get_trials() if one.state is TrialState.COMPLETE]
    found = [meta for one in trials for meta in get_all_artifact_meta(one, storage=rdb)]
    for meta in found:
        with pictures.open_reader(meta.artifact_id) as reader, Image.open(reader) as picture:
            picture.verify()
    return len(found)


def temporaries(*places: Path) -> list[str]:
    """What writers that died have left behind."""
    left = [path for place in places for path in place.rglob("*") if ".tmp" in path.name]
    return [str(path) for path in left if path.is_file()]

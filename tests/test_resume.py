"""A trial that is cut off, wherever and however, ends in the bits of one that was not."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from ddsweep import checked_files, trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.pretrained import spec
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from tests import forked

TINY: dict[str, Any] = {
    "target": "digits", "ipc": 1, "width": 4, "iterations": 3, "batch_real": 8, "outer_loops": 2, "inner_epochs": 1,
    "alpha": 10.0, "ptm_train_epochs": 2, "ptm_batch": 512, "cclom_batch": 32, "eval_nets": 2, "eval_epochs": 4,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "dm, two epochs of two PTMs": {"method": "dm", "n_models": 2, "ptm_epoch": 1, "eval_nets": 1},
    "dm alone, best": {"method": "dm", "alpha": 0.0, "eval_rule": "best", "eval_nets": 1, "iterations": 9},
    "dc": {"method": "dc", "outer_loops": 3, "eval_nets": 1},
    "dc alone, its rule": {"method": "dc", "alpha": 0.0, "eval_rule": "dc"},
    "dc, batch norm": {"method": "dc", "arch": "convnet3-bn", "eval_nets": 1},
    "dsa, cclom": {"method": "dsa", "regularizer": "cclom", "eval_nets": 1},
    "dsa alone, two networks": {"method": "dsa", "alpha": 0.0, "eval_archs": "convnet3+convnet2", "eval_nets": 1},
    "dim": {
        "method": "dim", "iterations": 2, "batch_real": 16, "net_images": 32, "gan_epochs": 2, "gan_batch": 600,
        "match_archs": "convnet2+resnet10-narrow-ap", "eval_nets": 1,
    },
    "tm, whitened": {
        "method": "tm", "syn_steps": 2, "batch_syn": 6, "expert_epochs": 1, "max_start_epoch": 2, "n_experts": 2,
        "lr_img": 1.0, "lr_lr": 1e-4, "lr_teacher": 0.01, "alpha": 0.1, "zca": True, "eval_nets": 1,
    },
    "dm of another domain, batch norm": {
        "method": "dm", "source": "shapes", "arch": "convnet3-bn", "ptm_archs": "convnet2",
        "eval_rule": "evaluate_synset", "eval_nets": 1,
    },
}  # fmt: skip


@dataclass
class AskedAt(Checkpoints):
    """Asked to leave at one boundary."""

    boundary: int = 1
    asked: int = 0

    def __post_init__(self) -> None:
        self.leave = self._ask

    def _ask(self) -> bool:
        self.asked += 1
        return self.asked == self.boundary


@dataclass
class CutOffAt(Checkpoints):
    """Saves at every ``nth`` boundary, and is cut off without a word at another."""

    nth: int = 2
    boundary: int = 4
    passed: int = 0

    def due(self) -> bool:
        self.passed += 1
        if self.passed == self.boundary:
            raise KeyboardInterrupt
        return self.passed % self.nth == 0


def pieces(place: str) -> dict[str, Any]:
    """All that a run leaves behind, in its folder and in the pool, without what depends on the time."""
    found: dict[str, Any] = {}
    for path in [path for top in (Path(place), spec.pool_dir()) for path in sorted(top.rglob("*")) if path.is_file()]:
        name = path.name if path.is_relative_to(spec.pool_dir()) else str(path.relative_to(place))
        if path.name == "result.json":
            values = json.loads(path.read_text())
            found[name] = {field: values[field] for field in ("key", "accuracies", "class_accuracy", "data", "state")}
        elif path.name == "metrics.jsonl":
            found[name] = [untimed(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:  # the order of the metadata in the file is by chance
                tensors = {key: file.get_tensor(key).numpy().tobytes() for key in sorted(file.keys())}
                found[name] = tensors, file.metadata()
        else:
            found[name] = path.read_bytes()
    return found


def untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {
        name: value for name, value in metrics.items() if not name.endswith("_per_second") and "seconds" not in name
    }


def run(choices: dict[str, Any], checkpoints: Checkpoints | None = None, runs: str = "runs") -> Result:
    wanted = {one: {1, 2} for seeds in spec.of(make(TINY | choices)) for one in seeds}
    return trial.run(make(TINY | choices), Tracker(), "cpu", Path(runs), wanted, checkpoints)


def whole(choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run that nobody disturbs, with a pool of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", "undisturbed")
        run(choices, runs="whole")
        return pieces("whole")


def folder(choices: dict[str, Any]) -> Path:
    return Path("runs") / make(TINY | choices).key()


def scenes() -> list[Any]:
    """Every case asked to leave, some cut off; the default run has those that differ most."""
    default = {
        (AskedAt, "dc, batch norm"), (AskedAt, "dsa, cclom"), (CutOffAt, "dc"),
        (CutOffAt, "dm alone, best"),
    }  # fmt: skip
    titles = {AskedAt: "asked to leave", CutOffAt: "cut off"}
    return [
        pytest.param(cut, CASES[name], id=f"{titles[cut]}: {name}",
                     marks=() if (cut, name) in default else pytest.mark.slow)
        for cut in titles for name in CASES
    ]  # fmt: skip


@pytest.mark.parametrize(("cut", "choices"), scenes())
def test_a_trial_that_is_cut_off_again_and_again(
    cut: type[Checkpoints], choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to leave at every single boundary, or cut off between two checkpoints, in every phase."""
    expected, attempts = whole(choices, monkeypatch), 0
    while True:
        attempts += 1
        assert attempts < 100
        try:
            run(choices, cut())
        except (Interrupted, KeyboardInterrupt):
            continue
        break
    found = pieces("runs")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert attempts > 3


def test_no_step_is_repeated_by_one_that_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many boundaries in all as without a disturbance; and the seconds of all attempts are counted."""
    choices = CASES["dc"]
    count = AskedAt(boundary=0)
    with monkeypatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", "undisturbed")
        run(choices, count, "whole")
    asked = []
    for boundary in (4, 3, 5, 0):
        leave = AskedAt(boundary=boundary)
        try:
            result = run(choices, leave)
        except Interrupted:
            seconds = checked_files.read_json(folder(choices) / "checkpoint" / "seconds.json")
        asked.append(leave.asked)
    assert sum(asked) == count.asked
    assert set(result.seconds) == {"pretrain", "distill", "evaluate"}
    assert all(result.seconds[phase] >= before > 0 for phase, before in seconds.items())


ALONE = {"method": "dc", "outer_loops": 3, "alpha": 0.0, "eval_nets": 1}
PHASES = {"distill": 5, "evaluate-convnet3-0": 10}


def interrupted(choices: dict[str, Any], boundary: int) -> Path:
    """The folder of checkpoints of a trial that was asked to leave."""
    with pytest.raises(Interrupted):
        run(choices, AskedAt(every=0, boundary=boundary))
    return folder(choices) / "checkpoint"


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        ("distill", "truncated"), pytest.param("distill", "both truncated", marks=pytest.mark.slow),
        ("distill", "of another recipe"), pytest.param("evaluate-convnet3-0", "truncated", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_checkpoint_that_cannot_be_used(
    phase: str, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    choices, expected, boundary = ALONE, whole(ALONE, monkeypatch), PHASES[phase]
    last = interrupted(choices, boundary) / f"{phase}.safetensors"
    previous = last.with_suffix(".previous.safetensors")
    assert last.exists()
    assert previous.exists()
    if kind == "of another recipe":
        shutil.copy(interrupted(choices | {"seed": 7}, boundary) / last.name, last)
        shutil.rmtree(folder(choices | {"seed": 7}))
    for path in [last, previous][: 1 + (kind == "both truncated")]:
        if "truncated" in kind:
            path.write_bytes(path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING):
        run(choices)
    warnings = [message for message in caplog.messages if "was renamed" in message]
    assert len(warnings) == 1 + (kind == "both truncated")
    assert f"{phase}.{'foreign' if 'recipe' in kind else 'damaged'}" in warnings[0]
    found = pieces("runs")
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_finished_run_holds_nothing_but_itself() -> None:
    """What a kill between write and rename has left goes with the end, and so does a checkpoint that outlived it."""
    choices = CASES["dm alone, best"]
    here = interrupted(choices, 3)
    left = [
        here.parent / ".result.json.0a1b2c3d.tmp.json",
        here.parent / "images" / ".real_000000.png.0a1b2c3d.tmp.png",
    ]
    for path in (*left, here / ".distill.safetensors.0a1b2c3d.tmp.safetensors"):
        path.write_bytes(b"half a file")
    kept = Path("kept")
    shutil.copytree(here, kept)
    run(choices)
    assert not [path for path in here.parent.rglob("*") if path.name.startswith(".") or "checkpoint" in str(path)]
    shutil.copytree(kept, here)
    run(choices)
    assert not here.exists()


def test_a_diverging_loss_is_found_after_a_resume_too() -> None:
    choices = {"method": "dm", "lr_img": 1e30, "alpha": 0.0, "iterations": 250}  # logged at every second step
    here = interrupted(choices, 1)
    result = run(choices)
    assert result.state == "failed"
    assert "at step 2 of 250" in (result.reason or "")
    assert not here.exists()


@pytest.mark.slow
@pytest.mark.parametrize("choices", [{"method": "dc", "iterations": 12}, {"method": "dm", "iterations": 60}])
def test_killed_outright_again_and_again(choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL in the middle of whatever the process does; the last attempt is left alone."""
    choices = choices | {"eval_epochs": 30}
    expected = whole(choices, monkeypatch)
    program = (
        "import sys, json; from tests import test_resume as t; from ddsweep.checkpoints import Checkpoints;"
        "t.run(json.loads(sys.argv[1]), Checkpoints(every=0))"
    )
    killed = 0
    for attempt in range(60):
        process = forked.start("-c", program, json.dumps(choices))
        wait_for_more(folder(choices), process, 1 + attempt % 4)
        if process.is_alive() and killed < 8:
            process.kill()
            killed += 1
        process.join()
        if process.exitcode == 0:
            break
    assert killed >= 5
    found = pieces("runs")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def wait_for_more(place: Path, process: ForkServerProcess, times: int) -> None:
    """Wait until something was saved ``times`` times, here or in the pool, or the process is gone."""
    seen: set[tuple[str, int]] = set()
    first, deadline = True, time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        now = set()
        for path in [*place.rglob("checkpoint/*.safetensors"), *spec.pool_dir().rglob("training.safetensors")]:
            try:
                now.add((str(path), path.stat().st_mtime_ns))
            except OSError:
                continue
        if not first and now - seen:
            times -= 1
        if not times:
            return
        seen, first = seen | now, False
        time.sleep(0.002)

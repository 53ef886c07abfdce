"""The W&B tracker with the real client against the stand-in: what it logs, and what happens if W&B fails."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from PIL import Image

from ddsweep import files, trial
from ddsweep.backends.wandb.client import Trial
from ddsweep.backends.wandb.rows import Book
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make
from ddsweep.results.result import Result
from ddsweep.testing.tracker import png
from ddsweep.trackers import Tracker, choice, wandb_offline, wandb_run, wandb_service
from ddsweep.trackers.wandb import WandbTracker
from ddsweep.trackers.wandb import _collection as tracker_names
from tests.standin import KEY, Standin

SWEEP = "ablation-alpha@demo"
RECIPE = make({"target": "digits", "ipc": 1, "width": 4, "iterations": 4, "alpha": 100.0, "n_models": 2})
BASELINE = make({"target": "digits", "ipc": 1, "width": 4, "iterations": 4, "alpha": 0.0})
RUNS = Path("runs")
SLOW = pytest.mark.slow  # waits for a service that does not answer


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A service, and a client that knows it. Whatever happened, the key is in no file but the client's own."""
    for name, value in {"INIT": 3.0, "FINISH": 3.0, "PROBE": 1.0}.items():
        monkeypatch.setattr(wandb_service if name == "PROBE" else wandb_run, name, value)
    wandb.teardown()  # the client reads its environment once
    with Standin() as server:
        for variable, text in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(variable, text)
        yield server
        wandb.teardown()
        assert server.unhandled == []
    for path in (*tmp_path.rglob("*"), *server.state.folder.rglob("*")):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), f"the key is in {path}"


def tracker(sweep: str = SWEEP) -> WandbTracker:
    return WandbTracker(sweep, RUNS, "", "")


def name(recipe: Recipe = RECIPE, sweep: str = SWEEP) -> str:
    return wandb_run.Session(sweep, RUNS, "", "").id(recipe)


def recipe_of(config: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a run, as the backend reads it from the run's config."""
    return Book().recipe(Trial("id", "sweep", "finished", dict(config), {}, "", ""))


def begin(one: Tracker, recipe: Recipe = RECIPE, steps: range = range(1, 5)) -> None:
    """A distillation up to the last of ``steps``, as the loop logs it."""
    one.start(recipe)
    one.image("real", png("green"), 0)
    one.image("synthetic", png(), 0)
    for step in steps:
        one.log({"loss/match": 8.0 / step, "loss/regularizer": 2.5, "steps_per_second": 3.0}, step)
        one.image("synthetic", png((step, 0, 0)), step)


def result_of(recipe: Recipe = RECIPE) -> Result:
    """What the trial found, with the files that it leaves."""
    folder = RUNS / recipe.key()
    files.write_json(folder / "recipe.json", recipe.model_dump())
    metadata = {"mean": "[0.3]", "std": "[0.25]"}
    files.write_tensors(folder / "synthetic.safetensors", {"images": torch.zeros(10, 1, 4, 4)}, metadata)
    Image.new("RGB", (6, 6)).save(folder / "synthetic.png")
    for one in (one for seeds in spec.of(recipe) for one in seeds):
        files.write_tensors(one.weights(recipe.ptm_epoch), {"w": torch.full((1,), float(one.seed))}, {})
    return Result(
        recipe, {"convnet3": [0.5, 0.7], "alexnet": [0.2, 0.4]}, {"convnet3": [0.6] * 10, "alexnet": [0.25] * 10},
        {"distill": 2.0}, "cpu", {"torch": "2.15"}, {"commit": "abc"}, {"digits": "00ff"},
    )  # fmt: skip


def steps_of(server: Standin, run: str) -> list[int]:
    """The distillation steps at which the matching loss is known."""
    return [line["_step"] for line in server.history(run) if "loss/match" in line]


class TestARun:
    def test_is_named_as_the_cell_in_its_sweep(self, standin: Standin) -> None:
        one = tracker()
        one.describe(RECIPE, "dm · ipc 1 · lr_img 0.1 · seed 0")
        begin(one)
        one.finish(result_of())
        assert standin.runs[name()].display == "dm · ipc 1 · lr_img 0.1 · seed 0"

    def test_has_metrics_and_images_by_step(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        one.finish(result_of())
        run = standin.runs[name()]
        assert (run.display, run.group, run.project) == (RECIPE.title(), SWEEP, "ddsweep")
        assert (run.state, run.job_type) == ("finished", "trial")
        assert run.tags == ["dm", "digits", "ipc 1", "convnet3", "clom", "ptm convnet3"]
        history = standin.history(name())
        assert [line["_step"] for line in history] == [0, 1, 2, 3, 4]
        assert history[2]["loss/match"] == pytest.approx(4.0)
        assert (history[2]["loss/regularizer"], history[2]["alpha"]) == (2.5, 100)
        assert history[0]["real"]["caption"].startswith("real images · rows from the top: 0, 1, 2")
        assert history[3]["synthetic"]["caption"] == "step 3 of 4 · rows from the top: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
        pictures = [path for path in standin.files(name()) if path.startswith("media/images/synthetic")]
        assert len(pictures) == 5
        summary = standin.summary(name())
        assert summary["accuracy"] == pytest.approx(0.6)
        assert summary["accuracy_std"] == pytest.approx(0.1)
        assert summary["accuracy/alexnet"] == pytest.approx(0.3)
        assert (summary["seconds/distill"], summary["state"]) == (2, "complete")

    def test_has_the_accuracy_by_group_of_a_dataset_with_attributes(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        groups = {"aligned": None, "conflicting": 0.4, "worst_group": 0.25}
        one.finish(replace(result_of(), group_accuracy={"convnet3": groups}))
        found = {name: value for name, value in standin.summary(name()).items() if "group" in name}
        assert found == {"group_accuracy/conflicting": 0.4, "group_accuracy/worst_group": 0.25}
        assert standin.history(name())[-1]["group_accuracy/worst_group"] == 0.25

    def test_has_its_recipe_as_config(self, standin: Standin) -> None:
        one = tracker()
        one.start(BASELINE)
        one.finish(result_of(BASELINE))
        config = standin.config(name(BASELINE))
        assert isinstance(config["lr_img"], int), "the client sends 1.0 as 1"
        assert recipe_of(config) == BASELINE
        api = wandb.Api().run(f"ddsweep/{name(BASELINE)}")
        assert recipe_of(dict(api.config)) == BASELINE
        assert config["provenance"]["git"] == {"commit": "abc"}
        assert standin.runs[name(BASELINE)].tags[-1] == "baseline"

    def test_names_classes_as_the_run_was_computed(self, standin: Standin) -> None:
        one, names = tracker(), "zero one two three four five six seven eight nine".split()
        found, path = result_of(), RUNS / RECIPE.key() / "synthetic.safetensors"
        facts = {"classes": "\n".join(names), "mean": "[0]", "std": "[1]"}
        files.write_tensors(path, {"images": torch.zeros(1)}, facts)
        begin(one)
        one.finish(found)
        (table,) = [path for file, path in standin.files(name()).items() if file.endswith(".table.json")]
        assert [row[0] for row in json.loads(table.read_text())["data"]] == names
        assert standin.history(name())[0]["real"]["caption"].startswith("real images · rows from the top: zero, one")

    def test_has_a_table_of_classes(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        one.finish(result_of())
        (path,) = [path for file, path in standin.files(name()).items() if file.endswith(".table.json")]
        table = json.loads(path.read_text())
        assert table["columns"] == ["class", "convnet3", "alexnet"]
        assert table["data"][7] == ["7", 0.6, 0.25]

    def test_has_input_and_output_artifacts(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        one.finish(result_of())
        run, kept = standin.runs[name()], standin.state.artifacts
        assert [kept[one].type for one in run.inputs] == ["model", "model"]
        (distilled,) = [kept[one] for one in run.outputs if kept[one].type == "dataset"]
        assert distilled.name == "synthetic-digits-dm-ipc1:v0"
        assert set(distilled.aliases) == {"latest", RECIPE.key()}
        assert set(standin.artifact_files(distilled.name)) == {"recipe.json", "synthetic.png", "synthetic.safetensors"}
        assert distilled.metadata["mean"] == [0.3]
        assert distilled.metadata["accuracy"] == pytest.approx(0.6)
        weights = spec.of(RECIPE)[0][1].weights(RECIPE.ptm_epoch)
        (entry,) = standin.manifest(kept[run.inputs[1]].name)["contents"].values()
        assert entry["ref"] == weights.as_uri()
        assert entry["size"] == weights.stat().st_size
        assert kept[run.inputs[1]].files == {}, "by reference: the weights are not uploaded"

    def test_has_the_gan_that_a_generator_started_from(self, standin: Standin) -> None:
        one, recipe = tracker(), make({"target": "digits", "ipc": 1, "method": "dim", "alpha": 0, "gan_epochs": 3})
        weights = spec.gan(recipe).weights(3)
        files.write_tensors(weights, {"weight": torch.zeros(2)}, {})
        one.start(recipe)
        one.finish(Result(recipe, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}))
        (used,) = [standin.state.artifacts[one] for one in standin.runs[name(recipe)].inputs]
        (entry,) = standin.manifest(used.name)["contents"].values()
        assert (entry["ref"], used.metadata["epoch"]) == (weights.as_uri(), 3)

    def test_references_a_published_model_by_its_url(self, standin: Standin) -> None:
        guided = make({"target": "digits", "ipc": 1, "iterations": 1, "source": "imagenet"})
        foundation = spec.of(guided)[0][0].foundation
        assert foundation
        one = tracker()
        one.start(guided)
        one.finish(Result(guided, {"convnet3": [0.5]}, {"convnet3": [0.5] * 10}))
        (used,) = [standin.state.artifacts[one] for one in standin.runs[name(guided)].inputs]
        (entry,) = standin.manifest(used.name)["contents"].values()
        assert entry["ref"] == foundation.url
        assert used.metadata["sha256"] == foundation.sha256

    def test_that_diverged_has_the_reason(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        one.finish(Result(RECIPE, state="failed", reason="the loss is nan at step 3 of 4"))
        run = standin.runs[name()]
        assert (run.state, run.exitcode) == ("failed", 1)
        assert run.notes == standin.summary(name())["reason"] == "the loss is nan at step 3 of 4"

    def test_of_an_agent_of_wandb_has_the_id_that_it_gave(
        self, standin: Standin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANDB_RUN_ID", "given")
        assert name() != "given", "somebody's own variable: every trial would be one run"
        monkeypatch.setenv("WANDB_SWEEP_ID", "some")
        one = tracker()
        one.start(RECIPE)
        one.finish(result_of())
        assert standin.runs["given"].state == "finished"


class TestOneAfterTheOther:
    def test_trials_of_one_process_do_not_mix(self, standin: Standin) -> None:
        one = tracker()
        for recipe in (RECIPE, BASELINE):
            begin(one, recipe)
            one.finish(result_of(recipe))
            assert wandb.run is None
        assert steps_of(standin, name(RECIPE)) == steps_of(standin, name(BASELINE)) == [1, 2, 3, 4]
        assert "alpha" not in standin.summary(name(BASELINE))

    def test_a_repeated_trial_resumes_its_run(self, standin: Standin) -> None:
        one = tracker()
        begin(one, steps=range(1, 3))
        begin(one)
        one.finish(result_of())
        assert steps_of(standin, name()) == [1, 2, 3, 4]
        assert list(standin.runs) == [name()]

    def test_an_interrupted_trial_resumes_on_another_machine(self, standin: Standin) -> None:
        one = tracker()
        begin(one, steps=range(1, 3))
        one.abort()
        assert (standin.runs[name()].state, standin.runs[name()].exitcode) == ("failed", 1)
        wandb.teardown()
        two = tracker()
        begin(two, steps=range(2, 5))
        two.finish(result_of())
        assert steps_of(standin, name()) == [1, 2, 3, 4]
        assert standin.runs[name()].state == "finished"
        assert wandb_offline.unsynced(RUNS) == []

    @SLOW
    def test_a_cell_that_another_sweep_finished_is_logged_in_full(self, standin: Standin) -> None:
        tiny = BASELINE.model_dump() | {"iterations": 3, "eval_nets": 1, "eval_epochs": 1, "batch_real": 8}
        recipe = make(tiny)
        trial.run(recipe, Tracker(), "cpu", RUNS)
        trial.run(recipe, tracker("other@demo"), "cpu", RUNS)
        other = name(recipe, "other@demo")
        assert steps_of(standin, other) == [1, 2, 3]
        assert [line["_step"] for line in standin.history(other) if "synthetic" in line] == [0, 1, 2, 3]
        assert "real" in standin.history(other)[0]
        assert 0 <= standin.summary(other)["accuracy"] <= 1
        assert any(file.endswith(".table.json") for file in standin.files(other))


def uploaded() -> None:
    """What waits, in the order in which it was made."""
    for piece in wandb_offline.unsynced(RUNS):
        wandb_offline.upload([piece])


class TestTrouble:
    @pytest.mark.parametrize(
        "trouble", ["rejected key", "403", pytest.param("500", marks=SLOW), pytest.param("away", marks=SLOW)]
    )
    def test_at_the_start_costs_one_line(
        self, standin: Standin, trouble: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        if trouble == "rejected key":
            standin.reject_key()
        elif trouble == "away":
            standin.close()
        else:
            standin.fail("UpsertBucket", int(trouble), 1000)
        one = tracker()
        with caplog.at_level(logging.WARNING):
            for recipe in (RECIPE, BASELINE):
                begin(one, recipe)
                one.finish(result_of(recipe))
        (record,) = [record for record in caplog.records if record.name.startswith("ddsweep")]
        assert "ddsweep sync" in record.getMessage()
        assert KEY not in caplog.text
        assert [piece.note.title for piece in wandb_offline.unsynced(RUNS)] == [RECIPE.title(), BASELINE.title()]
        standin.open() if trouble == "away" else standin.mend()
        standin.state.key = KEY

    @SLOW
    def test_during_a_run_loses_nothing(self, standin: Standin, caplog: pytest.LogCaptureFixture) -> None:
        one = tracker()
        begin(one, steps=range(1, 3))
        standin.close()
        begin(one, steps=range(3, 5))
        with caplog.at_level(logging.WARNING):
            one.finish(result_of())
        (record,) = [record for record in caplog.records if record.name.startswith("ddsweep")]
        assert "does not answer" in record.getMessage()
        standin.open()
        assert len(wandb_offline.unsynced(RUNS)) == 2
        uploaded()
        assert steps_of(standin, name()) == [1, 2, 3, 4]
        assert standin.summary(name())["accuracy"] == pytest.approx(0.6)
        assert standin.runs[name()].state == "finished"
        assert len(standin.runs[name()].inputs) == 2
        assert wandb_offline.unsynced(RUNS) == []

    @SLOW
    @pytest.mark.parametrize("trouble", ["rejected key", "stream"])
    def test_that_the_client_does_not_report_is_noticed(self, standin: Standin, trouble: str) -> None:
        one = tracker()
        begin(one)
        if trouble == "stream":
            standin.fail("file_stream", 404, 1000)
        else:
            standin.reject_key()
        one.finish(result_of())
        assert wandb_offline.unsynced(RUNS) != []
        standin.mend()
        standin.state.key = KEY
        uploaded()
        assert steps_of(standin, name()) == [1, 2, 3, 4]
        assert standin.runs[name()].state == "finished"

    @SLOW
    def test_with_an_artifact_leaves_the_run_unsynced(self, standin: Standin) -> None:
        one = tracker()
        begin(one)
        standin.fail("CreateArtifact", 500, 1000)
        one.finish(result_of())
        assert [piece.offline for piece in wandb_offline.unsynced(RUNS)] == [False, True]
        standin.mend()
        uploaded()
        assert "synthetic-digits-dm-ipc1:v0" in standin.artifacts


class TestOffline:
    def test_needs_no_account(self, standin: Standin, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
        monkeypatch.delenv("WANDB_API_KEY")
        one = tracker()
        with caplog.at_level(logging.WARNING):
            for recipe in (RECIPE, BASELINE):
                begin(one, recipe)
                one.finish(result_of(recipe))
        (record,) = [record for record in caplog.records if record.name.startswith("ddsweep")]
        assert "No API key configured" in record.getMessage()
        assert len(wandb_offline.unsynced(RUNS)) == 2
        assert standin.operations.total() == 0

    def test_pieces_of_a_run_are_uploaded_as_one_run(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_MODE", "offline")
        one = tracker()
        begin(one, steps=range(1, 4))
        one.abort()
        two = tracker()
        begin(two, steps=range(2, 5))  # from a checkpoint after step 1
        two.finish(result_of())
        assert [piece.note.step for piece in wandb_offline.unsynced(RUNS)] == [3, 4]
        assert standin.operations.total() == 0
        uploaded()
        assert steps_of(standin, name()) == [1, 2, 3, 4]
        assert standin.runs[name()].state == "finished"
        assert standin.runs[name()].group == SWEEP
        assert len(standin.runs[name()].inputs) == 2

    @SLOW
    def test_an_unsynced_run_stays_offline(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_MODE", "offline")
        one = tracker()
        begin(one, steps=range(1, 3))
        one.abort()
        wandb.teardown()
        monkeypatch.setenv("WANDB_MODE", "online")
        two = tracker()
        begin(two)
        two.finish(result_of())
        assert [piece.offline for piece in wandb_offline.unsynced(RUNS)] == [True, True]
        uploaded()
        assert steps_of(standin, name()) == [1, 2, 3, 4]

    def test_disabled_writes_nothing(self, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_MODE", "disabled")
        one = tracker()
        begin(one)
        one.finish(result_of())
        assert wandb_offline.all_of(RUNS) == []
        assert standin.operations.total() == 0


@pytest.mark.parametrize(
    "choices",
    [
        {}, {"alpha": 0.0}, {"method": "dsa", "ipc": 10, "lr_img": 5.0}, {"target": "svhn", "source": "cifar10"},
        {"source": "imagenet"}, {"ptm_archs": "convnet3+alexnet", "alpha_by_arch": "convnet3:1+alexnet:0"},
    ],
)  # fmt: skip
def test_types_survive_a_service_that_does_not_distinguish_numbers(choices: dict[str, Any]) -> None:
    recipe = make(choices)
    config = json.loads(json.dumps(recipe.model_dump()), parse_float=lambda text: float(text))
    worn = {
        field: int(value) if isinstance(value, float) and value.is_integer() else value
        for field, value in config.items()
    }
    assert recipe_of(worn | {"provenance": {"git": {}}, "cell": "alpha=3.0"}) == recipe


def test_an_unknown_tracker_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"track: unknown tracker 'wand'; did you mean wandb\?"):
        choice.further(["wand"], SWEEP, tmp_path, "", "")
    assert choice.further([], SWEEP, tmp_path, "", "") == []


@pytest.mark.parametrize("name", ["α β", "中文", "a/b", "[/x] $y$", "ok_1.2-3"])
def test_the_name_of_a_collection_is_one_that_wandb_accepts(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_.-]+", tracker_names("synthetic", name, "dm", "ipc1"))

"""Parts of plugins in use: in a trial, in the cache of decoded images, and when they are invalid."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from ddsweep import agent, backends, data, nn, sweep, trial
from ddsweep.backends import Definition
from ddsweep.data import paths, store
from ddsweep.data.decoders import decode
from ddsweep.errors import UserError
from ddsweep.plugins import loading
from ddsweep.recipe import absent, make
from ddsweep.recipe import stored as make_stored
from ddsweep.registry.methods import METHODS
from ddsweep.results import result as results
from ddsweep.results.tables import naming
from ddsweep.trackers import Tracker
from tests.cli.conftest import Run, ddsweep
from tests.distill.test_guards import RATE
from tests.plugins.plugged import HALF, Plug, forget, plug

__all__ = ["ddsweep", "plug"]
TINY: dict[str, Any] = {
    "target": "digits",
    "method": "half",
    "ipc": 1,
    "iterations": 2,
    "width": 4,
    "alpha": 0,
    "eval_nets": 1,
    "eval_epochs": 2,
    "arch": "convnet1",
}
DATASET = """
import ddsweep, numpy as np

@ddsweep.dataset("spots", classes=("a", "b"), size=8, smallest_class=2, channels=1, paper="Spots")
def decode(row, paths):
    images = np.full((4, 1, 8, 8), {pixel}, dtype=np.uint8)
    images[0] -= 9
    images[1] += 9
    return images, [0, 1, 0, 1], images, np.array([0, 1, 0, 1], dtype=np.int32)
"""


def test_a_trial_records_its_code_and_refuses_other_code(plug: Plug, tmp_path: Path) -> None:
    plug(mine=HALF)
    recipe = make(TINY)
    result = trial.run(recipe, Tracker(), "cpu", tmp_path)
    assert result.versions["plugin mine"] == recipe.plugins.partition("@")[2]
    plug(mine=HALF.replace("[::2]", "[::3]"))
    forget("mine")
    changed = make(TINY)
    assert changed.key() != recipe.key()
    assert results.read(tmp_path / recipe.key()) == result, "the result of the old code can still be read"
    assert trial.run(recipe, Tracker(), "cpu", tmp_path) == result, "without running any code"
    with pytest.raises(UserError, match=rf"on this host, but the cell needs {recipe.plugins}; copy the same source"):
        trial.run(make(recipe.model_dump() | {"seed": 1}), Tracker(), "cpu", tmp_path)


def test_a_result_is_read_without_its_plugin(plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=HALF)
    recipe = make(TINY)
    written = results.Result(recipe, {"convnet1": [0.5]}).write(tmp_path / recipe.key())
    monkeypatch.setenv(loading.VARIABLE, "")
    forget("mine")
    assert results.read(tmp_path / recipe.key()) == written
    assert absent.lines([recipe]) == [
        "method half is not available on this host: add the file to $DDSWEEP_PLUGINS, or install the package"
    ]
    with pytest.raises(UserError, match="plugins: mine is not available on this host; add the file"):
        trial.run(make_stored(recipe.model_dump() | {"seed": 1}), Tracker(), "cpu", tmp_path)


def test_an_agent_with_other_code_takes_no_cell(plug: Plug, tmp_path: Path) -> None:
    plug(mine=HALF)
    settings = TINY | {"alpha": [0], "ptm_train_epochs": 1}
    alpha = sweep.load("ablation-alpha", "demo", settings)
    database = f"sqlite:///{tmp_path}/ddsweep.db"
    store = backends.connect(database)
    store.sweep(alpha.full_name).register(Definition.of(alpha))
    store.close()
    plug(mine=HALF.replace("[::2]", "[::3]"))
    forget("mine")
    with pytest.raises(UserError, match="copy the same source"):
        agent.main(alpha.full_name, database, tmp_path, agent.Placement("cpu"))
    store = backends.connect(database)
    assert [row.attempts for row in store.sweep(alpha.full_name).status().rows] == [0]
    store.close()


@pytest.mark.parametrize(
    "bad", ["yield total\n        yield synthetic.images.square().sum()", "return\n        yield total"]
)
def test_a_loss_that_is_yielded_twice_or_never(bad: str, plug: Plug, tmp_path: Path) -> None:
    plug(mine=HALF.replace("yield total", bad))
    with pytest.raises(UserError, match=r"^method: half does not yield 1 losses per network \(outer_loops\)$"):
        trial.run(make(TINY), Tracker(), "cpu", tmp_path)


def test_a_method_whose_loss_has_no_episode(plug: Plug, tmp_path: Path) -> None:
    plug(mine='import ddsweep\n@ddsweep.method("half")\ndef make(net):\n    return 3\n')
    with pytest.raises(UserError, match=r"^method: half makes int, which has no episode$"):
        trial.run(make(TINY), Tracker(), "cpu", tmp_path)


def test_an_edited_decoder_decodes_again(plug: Plug) -> None:
    plug(mine=DATASET.format(pixel=10))
    first = data.load("spots")
    assert (first.channels, first.size, first.classes) == (1, 8, ("a", "b"))
    assert first.mean[0] == pytest.approx(10 / 255)
    plug(mine=DATASET.format(pixel=30))
    forget("mine")
    assert data.load("spots").mean[0] == pytest.approx(30 / 255)
    assert len(paths.all_decoded(data.info("spots"))) == 1
    assert [finding.state for finding in store.verify("spots")] == ["intact"]


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("np.uint8)", "np.float32)", r"its training images are float32 \[4, 1, 8, 8\]; needed: uint8 \[n, 1, h, w\]"),
        ("(4, 1, 8, 8)", "(4, 8, 8, 1)", r"its training images are uint8 \[4, 8, 8, 1\]; needed: uint8 \[n, 1, h, w\]"),
        ("return images, [0, 1, 0, 1]", "return images, [0, 1, 0]", "it has 4 training images and 3 labels of them"),
        ("return images, [0, 1, 0, 1]", "return images, [0, 1, 0, 2]", "training labels are not those of 2 classes"),
        ("return images, [0, 1, 0, 1]", "return images, [0.0, 1, 0, 1]", r"training labels are list; needed: whole"),
        ("images, [0, 1, 0, 1], images", "images, [0, 1, 0, 1], 'none'", r"its test images are str; needed: uint8"),
        ("return images, [0, 1, 0, 1],", "return", "it must return images, labels, test images, test labels"),
        ("    images =", "    {}['x']\n    images =", r"KeyError: 'x' \(mine\.py line 6\)$"),
    ],
)
def test_an_invalid_decoder_names_its_plugin(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=DATASET.format(pixel=10).replace(good, bad))
    with pytest.raises(UserError, match=f"^spots of the plugin mine: .*{line}"):
        decode(data.info("spots"))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return 3", "its function returns int, not a torch module"),
        ("return nn.Linear(3, 3)", r"cannot take 3×16×16 images \("),
        ("return nn.Flatten(0)", r"makes \[1536\] of two images; the first axis must be theirs"),
    ],
)
def test_an_invalid_network_names_its_plugin(body: str, line: str, plug: Plug) -> None:
    plug(mine=f'import ddsweep\nfrom torch import nn\n@ddsweep.network("mine")\ndef f(channels, size, width): {body}\n')
    with pytest.raises(UserError, match=f"^arch: mine of the plugin mine: .*(?:{line})"):
        nn.build("mine", size=16)


BY_A_FUNCTION = """def make(dataset, net, streams, *, ipc, init):
    return ImagesAndRate(dataset, net, streams, ipc=ipc, init=init)

@ddsweep.method("rated", learned=make"""


@pytest.mark.parametrize("function", [False, True])
def test_what_a_set_says_of_its_images_is_in_its_file_and_in_the_report(
    plug: Plug, ddsweep: Run, monkeypatch: pytest.MonkeyPatch, function: bool
) -> None:
    plug(mine=RATE.replace('@ddsweep.method("rated", learned=ImagesAndRate', BY_A_FUNCTION) if function else RATE)
    tiny = {**TINY, "method": "rated", "arch": "convnet3", "init": "noise", "batch_real": 1, "outer_loops": 1}
    chosen = [f"--set={name}={value}" for name, value in {**tiny, "alpha": "0,1"}.items()]
    done = ddsweep("launch", "ablation-alpha", "-p", "demo", "--as", "mine", *chosen, "--workers", "0", "-d", "cpu")
    assert done.exit_code == 0, done.output
    said = []
    for path in Path("runs").glob("*/synthetic.safetensors"):
        with safe_open(path, "np") as file:
            said.append(file.metadata().get("about"))
    assert said == 2 * ["images with a learned rate"]
    for _ in range(2):
        done = ddsweep("report", "mine", "-p", "demo", "-o", "report.html")
        assert done.exit_code == 0, done.output
        assert "(images with a learned rate)" in Path("report.html").read_text(encoding="utf-8")
        monkeypatch.setenv(loading.VARIABLE, "")  # a host without the plugin
        if "mine" in sys.modules:
            forget("mine")


def test_the_file_of_a_built_in_set_has_no_phrase(tmp_path: Path) -> None:
    recipe = make({**TINY, "method": "dm"})
    trial.run(recipe, Tracker(), "cpu", tmp_path)
    with safe_open(tmp_path / recipe.key() / "synthetic.safetensors", "np") as file:
        assert file.metadata().keys() - {"checksum"} == {"dataset", "classes", "mean", "std", "ipc", "method", "key"}


def test_tables_use_the_names_from_plugins(plug: Plug) -> None:
    plug(mine=DATASET.format(pixel=1), other=HALF)
    assert "half" in METHODS
    assert naming.value("target", "spots") == "Spots"
    assert naming.value("method", "half") == "HALF"
    assert [naming.value("source", name) for name in ("imagenet", "internet", "cifar10", "digits")] == [
        "ImageNet",
        "Internet",
        "CIFAR-10",
        "digits",
    ]
    assert naming.value("method", "somebody-elses") == "SOMEBODY-ELSES"


def test_the_plugins_command(plug: Plug, ddsweep: Run) -> None:
    assert ddsweep("plugins").stdout.startswith("no plugins; name a file in $DDSWEEP_PLUGINS")
    plug(mine=DATASET.format(pixel=1) + HALF)
    (one,) = json.loads(ddsweep("plugins", "--json").stdout)
    assert (one["name"], one["adds"]) == ("mine", ["method half", "dataset spots"])
    assert f"mine    {one['digest']}  method half, dataset spots" in ddsweep("plugins").stdout
    assert "mine: the digest covers 1 module: mine\n" in ddsweep("plugins").stdout
    assert any(line.startswith("spots ") for line in ddsweep("data", "list").stdout.splitlines())

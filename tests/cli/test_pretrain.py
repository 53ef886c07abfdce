"""``ddsweep pretrain`` and ``ddsweep pool``: the pool filled ahead, and what it says of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from ddsweep import text
from ddsweep.nn import build
from ddsweep.pretrained import spec
from ddsweep.sweep import load
from tests import foundations
from tests.cli.conftest import Run
from tests.cli.test_bad_input import refused

SMALL = ["--width", "4", "--set", "ptm_train_epochs=2", "--set", "ptm_batch=512", "-d", "cpu"]


def results_in(stdout: str) -> list[str]:
    """The lines without those of the progress."""
    return [line for line in stdout.splitlines() if not line.startswith("  ")]


def test_the_pool_is_filled_ahead(ddsweep: Run) -> None:
    words = ["pretrain", "digits", "--archs", "convnet1+convnet2", "--models", "2", "--epochs", "1,2"]
    result = ddsweep(*words, *SMALL)
    lines = results_in(result.stdout)
    assert [line.partition(":")[0] for line in lines] == [
        f"{arch} on digits, seed {seed}" for arch in ("convnet1", "convnet2") for seed in (0, 1)
    ]
    records = json.loads(ddsweep("pool", "--json").stdout)
    assert [(one["arch"], one["spec"]["seed"], list(one["accuracy"])) for one in records] == [
        (arch, seed, ["1", "2"]) for arch in ("convnet1", "convnet2") for seed in (0, 1)
    ]
    for line, one in zip(lines, records, strict=True):
        shown = (f"{epoch} ({100 * accuracy:.1f} %)" for epoch, accuracy in one["accuracy"].items())
        assert line.endswith(f": epochs {' '.join(shown)}")
        assert one["disk_bytes"] == sum(path.stat().st_size for path in Path(one["folder"]).iterdir())
    assert results_in(ddsweep(*words, *SMALL).stdout) == lines  # nothing is trained again


def test_the_pool_names_the_sweeps_that_use_a_ptm(ddsweep: Run) -> None:
    settings = ["--set", "ptm_train_epochs=20", "--set", "ptm_batch=64", "--width", "32"]  # of the demo
    assert ddsweep("pretrain", "digits", "--epochs", "1", *settings, "-d", "cpu").exit_code == 0
    (one,) = json.loads(ddsweep("pool", "--json").stdout)
    assert {"ablation-alpha@demo", "ablation-epoch@demo", "ablation-n-models@demo"} <= set(one["used_by"])
    assert not [name for name in one["used_by"] if name.endswith("@paper")]
    (cell, *_) = [cell for cell in load("ablation-epoch@demo").cells if cell.recipe.ptm_epoch == 1]
    assert [str(ptm.folder) for (ptm,) in spec.of(cell.recipe)] == [one["folder"]]
    head, row = ddsweep("pool").stdout.splitlines()[:2]
    assert head.split() == ["PTM", "WIDTH", "EPOCHS", "ACC", "DISK", "USED", "BY"]
    assert row.startswith("convnet3 on digits, seed 0     32  1")


def test_an_empty_pool_says_how_to_fill_it(ddsweep: Run) -> None:
    result = ddsweep("pool")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "train some, for example: ddsweep pretrain shapes" in result.stderr
    assert json.loads(ddsweep("pool", "--json").stdout) == []


def test_weights_that_the_user_has(ddsweep: Run) -> None:
    torch.save(foundations.resnet18(), "mine.pth")
    result = ddsweep("pretrain", "imagenet", "--weights", "mine.pth")
    assert result.stdout.startswith("resnet18-imagenet: ")
    assert "not the published f37072fd" in result.stdout
    (one,) = json.loads(ddsweep("pool", "--json").stdout)
    assert (one["source"], one["arch"], one["accuracy"]) == ("imagenet", "resnet18-imagenet", {"0": None})
    assert ddsweep("pool").stdout.splitlines()[1].startswith("resnet18-imagenet, published  –      –       –")
    assert "resnet18-imagenet, published: in the pool" in ddsweep("show", *ACROSS).stdout


ACROSS = ["ablation-domain@demo", "--set", "source=imagenet"]


def test_a_sweep_whose_source_is_no_dataset(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ddsweep("show", *ACROSS).stdout
    assert "resnet18-imagenet, published: not yet in the pool; download it with: ddsweep pretrain imagenet" in shown
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("data")] == ["digits:"]

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    result = ddsweep("launch", *ACROSS, "--workers", "0", "-d", "cpu")
    refused(result, "could not be downloaded (no network)")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["digitz"], "unknown dataset 'digitz'; did you mean digits?"),
        (["digits", "--archs", "convnt3"], "ptm_archs: unknown network 'convnt3'; did you mean convnet3?"),
        (["digits", "--epochs", "1;4"], "epochs: '1;4' is not a list of whole numbers such as 1,4,150"),
        (["digits", "--epochs", "151"], "ptm_epoch: 151 is after the last epoch (allowed: 1 to 150)"),
        (["digits", "--set", "alpha=0"], "alpha: does not affect the training of a PTM"),
        (
            ["digits", "--weights", "x.pth"],
            "weights: digits is trained by ddsweep; --weights is only for imagenet, internet",
        ),
        (["imagenet", "--models", "3"], "imagenet is a published PTM, which is not trained; remove n_models"),
        (["imagenet", "--weights", "x.pth"], "weights: file not found: x.pth"),
        (["digits", "-d", "gpu"], "unknown device 'gpu'; choose auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_one_line(ddsweep: Run, words: list[str], line: str) -> None:
    refused(ddsweep("pretrain", *words), line)


EXPERTS = ["pretrain", "digits", "--experts", "2", "--archs", "convnet2", "--width", "4", "-d", "cpu"]


def test_experts_state_their_size_first_and_are_listed_as_one_row(ddsweep: Run) -> None:
    net = build("convnet2", channels=1, size=16, width=4)
    weights = 4 * sum(value.numel() for value in net.parameters())
    first, last = results_in(ddsweep(*EXPERTS, "--epochs", "2").stdout)
    assert first.startswith(
        f"2 experts of convnet2 on digits, epochs 0-2: {text.data_size(2 * 3 * weights)} to write to"
    )
    assert re.fullmatch(r"2 experts of convnet2 on digits, epochs 0-2: in the pool; test accuracy .* to .* %", last)
    again = results_in(ddsweep(*EXPERTS, "--epochs", "4", "--set", "zca=false").stdout)[0]
    assert f"epochs 0-4: {text.data_size(2 * 2 * weights)} to write to" in again  # the first epochs are there
    records = json.loads(ddsweep("pool", "--json").stdout)
    assert [list(one["accuracy"]) for one in records] == [["0", "1", "2", "3", "4"]] * 2
    _, row = ddsweep("pool").stdout.splitlines()
    assert row.split()[:7] == ["convnet2", "on", "digits,", "experts", "0-1", "4", "0-4"]
    assert ddsweep("clean", "pool", "--yes").exit_code == 0
    assert json.loads(ddsweep("pool", "--json").stdout) == []


def test_whitened_experts_are_others(ddsweep: Run) -> None:
    for more in ([], ["--set", "zca=true"]):
        assert ddsweep(*EXPERTS, "--epochs", "1", *more).exit_code == 0
    titles = {one["spec"].get("zca") for one in json.loads(ddsweep("pool", "--json").stdout)}
    assert titles == {False, True}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--epochs", "1,5"], "epochs: every epoch of an expert is kept; give the last one, such as 5"),
        (["--models", "3"], "experts: cannot be combined with --models"),
        (["--set", "lr_lr=1"], "lr_lr: does not affect the training of an expert; allowed: arch,"),
        (["--set", "zca=true", "--set", "size=96"], "zca: images of 1×96×96 have 9216 values"),
        (["--epochs", "0"], "expert_train_epochs: 0 is out of range; at least 1"),
    ],
)
def test_experts_that_cannot_be_trained(ddsweep: Run, words: list[str], line: str) -> None:
    refused(ddsweep(*EXPERTS, *words), line)

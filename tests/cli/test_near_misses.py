"""A name that is almost right is answered with the right one, wherever a name is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Run

SHOW = ("show", "ablation-alpha", "-p", "demo", "--set")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((*SHOW, "target=CIFAR10"), "cifar10"),
        ((*SHOW, "target=cifar-10"), "cifar10"),
        ((*SHOW, "target=ImageFolder:data"), "imagefolder:data"),
        ((*SHOW, "source=Digits"), "digits"),
        ((*SHOW, "method=DM"), "dm"),
        ((*SHOW, "arch=Convnet3"), "convnet3"),
        ((*SHOW, "arch=ConvNet-3"), "convnet3"),
        ((*SHOW, "ptm_archs=convnet3+ResNet18"), "resnet18"),
        ((*SHOW, "eval_archs=Alex_Net"), "alexnet"),
        ((*SHOW, "alpha_by_arch=VGG11:5"), "vgg11"),
        ((*SHOW, "regularizer=CLoM"), "clom"),
        ((*SHOW, "eval_rule=Evaluate-Synset"), "evaluate_synset"),
        ((*SHOW, "dsa_strategy=Color_crop"), "color"),
        ((*SHOW, "eval_strategy=color_Flipp"), "flip"),
        ((*SHOW, "method=dc", "--set", "distance=MSE"), "mse"),
        ((*SHOW, "precision=BF16"), "bf16"),
        ((*SHOW, "batch-real=5"), "batch_real"),
        ((*SHOW, "IPC=5"), "ipc"),
        (("show", "Ablation_Alpha"), "ablation-alpha"),
        (("show", "Tabel-2"), "table2"),
        (("show", "ablation-alpha", "-p", "Demo"), "demo"),
        (("launch", "ablation-alpha", "--backend", "Optuna"), "optuna"),
        (("launch", "ablation-alpha", "--track", "WandB"), "wandb"),
        (("launch", "ablation-alpha", "--slurm", "Partition=gpu"), "partition"),
        (("launch", "ablation-alpha", "--compile", "Auto"), "auto"),
        (("pretrain", "Digits"), "digits"),
        (("pretrain", "digits", "--archs", "ConvNet3"), "convnet3"),
        (("evaluate", "images_best.pt", "--dataset", "Cifar-10"), "cifar10"),
        (("evaluate", "images_best.pt", "--dataset", "cifar10", "--rule", "Paper"), "paper"),
        (("evaluate", "images_best.pt", "--dataset", "cifar10", "--set", "eval-epochs=1"), "eval_epochs"),
        (("data", "fetch", "MNIST!"), "mnist"),
        (("clean", "Runs"), "runs"),
        (("plot", "ablation-alpha@demo", "--kind", "t-SNE"), "tsne"),
    ],
)
def test_did_you_mean(ddsweep: Run, words: tuple[str, ...], meant: str) -> None:
    if words[0] == "evaluate":
        torch.save(torch.rand(10, 3, 32, 32), "images_best.pt")
        torch.save(torch.arange(10), "labels_best.pt")
    result = ddsweep(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert f"did you mean {meant}?" in result.stderr
    assert result.stderr.count("\n") == 1


def test_formats_in_any_case(ddsweep: Run) -> None:
    assert "Invalid value" not in ddsweep("results", "ablation-alpha", "--format", "JSON").stderr


def test_a_sweep_without_a_title(ddsweep: Run, tiny: list[str]) -> None:
    Path("mine.yaml").write_text(
        "method: grid\nparameters: {alpha: {values: [0, 5]}}\nx-ddsweep: {axis: [alpha], baseline: {alpha: 0}}\n"
    )
    show = ddsweep("show", "mine.yaml", "-p", "demo").stdout
    assert show.splitlines()[0] == "mine@demo · 2 cells"
    launched = ddsweep("launch", "mine.yaml", "-p", "demo", *tiny, "--workers", "0", "-d", "cpu")
    assert launched.exit_code == 0, launched.output
    assert any(line.startswith("mine@demo · 2 cells · ") for line in launched.stdout.splitlines())
    assert ddsweep("status").stdout.splitlines()[0].strip() == "mine@demo"
    assert "mine" in ddsweep("results", "mine@demo", "-f", "latex").stdout
    assert ddsweep("report", "mine@demo").exit_code == 0
    page = Path("runs/mine@demo/report.html").read_text(encoding="utf-8")
    assert "<h1>mine@demo</h1>" in page
    assert ddsweep("copy", "mine.yaml", "yours.yaml").exit_code == 0

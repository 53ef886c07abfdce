"""Rules of plugins: their functions train, ddsweep draws and tests; interrupted, they end in the same scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from ddsweep import judging, nn, rng, trial
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.errors import UserError
from ddsweep.estimate import work
from ddsweep.estimate.measure import Bench
from ddsweep.evaluate import Evaluation, Rule, evaluate, named
from ddsweep.recipe import make
from ddsweep.registry.datasets import FULL_STRATEGY
from ddsweep.results.tables import layout, naming
from ddsweep.trackers import Tracker
from tests import toys
from tests.cli.conftest import Run, ddsweep
from tests.plugins.plugged import Plug, plug

__all__ = ["ddsweep", "plug"]
SGD = """
import numpy as np, torch
import ddsweep
from torch.nn.functional import cross_entropy

CALLS = []

@ddsweep.evaluation("plain", paper="Plain SGD", epochs=7, batch=4, lr=0.5)
def plain(net, synthetic, dataset, *, epochs, batch, lr, generator, progress):
    CALLS.append(float(synthetic.images.sum()))
    for epoch in range(epochs):
        order = torch.randperm(len(synthetic.labels), generator=generator)
        for index in order.split(batch):
            loss = cross_entropy(net(synthetic.images[index]), synthetic.labels[index])
            for one, slope in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters()))):
                one.data -= lr * slope
        progress(epoch + 1)
"""
FORM = """
import ddsweep
from ddsweep.evaluate import Rule

@ddsweep.evaluation("form", epochs=30, batch=8, without=["flip"], counts="best of 3 tests")
def form(arch):
    return Rule(epochs=999, lr=9.0, cutmix=True, decays="never", checks=3 if arch == "convnet1" else 2)
"""
TINY: dict[str, Any] = {
    "target": "digits", "ipc": 1, "iterations": 2, "width": 4, "alpha": 0, "eval_nets": 2, "arch": "convnet1",
    "eval_epochs": 3, "eval_rule": "plain",
}  # fmt: skip


def evaluated(n: int = 2, rule: Rule | str = "plain", **options: Any) -> Evaluation:
    data, syn = toys.dataset(per_class=5, dtype=torch.float32), toys.synthetic(dtype=torch.float32)
    return evaluate(syn, data, "convnet1", n, torch.Generator().manual_seed(0), rule, width=4, **options)


def test_the_function_trains_what_ddsweep_draws_and_ddsweep_tests_it(plug: Plug) -> None:
    """The oracle draws, trains and tests each network by hand."""
    plug(mine=SGD)
    data, syn = toys.dataset(per_class=5, dtype=torch.float32), toys.synthetic(dtype=torch.float32)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(0)))
    wanted = []
    for index in range(2):
        generator = rng.generator(seed, "net", index)
        net = nn.build(
            "convnet1", channels=data.channels, classes=len(data.classes), size=data.size, width=4, generator=generator
        )
        for _ in range(7):
            for index in torch.randperm(len(syn.labels), generator=generator).split(4):
                net.zero_grad()
                cross_entropy(net(syn.images.detach()[index]), syn.labels[index]).backward()
                with torch.no_grad():
                    for one in net.parameters():
                        assert one.grad is not None
                        one.sub_(0.5 * one.grad)
        with torch.no_grad():
            right = net.eval()(data.test_images).argmax(1) == data.test_labels
        wanted.append(float(right.double().mean()))
    assert evaluated().accuracies == pytest.approx(wanted)
    assert evaluated(1).accuracies == evaluated().accuracies[:1]


def test_what_it_draws_from_global_generators_is_drawn_again(plug: Plug) -> None:
    plug(mine=SGD.replace("images[index])", "images[index] + torch.randn(1) * np.random.rand())"))
    before = torch.get_rng_state()
    first = evaluated()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert evaluated() == first


def test_what_it_prints_and_sets_reaches_nobody(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    plug(mine=SGD, loud=SGD.replace('"plain"', '"loud"').replace(
        "    CALLS", "    print('hello')\n    torch.set_default_dtype(torch.float64)\n    CALLS"))  # fmt: skip
    quiet = evaluated()
    loud = evaluated(rule="loud")
    assert torch.get_default_dtype() == torch.float32
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("hello")) == ("", 2)
    assert "evaluation 'loud': changed torch's default type (torch.float64); restored" in shown.err
    assert loud == quiet


def test_each_network_gets_the_set_as_it_was(plug: Plug) -> None:
    plug(mine=SGD.replace("        progress", "        synthetic.images.zero_()\n        progress"))
    evaluated(3)
    import mine  # type: ignore[import-not-found]

    assert len(set(mine.CALLS)) == 1 != mine.CALLS[0]


def test_an_interrupted_evaluation_keeps_the_networks_that_are_done(plug: Plug, tmp_path: Path) -> None:
    plug(mine=SGD)
    whole, asked = evaluated(3), iter([False] * 10 + [True] + [False] * 99)

    def slots(index: int) -> FileSlot:
        return FileSlot(tmp_path / f"net-{index}.safetensors", {}, Checkpoints(leave=lambda: next(asked)))

    import mine

    mine.CALLS.clear()
    with pytest.raises(Interrupted):  # in the fourth epoch of the second network
        evaluated(3, slots=slots)
    assert len(mine.CALLS) == 2
    assert evaluated(3, slots=slots) == whole
    assert len(mine.CALLS) == 4, "the second one and the third"
    assert evaluated(3, slots=slots) == whole
    assert len(mine.CALLS) == 4


def test_progress_is_told_by_the_function_and_at_the_end(plug: Plug) -> None:
    plug(mine=SGD)
    calls: list[tuple[int, int]] = []
    evaluated(2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 14) for done in range(15)]
    plug(other=SGD.replace("plain", "silent").replace("        progress(epoch + 1)\n", ""))
    calls.clear()
    evaluated(2, "silent", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 14), (7, 14), (14, 14)]


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("    CALLS.append", "    1 / 0\n    CALLS.append", "ZeroDivisionError: division by zero (mine.py line 10)"),
        (
            "        progress",
            "    return 3\n    if 1:\n        progress",
            "its function returns int; it must train",
        ),
        ("lr * slope", "lr * slope.flatten()[:2, None]", "RuntimeError: "),
        (
            "    CALLS.append",
            "    raise SystemExit(3)\n    CALLS.append",
            "calls sys.exit(3) (mine.py line 10)",
        ),
    ],
)
def test_a_function_that_fails_is_one_line_that_names_the_rule(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=SGD.replace(good, bad))
    with pytest.raises(UserError) as error:
        evaluated()
    assert str(error.value).startswith("evaluation 'plain': ")
    assert line in str(error.value)


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("epochs, batch", "epoch, batch", "mine:plain takes epoch, which ddsweep does not give; did you mean epochs?"),
        ("progress):", "progress, **more):", "mine:plain takes more"),
        ("net, synthetic, dataset", "net, dataset", "mine:plain trains net, but not on synthetic"),
        ("epochs=7", "epochs=0", "epochs: 0 is out of range"),
        ("lr=0.5", "lr=-1", "lr: -1 is out of range"),
        ("lr=0.5", "lr=0.5, without=('cutuot',)", "without: 'cutuot'; did you mean cutout?"),
        ('"plain"', '"idc"', "evaluation 'idc' is ddsweep's own; choose another name"),
    ],
)
def test_a_rule_that_is_impossible_is_refused_by_the_decorator(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=SGD.replace(good, bad))
    with pytest.raises(UserError, match="evaluation '") as error:
        make({"eval_rule": "plain"})
    assert line in str(error.value)


def test_a_recipe_has_its_numbers_and_its_code(plug: Plug) -> None:
    plug(mine=SGD)
    recipe = make({"eval_rule": "plain", "eval_lr": 0.25})
    assert (recipe.eval_epochs, recipe.eval_batch, recipe.eval_lr, recipe.eval_strategy) == (7, 4, 0.25, "none")
    assert recipe.plugins.startswith("mine@")
    plain = make({"eval_rule": "plain"}).key()
    assert make({"eval_rule": "plain", "eval_strategy": "crop"}).key() == plain, "it does not take the strategy"
    assert make({"eval_rule": "plain", "eval_batch": 5}).key() != plain
    rule = Rule(7, 4, 0.25, decays="never", own="plain")
    assert trial.rule_for(recipe, "convnet3") == rule
    with pytest.raises(UserError, match="eval_rule: unknown evaluation 'plane'; did you mean plain\\?"):
        make({"eval_rule": "plane"})


def test_a_function_without_a_net_chooses_the_form_of_our_training(plug: Plug) -> None:
    plug(mine=FORM)
    own = Rule(30, 8, 0.01, FULL_STRATEGY.replace("_flip", ""), cutmix=True, decays="never", checks=3)
    assert named("form", FULL_STRATEGY, "cifar10", "convnet1") == own
    recipe = make({"eval_rule": "form", "eval_epochs": 5, "eval_strategy": "crop"})
    assert trial.rule_for(recipe, "convnet3") == Rule(5, 8, 0.01, "crop", cutmix=True, decays="never", checks=2)
    plug(other=FORM.replace('"form"', '"unformed"').replace("return Rule", "return dict"))
    with pytest.raises(UserError, match=r"^evaluation 'unformed': returns dict, not a ddsweep\.evaluate\.Rule"):
        named("unformed")


def test_a_trial_with_it_and_a_table(plug: Plug, ddsweep: Run) -> None:
    plug(mine=SGD)
    settings = [f"{name}={value}" for name, value in TINY.items()]
    done = ddsweep("run", "ablation-alpha", *settings, "--profile", "demo", "--json", "--device", "cpu")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["recipe"]["eval_rule"], len(found["accuracies"]["convnet1"])) == ("plain", 2)
    shown = ddsweep("plugins")
    assert "evaluation plain" in shown.output


@pytest.mark.slow
def test_a_trial_that_is_stopped_and_resumed_ends_in_the_same_numbers(plug: Plug, tmp_path: Path) -> None:
    """Stopped at a later boundary each time: in the distillation, and in the networks of the evaluation."""
    plug(mine=SGD.replace("images[index])", "images[index] + torch.randn(1) * np.random.rand())"))
    recipe, stops = make(TINY), 0
    whole = trial.run(recipe, Tracker(), "cpu", tmp_path / "whole")
    while True:
        left = iter(range(stops + 1))
        try:
            found = trial.run(
                recipe,
                Tracker(),
                "cpu",
                tmp_path / "resumed",
                checkpoints=Checkpoints(leave=lambda left=left: next(left, None) is None),  # type: ignore[misc]
            )
        except Interrupted:
            stops += 2
            continue
        break
    assert stops > 2
    assert found.accuracies == whole.accuracies
    assert found.class_accuracy == whole.class_accuracy


def test_any_set_is_evaluated_by_it(plug: Plug, tmp_path: Path, ddsweep: Run) -> None:
    plug(mine=SGD)
    recipe = make({**TINY, "eval_rule": "paper"})
    trial.run(recipe, Tracker(), "cpu", tmp_path)
    file = str(tmp_path / recipe.key() / "synthetic.safetensors")
    done = ddsweep("evaluate", file, "--rule", "plain", "--set", "eval_epochs=3", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "rule plain: 3 epochs, batch 4, lr 0.5, augmentation none, last epoch" in " ".join(done.output.split())
    job = judging.Job("digits", {**TINY, "eval_lr": 0.1}, "cpu", False)
    assert job.recipe(16).eval_lr == 0.1


def test_tables_name_it_where_the_plugin_is_and_where_it_is_not(plug: Plug) -> None:
    assert layout.title("plain") == "plain"
    plug(mine=SGD)
    make({"eval_rule": "plain"})
    assert layout.title("plain") == "Plain SGD (last epoch)"
    assert layout.title("idc") == "idc (best of 4 tests)"
    assert (naming.value("eval_rule", "plain"), naming.value("eval_rule", "idc")) == ("Plain SGD", "idc")


def test_its_epochs_are_measured_for_an_estimate(plug: Plug) -> None:
    """Ten times the work per epoch, about ten times the price; a rule is a kind of work of its own."""
    plug(mine=SGD, slow=SGD.replace("plain", "slow").replace("in order.split", "in 10 * order.split"))
    cells = [make({**TINY, "ipc": 10, "eval_rule": rule}) for rule in ("plain", "slow")]
    prices = []
    for cell in cells:
        kind = work.Evaluating.of(cell, "convnet1")
        prices.append(Bench("cpu", 20).measure(kind, 1.0).step)  # type: ignore[union-attr]
    assert 3 < prices[1] / prices[0] < 30

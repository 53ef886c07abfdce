"""The measurement calls what a trial calls, finds the numbers that a trial has, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddsweep import flops, trial
from ddsweep.errors import UserError
from ddsweep.estimate import costs, measure, serving, timing, work, workers
from ddsweep.estimate.costs import Prices, trainings
from ddsweep.estimate.distillation import Distillation
from ddsweep.estimate.work import Distilled, Read
from ddsweep.estimate.workers import Order
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make
from ddsweep.trackers import Tracker
from tests import toys
from tests.cli.conftest import TINY

HERE = Order("cpu", seconds=0.01)


def tiny(**choices: Any) -> Recipe:
    small = dict(setting.split("=") for setting in TINY)
    fields = {name: int(value) for name, value in small.items()}
    fields |= {"outer_loops": 2, "inner_epochs": 1}
    return make({"target": "digits", "ipc": 2, "method": "dm", **fields, **choices})


def measured(*recipes: Recipe, seconds: float = HERE.seconds) -> Prices:
    return Prices(workers.measure(work.of_all(recipes), replace(HERE, seconds=seconds))[0])


@pytest.mark.parametrize(
    "choices",
    [
        {"regularizer": "none"},
        {"method": "dc", "regularizer": "none"},
        {"method": "idc", "net_images": 64},
        {"method": "dream", "net_images": 64, "regularizer": "none", "outer_loops": 4, "select_every": 2},
        {"method": "dim", "net_images": 64, "gan_epochs": 2, "gan_batch": 64, "match_archs": "convnet2"},
        {"method": "dsa", "ptm_archs": "convnet3+alexnet", "n_models": 2},
        {"source": "shapes", "ptm_statistics": "source"},
        {"target": "shapes", "regularizer": "none", "eval_rule": "best", "eval_archs": "convnet2+alexnet-bn"},
        {"regularizer": "none", "iterations": 1, "eval_epochs": 1},
        {"target": "cdigits", "align": 0.5},
        {"regularizer": "none", "lr_img": 1e30},  # diverges at the first step that is logged
    ],
)
def test_every_kind_of_work_is_measured(choices: dict[str, Any], isolated: Path) -> None:
    recipe = tiny(**choices)
    price = measured(recipe)
    for finding in price.found.values():
        assert all(value >= 0 for value in astuple(finding))
        assert isinstance(finding, Read) or finding.step > 0
    assert (
        price.read(recipe.dataset, recipe.size).images
        == {"digits": 1201, "cdigits": 1201, "shapes": 2000}[recipe.target]
    )
    assert price.job(recipe).after > 0
    assert not list(isolated.iterdir())
    assert {path.name for path in Path(os.environ["DDSWEEP_CACHE"]).iterdir()} == {"data"}  # no PTM, no lock of one


def test_an_iteration_is_the_sum_of_its_loops() -> None:
    """Of DREAM, three loops are measured, with two steps each here; the first and the third choose images."""
    recipe = tiny(method="dream", outer_loops=25, select_every=10, regularizer="none")
    distillation = Distillation.of(recipe, toys.dataset(classes=2), None, lambda: None)
    assert (distillation.recipe.outer_loops, distillation.recipe.select_every) == (3, 2)
    assert distillation.loops(timing.Pace((5.0, 4.0, 3.0, 1.0, 9.0, 2.0))) == [9.0, 4.0, 11.0]
    found = Distilled(9, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, selecting=7)
    assert found.iteration(recipe) == 9 + 24 * 4 + 2 * 7  # images are chosen in loops 0, 10 and 20
    plain = tiny(method="dsa", outer_loops=5, regularizer="none")
    assert found.iteration(plain) == 9 + 4 * 4


def test_images_are_made_up_where_nothing_is_decoded(isolated: Path) -> None:
    recipe = tiny(target="cifar10", regularizer="none")
    price = measured(recipe)
    assert price.read("cifar10", 32).images == 50_000
    assert price.read("cifar10", 32).size == 60_000 * (3 * 32 * 32 + 8)
    assert price.distilling(recipe) > 0
    assert not Path(os.environ["DDSWEEP_CACHE"]).exists()


def test_a_published_model_needs_no_weights_to_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddsweep.nn import foundation

    def no_network(*_: object) -> Path:
        raise AssertionError("downloads")

    monkeypatch.setattr(foundation, "download", no_network)
    recipe = tiny(source="imagenet", cclom_batch=2)
    found = measured(recipe).distilled(recipe)
    assert found.look > 0
    assert found.features == 4 * 512


DIM: dict[str, Any] = {
    "method": "dim", "net_images": 64, "gan_epochs": 3, "gan_batch": 400, "match_archs": "convnet2",
    "regularizer": "none",
}  # fmt: skip


def test_both_stages_of_dim_have_a_price() -> None:
    """The GAN is a training like that of a PTM, which is done once; its epochs have three batches of 400 digits."""
    recipe = tiny(**DIM)
    price = measured(recipe)
    (one,) = trainings(recipe)
    found = price.trained(one)
    assert price.training(one, {3}) == pytest.approx(found.warm_up + 3 * 3 * found.step)
    assert price.training(one, {3}, {3}) == 0
    plain = tiny(eval_rule="dim", regularizer="none")
    assert work.Evaluating.of(recipe, "convnet3") != work.Evaluating.of(plain, "convnet3"), "one of them samples"


def test_the_operations_of_dim_written_out() -> None:
    """Convolutions and linear layers, at two operations per multiply-add."""
    w, classes, data = 9, 3, toys.dataset(classes=3, size=16)  # 196 · 6 / 128 = 9
    generator = (90 + classes) * 4 * w + 16 * w * w * (4 + 16 + 64) + 9 * w * w * (3 * 16 + 64) + 9 * w * 3 * 256
    discriminator = 9 * 3 * w * 256 + 9 * w * w * (64 + 64 + 16 + 16 + 16 + 16 + 4) + w * (1 + classes)
    ours, step = flops.adversarial(3, classes, 16, 6)
    assert ours == 2 * generator
    assert step == 2 * (4 * generator + 14 * discriminator)
    recipe = tiny(**DIM | {"gan_width": 6, "outer_loops": 5, "iterations": 7, "batch_real": 11})
    one = flops.forward("convnet2", 3, classes, 16, recipe.width)
    assert flops.distillation(recipe, data) == 5 * 7 * ((3 * 64 + 4 * 11) * one + 11 * step)
    assert flops.training(spec.gan(recipe), 2, data) == 2 * 60 * step


@pytest.mark.slow
@pytest.mark.parametrize(
    "choices", [{"regularizer": "none", "iterations": 8}, {"ptm_archs": "convnet3", "alpha": 1.0}, DIM]
)
def test_bytes_are_those_of_real_files(choices: dict[str, Any], tmp_path: Path) -> None:
    recipe = tiny(**choices)
    price = measured(recipe, seconds=4)  # enough for whole pictures
    trial.run(recipe, Tracker(), "cpu", tmp_path)
    folder = tmp_path / recipe.key()
    pictures = sum(path.stat().st_size for path in (folder / "images").iterdir())  # the dashboard has copies of them
    real = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) + pictures
    exact = 0.35 if choices is DIM else 0.05  # the pictures of an untrained generator are smaller than later ones
    assert costs.cell(recipe, price) - costs.BOOKS == pytest.approx(real, rel=exact)
    for one in trainings(recipe):
        pool = sum(path.stat().st_size for path in one.folder.iterdir())
        assert costs.ptm(one, spec.needs([recipe])[one], price) == pytest.approx(pool, rel=0.5)


def test_what_compiling_takes_is_not_part_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the compiler takes 40,000 s at a function's first call; later, in another trial, 10,000 s."""
    waits, real = iter([40_000.0]), time.perf_counter
    late = 0.0

    def compiler(body: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        ready = False

        def slow_at_first(*args: Any) -> Any:
            nonlocal late, ready
            late, ready = late + (0.0 if ready else next(waits, 10_000.0)), True
            return body(*args)

        return slow_at_first

    monkeypatch.setattr("torch.compile", compiler)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: real() + late))
    monkeypatch.setenv("DDSWEEP_COMPILE", "on")
    monkeypatch.setattr(measure, "COMPILING", 0.0)
    found = measured(recipe := tiny(regularizer="none")).found[work.Distilling.of(recipe, "")]
    assert isinstance(found, Distilled)
    assert found.step < 1_000
    assert found.warm_up == pytest.approx(10_000, rel=0.1)
    assert found.cold == pytest.approx(30_000, rel=0.1)


@pytest.mark.slow
def test_agents_beside_each_other() -> None:
    recipe = tiny(regularizer="none")
    wanted, told = work.of_all([recipe]), list[Any]()
    order = Order("cpu", 0.01, agents=2, threads=1, environment={"OMP_NUM_THREADS": "1"})
    found, start, guessed = workers.measure(wanted, order, Told(told))
    assert set(found) == set(wanted)
    kinds = [what for _, what in told[::2]]
    assert told[1::2] == [(number, found[kind]) for number, kind in enumerate(kinds, 1)] and set(kinds) == set(wanted)
    assert start > 0 and not guessed
    assert Prices(found).distilling(recipe) > 0


class Told(workers.Report):
    """Notes what it is told."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def begins(self, number: int, kind: work.Kind) -> None:
        self.told.append((number, kind))

    def ended(self, number: int, kind: work.Kind, finding: work.Finding) -> None:
        self.told.append((number, finding))


@pytest.mark.parametrize(
    "choices",
    [
        {"regularizer": "none"},
        {"method": "dc", "cclom_batch": 32, "regularizer": "cclom"},
        {"method": "idc", "net_images": 64, "eval_archs": "convnet2+alexnet"},
        {"method": "tm"},
        DIM,
    ],
)
def test_what_there_is_no_time_for_is_computed_from_its_operations(choices: dict[str, Any]) -> None:
    """At the rate of what was measured; a kind of ten times the operations takes ten times as long."""
    recipe = tiny(**choices)
    wanted = work.of_all([recipe])
    bench = serving.bench(wanted, HERE)
    counted = {kind: finding for kind in wanted if (finding := bench.operations(kind))}
    assert all(isinstance(kind, work.Loading) for kind in set(wanted) - counted.keys())
    loading = {kind: bench.measure(kind, 0.1) for kind in wanted if kind not in counted}
    filled = Prices(workers.fill(loading, counted, 1e9))
    assert filled.job(recipe).after > 0 and costs.cell(recipe, filled) > 0
    (*_, last) = counted
    known = {**loading, last: work.times(counted[last], 1 / 3e9)}
    again = Prices(workers.fill(known, counted, 1e9))
    for kind, finding in counted.items():
        assert workers._step(filled.found[kind]) == pytest.approx(workers._step(finding) / 1e9)
        assert workers._step(again.found[kind]) == pytest.approx(workers._step(finding) / 3e9)
    assert {finding.doubt for kind, finding in filled.found.items() if kind in counted} == {work.GUESSED}  # type: ignore[union-attr]
    low, usual, high = (prices.job(recipe).after - costs.DESK for prices in (filled.bound(0), filled, filled.bound(1)))
    assert 3 * low == pytest.approx(usual) and high == pytest.approx(3 * usual)


def test_a_kind_that_takes_too_long_ends_with_what_was_measured_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that answers for the data and one kind, and then computes for hours."""
    recipe = tiny()
    wanted, told = work.of_all([recipe]), list[Any]()
    bench = serving.bench(wanted, HERE)
    counted = [work.finding_as_json(one) if (one := bench.operations(kind)) else None for kind in wanted]
    answers = [{"ready": True}, {"operations": counted, "rate": 1e9}]
    ordered = workers.in_order(wanted, {kind: one for kind in wanted if (one := bench.operations(kind))})
    assert isinstance(ordered[0], work.Loading) and set(ordered) == set(wanted)
    answers += [work.finding_as_json(bench.measure(kind, 0.1)) for kind in ordered[:2]]
    lines = "\n".join(json.dumps(answer) for answer in answers)
    script = tmp_path / "slow.py"
    script.write_text(f"import time\nprint({lines!r}, flush=True)\ntime.sleep(1000)\n", encoding="utf-8")
    plain = subprocess.Popen

    def slow(words: list[str], **options: Any) -> subprocess.Popen[str]:
        return plain([words[0], str(script)], **options)

    monkeypatch.setattr(subprocess, "Popen", slow)
    monkeypatch.setattr(workers, "LEAST", 5.0)
    began = time.perf_counter()
    found, _, guessed = workers.measure(wanted, replace(HERE, agents=2), Told(told))
    assert time.perf_counter() - began < 30
    assert set(found) == set(wanted) and guessed == set(ordered[2:])
    assert [number for number, _ in told] == [1, 1, 2, 2, 3]
    monkeypatch.setattr(workers, "LEAST", 0.0)
    script.write_text("import time\ntime.sleep(1000)\n", encoding="utf-8")
    with pytest.raises(UserError, match="nothing was measured within 0 s; try again with more --seconds"):
        workers.measure(wanted, replace(HERE, agents=1))


def test_steps_that_there_is_no_time_to_compile_are_measured_without_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.compile", lambda *_, **__: pytest.fail("compiles"))
    monkeypatch.setenv("DDSWEEP_COMPILE", "off")
    recipe = tiny(regularizer="none")
    kind = work.Distilling.of(recipe, "")
    plain = measured(recipe).found[kind]
    monkeypatch.setenv("DDSWEEP_COMPILE", "on")
    compiled = measured(recipe).found[kind]
    assert isinstance(plain, Distilled) and isinstance(compiled, Distilled)
    assert compiled.doubt > plain.doubt and compiled.cold > 0 == plain.cold


def test_what_is_wrong_with_the_data_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [work.Loading("digits", 1)]
    with pytest.raises(UserError, match="size: 1 is out of range"):
        workers.measure(wanted, Order("cpu", 0.01, agents=1))


@pytest.mark.slow
def test_a_process_that_dies_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match=r"estimate: measuring ended with: .*no-such-device") as raised:
        workers.measure([], Order("no-such-device", 0.01, agents=1))
    assert "\n" not in str(raised.value)

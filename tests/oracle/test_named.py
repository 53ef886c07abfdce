"""The wrong numbers of issue 14, each as a small sweep with the numbers that must be printed instead."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ddsweep.cli import app
from tests.oracle import world
from tests.oracle.case import Case
from tests.oracle.expected import Trial

Accuracy = Callable[[dict[str, Any]], float | list[float] | str]
FIXED: dict[str, Any] = {"target": "digits", "ipc": 10, "eval_nets": 2}


def launched(
    accuracy: Accuracy,
    axis: list[str],
    baseline: dict[str, Any],
    points: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> str:
    """Launch a sweep whose cells have these accuracies (or a state), ± 0.5 % for two networks; its name."""
    values = FIXED | settings
    parameters = {
        name: one if isinstance(one, dict) else {"values": one} if isinstance(one, list) else {"value": one}
        for name, one in values.items()
    }
    block = {"axis": axis, "baseline": baseline, "title": "Which?"}
    document: dict[str, Any] = {"method": "grid", "parameters": parameters, "x-ddsweep": block}
    if points:
        document |= {"method": "random", "run_cap": len(points)}

    def happened(trial: Trial) -> None:
        found = accuracy(trial.recipe)
        if isinstance(found, str):
            trial.state = found
            return
        networks = found if isinstance(found, list) else [found - 0.005, found + 0.005]
        trial.accuracies = dict.fromkeys(trial.recipe["eval_archs"].split("+"), networks)

    return world.build(Case(0, document, points or []), "mine", sqlite=True, happened=happened).name


def say(*words: str) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def records(name: str) -> list[dict[str, Any]]:
    found = json.loads(say("results", name, "--format", "json"))
    assert isinstance(found, list)
    return found


def only(lines: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The record with these values; several are the same entry, shown in several rows."""
    found = [line for line in lines if all(_equal(line.get(name), value) for name, value in fields.items())]
    assert found, f"no record has {fields}"
    assert len({json.dumps(_numbers(line)) for line in found}) == 1, f"{len(found)} entries have {fields}"
    return found[0]


def _numbers(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line.get(name) for name in ("accuracy", "accuracy_std", "n", "difference")}


def _equal(one: Any, other: Any) -> bool:
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return bool(one == other)


@pytest.fixture(autouse=True)
def here(isolated: Path) -> Iterator[None]:
    yield


# Pooling what differs


def test_clom_and_cclom_are_not_averaged() -> None:
    accuracies = {"none": 0.3, "clom": 0.335, "cclom": 0.378}
    name = launched(
        lambda recipe: accuracies[recipe["regularizer"]] + recipe["alpha"] / 1e5, ["alpha"], {"regularizer": "none"},
        alpha=[100, 1000], regularizer=["none", "clom", "cclom"],
    )  # fmt: skip
    lines = records(name)
    for loss, alpha in (("clom", 100), ("clom", 1000), ("cclom", 100), ("cclom", 1000)):
        line = only(lines, regularizer=loss, alpha=alpha)
        assert line["accuracy"] == pytest.approx(accuracies[loss] + alpha / 1e5)
        assert line["difference"] == pytest.approx(accuracies[loss] + alpha / 1e5 - 0.3)
        assert (line["n"], line["seeds"]) == (2, 1)
    screen = say("results", name)
    assert {"33.6", "37.9", "34.5", "38.8", "30.0"} <= set(re.findall(r"\d+\.\d", screen))
    assert not {"35.7", "36.7"} & set(re.findall(r"\d+\.\d", screen)), "the mean of two losses"


def test_a_shipped_sweep_with_a_loss_more_has_a_row_more() -> None:
    accuracies = {"none": 0.3, "clom": 0.097, "cclom": 0.499}
    name = launched(
        lambda recipe: accuracies[recipe["regularizer"]], ["n_models"], {"alpha": 0},
        alpha=[0, 100], n_models=[1, 2], regularizer=["none", "clom", "cclom"],
    )  # fmt: skip
    lines = records(name)
    for loss in ("clom", "cclom"):
        for number in (1, 2):
            line = only(lines, regularizer=loss, n_models=number)
            assert line["accuracy"] == pytest.approx(accuracies[loss])
            assert line["difference"] == pytest.approx(accuracies[loss] - 0.3)
    assert "29.8" not in say("results", name)


# Mixing baselines


def test_each_value_of_the_axis_has_its_own_baseline() -> None:
    table = {("real", 1.0): 0.445, ("real", 10.0): 0.084, ("noise", 1.0): 0.319, ("noise", 10.0): 0.139}
    name = launched(
        lambda recipe: table[recipe["init"], recipe["alpha"]], ["alpha"], {"init": "real"},
        init=["noise", "real"], alpha=[1, 10],
    )  # fmt: skip
    lines = records(name)
    assert only(lines, init="noise", alpha=1)["difference"] == pytest.approx(-0.126)
    assert only(lines, init="noise", alpha=10)["difference"] == pytest.approx(0.055)
    assert only(lines, init="real", alpha=1)["accuracy"] == pytest.approx(0.445)
    assert only(lines, init="real", alpha=10)["accuracy"] == pytest.approx(0.084)
    screen = say("results", name)
    assert "-12.6" in screen and "+5.5" in screen and "26.4" not in screen


def test_a_baseline_is_never_one_of_another_ipc() -> None:
    table = {("real", 1): 0.6, ("real", 4): 0.624, ("noise", 1): 0.273, ("noise", 4): 0.273}
    name = launched(
        lambda recipe: table[recipe["init"], recipe["ipc"]], ["ipc"], {"init": "real"},
        init=["noise", "real"], ipc=[1, 4], alpha=0,
    )  # fmt: skip
    lines = records(name)
    assert only(lines, init="noise", ipc=1)["difference"] == pytest.approx(-0.327)
    assert only(lines, init="noise", ipc=4)["difference"] == pytest.approx(-0.351)
    screen = say("results", name)
    assert "-32.7" in screen and "-35.1" in screen
    assert not {"-34.0", "-33.8", "-33.9"} & set(re.findall(r"[+-]\d+\.\d", screen))


# A baseline that is shared


def test_one_baseline_serves_every_row_that_it_fits() -> None:
    name = launched(
        lambda recipe: 0.5 + 0.01 * recipe["n_models"] + 0.0005 * recipe["seed"], ["alpha"], {"alpha": 0},
        alpha=[0, 10, 100], n_models=[1, 2], seed=[0, 1, 2, 3, 4, 5],
    )  # fmt: skip
    lines = records(name)
    for number in (1, 2):
        for alpha in (10, 100):
            line = only(lines, n_models=number, alpha=alpha)
            assert line["difference"] == pytest.approx(0.01 * number)
            assert line["p"] == pytest.approx(2 / 2**6), "six seeds that all have the same sign"
            assert line["p_holm"] == pytest.approx(4 * 2 / 2**6)
    screen = say("results", name)
    assert screen.count("+1.0*") == 2 and screen.count("+2.0*") == 2
    assert "N_m 0" not in screen, "a baseline without PTMs has no number of PTMs"


# Floats that print alike


@pytest.mark.parametrize(("one", "other"), [(1234567.0, 1234568.0), (1234.54935, 1234.5545), (0.1 + 0.2, 0.3)])
@pytest.mark.parametrize("search", [False, True])
def test_close_values_are_two_columns_that_can_be_typed(one: float, other: float, search: bool) -> None:
    accuracies = {0.0: 0.4, one: 0.5, other: 0.6}
    drawn: dict[str, Any] = {"points": [{"alpha": one}, {"alpha": other}]} if search else {}
    alpha: Any = {"min": 0.1, "max": 1e8} if search else [0, one, other]
    name = launched(lambda recipe: accuracies[recipe["alpha"]], ["alpha"], {"alpha": 0}, alpha=alpha, **drawn)
    lines = records(name)
    assert sorted(float(line["alpha"]) for line in lines) == sorted(accuracies)
    for alpha, accuracy in accuracies.items():
        line = only(lines, alpha=alpha)
        assert (line["accuracy"], line["n"]) == (pytest.approx(accuracy), 2)
    as_csv = list(csv.DictReader(io.StringIO(say("results", name, "--format", "csv"))))
    assert sorted(float(line["alpha"]) for line in as_csv) == sorted(accuracies)
    for kind in ("table", "markdown", "latex"):
        text = say("results", name, "--format", kind)
        for value in (one, other):
            assert f"{value!r}".removesuffix(".0") in text, (kind, text)


# The printed difference is the tested one


def test_the_difference_comes_from_the_common_seeds() -> None:
    # the baseline has four bad seeds that the others lack; on the eight common seeds every cell is worse
    def accuracy(recipe: dict[str, Any]) -> float | str:
        seed = recipe["seed"]
        if recipe["alpha"] == 0:
            return 0.5 + 0.002 * seed if seed < 8 else 0.38
        return 0.5 + 0.002 * seed - 0.039 + 0.0001 * seed if seed < 8 else "waiting"

    name = launched(accuracy, ["alpha"], {"alpha": 0}, alpha=[0, 10], seed=list(range(12)))
    line = only(records(name), alpha=10)
    assert line["difference"] == pytest.approx(-0.039 + 0.0001 * 3.5)
    assert (line["p"], line["pairs"]) == (pytest.approx(2 / 2**8), 8)
    screen = say("results", name)
    assert "-3.9*" in screen or "-3.9**" in screen
    assert "8 of 12 seeds in common" in screen
    assert "+0." not in screen
    path = Path("report.html")
    say("report", name, "-o", str(path))
    page = path.read_text(encoding="utf-8")
    assert "8 of 12 seeds in common" in page
    # the headline: the highest mean is the entry with the fewer seeds, which is nevertheless worse on the common ones
    headline = page[page.index("<dl class=") : page.index("</dl>")]
    assert not re.search(r"\+\d", headline)


def test_without_a_common_seed_the_difference_is_marked_and_not_tested() -> None:
    name = launched(
        lambda recipe: ("waiting", 0.5)[recipe["seed"] < 2] if recipe["alpha"] == 0
        else (0.52, "waiting")[recipe["seed"] < 2],
        ["alpha"], {"alpha": 0}, alpha=[0, 10], seed=[0, 1, 2, 3],
    )  # fmt: skip
    line = only(records(name), alpha=10)
    assert line["difference"] == pytest.approx(0.02)
    assert (line["p"], line["pairs"]) == (None, 0)
    screen = say("results", name)
    assert "+2.0~" in screen or "~+2.0" in screen
    assert "no seed in common" in screen


# Searches: seeds are replicates


def test_a_trial_of_a_search_is_all_its_seeds() -> None:
    def accuracy(recipe: dict[str, Any]) -> float:
        lucky = 0.2 if (recipe["alpha"], recipe["seed"]) == (5.0, 1) else 0.0
        return 0.5 + {0.0: 0.0, 5.0: -0.1, 50.0: 0.02}[recipe["alpha"]] + lucky

    name = launched(
        accuracy, ["alpha"], {"alpha": 0}, [{"alpha": 5.0}, {"alpha": 50.0}],
        alpha={"min": 0.1, "max": 100.0}, seed=[0, 1, 2],
    )  # fmt: skip
    lines = records(name)
    assert len(lines) == 3, "one line per point"
    assert [float(line["alpha"]) for line in lines] == [50.0, 0.0, 5.0], "the lucky seed does not win"
    assert lines[0]["accuracy"] == pytest.approx(0.52)
    assert lines[0]["difference"] == pytest.approx(0.02)
    assert lines[2]["accuracy"] == pytest.approx(0.5 - 0.1 + 0.2 / 3)
    assert [(line["n"], line["seeds"]) for line in lines] == [(6, 3)] * 3


# Missing, running, failed, pruned


def test_an_incomplete_entry_says_so_everywhere() -> None:
    def accuracy(recipe: dict[str, Any]) -> float | str:
        if recipe["alpha"] == 10 and recipe["seed"] in (1, 4):
            return "failed"
        return 0.371 if recipe["alpha"] == 0 else 0.41

    name = launched(accuracy, ["alpha"], {"alpha": 0}, alpha=[0, 10], seed=list(range(6)))
    line = only(records(name), alpha=10)
    assert (line["accuracy"], line["done"], line["failed"]) == (pytest.approx(0.41), 4, 2)
    assert "the disk was full" in line["reasons"]
    for kind in ("table", "markdown", "latex"):
        text = say("results", name, "--format", kind)
        assert re.search(r"\b4/6\b", text), (kind, text)
        assert "2 failed" in text, (kind, text)


@pytest.mark.parametrize("state", ["failed", "running", "waiting", "pruned", "missing", "left out"])
def test_a_cell_without_a_result_shows_its_state(state: str) -> None:
    name = launched(
        lambda recipe: state if recipe["alpha"] == 10 else 0.5, ["alpha"], {"alpha": 0}, alpha=[0, 10, 100], seed=[0, 1]
    )
    line = only(records(name), alpha=10)
    assert (line["accuracy"], line[state.replace(" ", "_")], line["done"]) == (None, 2, 0)
    for kind in ("table", "markdown", "latex"):
        assert state in say("results", name, "--format", kind), kind


def test_the_caption_agrees_with_its_cells() -> None:
    name = launched(
        lambda recipe: "failed" if recipe["alpha"] == 10 else 0.5, ["alpha"], {"alpha": 0}, alpha=[0, 10, 100]
    )
    latex = say("results", name, "--format", "latex")
    assert "no result yet" not in latex, "the cell failed; it is not waiting"


def test_marks_are_explained_as_they_are_printed() -> None:
    name = launched(
        lambda recipe: 0.5 + 0.01 * (recipe["alpha"] > 0) + 0.0001 * recipe["seed"] * (recipe["alpha"] > 0),
        ["alpha"], {"alpha": 0}, alpha=[0, 10], seed=list(range(8)),
    )  # fmt: skip
    screen = say("results", name)
    assert "+1.0**" in screen
    assert re.search(r"(?<!\*)\*\*(?!\*)", screen.split("+1.0**", 1)[1]), "the legend explains another mark"


# One rounding


def test_means_and_differences_are_rounded_alike() -> None:
    name = launched(
        lambda recipe: [0.8, 0.8] if recipe["alpha"] == 0 else [0.8, 0.801], ["alpha"], {"alpha": 0}, alpha=[0, 10]
    )
    screen = say("results", name)
    assert "80.1" in screen and "+0.1" in screen

"""A launched sweep is read as it was written: after its plugin has changed, and on a host without it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import launches, sweep
from ddsweep.backends import Definition, connect
from ddsweep.backends.memory import MemoryStore
from ddsweep.plugins import loading
from ddsweep.results import result as results
from ddsweep.results import stored
from ddsweep.results.tables import cells, formats, naming, table
from ddsweep.sweep import Sweep
from tests.cli.conftest import Run, ddsweep
from tests.plugins.plugged import HALF, Plug, plug
from tests.plugins.test_trial import forget
from tests.sweep.examples import minimal

__all__ = ["ddsweep", "plug"]
NAME = "mine@demo"
MINE = HALF.replace('"half", ', '"half", paper="Half of DM", ')
PARAMETERS: dict[str, Any] = {
    "method": {"values": ["half", "dm"]}, "target": {"value": "digits"}, "ipc": {"value": 1},
    "alpha": {"values": [0, 10]}, "n_models": {"values": [1, 2]}, "rate": {"values": [0.25, 0.5]},
}  # fmt: skip
CHANGES = {
    "an option is added": ('kind="plain"', 'kind="plain", added=3'),
    "an option is renamed": ("steps=2", "rounds=2"),
    "an option is removed": (", exact=False", ""),
    "an option that the sweep varies is removed": ("rate=0.5", "speed=0.5"),
    "a default is another": ("lr_img=2.0", "lr_img=3.0"),
    "the method is renamed": ('"half"', '"third"'),
}
MISSING = "method half is not available on this host: add the file to $DDSWEEP_PLUGINS, or install the package"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def launched(**changes: Any) -> Sweep:
    """Register a sweep, and write a result for each of its cells."""
    extra = {"x-ddsweep": {"title": "?", "axis": ["n_models"], "baseline": {"alpha": 0}}}
    document = minimal(parameters=PARAMETERS) | extra | changes
    Path("mine.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    loaded = sweep.load("mine.yaml", "demo")
    Path("runs").mkdir(exist_ok=True)
    store = connect("sqlite:///runs/ddsweep.db", artifacts=Path("runs/artifacts"))
    queue = store.sweep(loaded.full_name)
    queue.register(Definition.of(loaded))
    number = 0
    while (claim := queue.claim("here")) is not None:
        recipe = loaded.recipe(claim.point.params)
        number += 1
        results.Result(recipe, {recipe.arch: [number / 100, number / 90]}).write(Path("runs", recipe.key()))
        claim.complete(number / 100)
    store.close()
    return loaded


def read() -> dict[str, Any]:
    """What every reader makes of the registered sweep."""
    results._read.cache_clear()
    one = launches.finished("mine", "demo", Path("runs"), None)
    found = stored.collect(one, Path("runs"))
    return {
        "keys": [cell.key for cell in one.cells],
        "points": [cell.point for cell in one.cells],
        "titles": [one.cell_title(cell.recipe) for cell in one.cells],
        "baselines": one.baselines,
        "table": formats.records(table.build(one, found)),
        "cells": cells.records(one, found),
        "where": [cell.key for cell in table.where(one, "rate > 0.3 and method == 'half'")],
        "run": launches.run_folder(f"{NAME}:method=half,rate=0.5,alpha=10,n_models=2", None, None, Path("runs"), None),
        "paper": naming.value("method", "half"),
    }


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_every_reader_sees_what_was_written(
    plug: Plug, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(mine=MINE)
    launched()
    before = read()
    assert len(before["keys"]) == 2 + 2 + 4 + 2 - 1, "the baseline of each rate, and no n_models without PTMs"
    plug(mine=MINE.replace(*CHANGES[change]))
    forget("mine")
    assert read() == before
    assert (MISSING.partition(":")[0] in capsys.readouterr().err) == (change == "the method is renamed")
    store = connect("sqlite:///runs/ddsweep.db")
    assert store.sweep(NAME).status().done == len(before["keys"])
    store.close()


def test_on_a_host_without_the_plugin(
    plug: Plug, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plug(mine=MINE)
    launched()
    before = read()
    assert before["paper"] == "Half of DM"
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(loading.VARIABLE, "")
    forget("mine")
    assert read() == before
    assert capsys.readouterr().err.count(MISSING) == 2, "each of both reads says it once"


def test_a_plugin_that_cannot_be_imported_any_more(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    plug(mine=MINE)
    launched()
    before = read()
    plug(mine=MINE + "\nraise ValueError('no')\n")
    forget("mine")
    assert read() == before
    assert "mine.py: cannot be imported (ValueError: no" in capsys.readouterr().err


def test_a_search_is_read_without_the_plugin(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(mine=MINE)
    ranges = {"rate": {"min": 0.1, "max": 1.0}, "method": {"values": ["half", "dm"]}, "n_models": {"value": 1}}
    own = {"method": "random", "run_cap": 5, "x-ddsweep": {"axis": ["rate"], "baseline": {"alpha": 0, "method": "dm"}}}
    parameters = {**PARAMETERS, "alpha": {"value": 10}, **ranges}
    one = launched(parameters=parameters, **own)
    queue = [cell.key for cell in launches.load("mine", "demo", Path("runs"), None).cells]
    assert len(queue) >= 4
    monkeypatch.setenv(loading.VARIABLE, "")
    forget("mine")
    again = launches.load("mine", "demo", Path("runs"), None)
    assert [cell.key for cell in again.cells] == queue
    assert len(stored.collect(again, Path("runs")).results) == len(queue)
    assert again.search == one.search


def test_show_and_status_of_a_launched_sweep(plug: Plug, monkeypatch: pytest.MonkeyPatch, ddsweep: Run) -> None:
    plug(mine=MINE)
    one = launched()
    monkeypatch.setenv(loading.VARIABLE, "")
    forget("mine")
    for words in (["show", "mine.yaml", "--profile", "demo"], ["show", NAME], ["show", NAME, "--json"], ["status"]):
        answer = ddsweep(*words)
        assert answer.exit_code == 0, answer.stderr
        assert answer.stderr.count(MISSING) == 1
    shown = json.loads(ddsweep("show", NAME, "--json").stdout)
    assert {cell["key"]: cell["state"] for cell in shown["cells"]} == {cell.key: "done" for cell in one.cells}
    answer = ddsweep("launch", NAME, "--dry-run")
    assert answer.exit_code == 2
    assert "unknown method 'half'" in answer.stderr


def test_a_launch_with_a_changed_plugin_makes_new_cells(plug: Plug) -> None:
    plug(mine=MINE)
    old = sweep.load(_written(), "demo")
    queue = MemoryStore().sweep(old.full_name)
    queue.register(Definition.of(old))
    while (claim := queue.claim("gpu0")) is not None:
        claim.complete(0.5)
    plug(mine=MINE.replace("steps=2", "rounds=2"))
    forget("mine")
    new = sweep.load(_written(), "demo")
    changed = queue.register(Definition.of(new))
    halves = [cell for cell in old.cells if cell.recipe.method == "half"]
    assert (changed.added, changed.kept) == (len(halves), len(old.cells) - len(halves))
    assert changed.newer + changed.earlier == len(halves)
    joined = Sweep.from_definition(queue._store.load_definition(old.full_name).definition)
    assert {cell.key for cell in new.cells} <= {cell.key for cell in joined.cells}
    assert {cell.key for cell in joined.cells} <= {cell.key for cell in (*new.cells, *old.cells)}


def _written() -> str:
    document = minimal(parameters={**PARAMETERS, "n_models": {"value": 1}})
    Path("mine.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return "mine.yaml"


def test_the_definition_is_small_and_has_no_recipes_without_plugins(plug: Plug) -> None:
    plain = sweep.load("ablation-alpha", "demo")
    assert plain.definition().keys().isdisjoint({"recipes", "names"})
    plug(mine=MINE)
    one = sweep.load(_written(), "demo")
    document = one.definition()
    assert document["names"] == {"method": {"half": "Half of DM"}}
    assert len(json.dumps(document["recipes"]["cells"])) < 200 * len(one.cells)
    assert Sweep.from_definition(json.loads(json.dumps(document))).definition() == document
    assert "mine" in sys.modules

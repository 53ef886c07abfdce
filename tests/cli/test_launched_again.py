"""A sweep is launched again under its name, as docs/names.md says: no finished number leaves a table without a word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ddsweep import launches, sweep
from ddsweep.backends import Definition, State, connect
from ddsweep.backends.optuna import grid
from tests.again import NAME, rows, write
from tests.cli.conftest import Run

LAUNCH = ("launch", "mine.yaml", "--profile", "demo", "--workers", "0", "--device", "cpu")
CSV = ("results", NAME, "--format", "csv")


def table(ddsweep: Run) -> dict[float, str]:
    """The accuracies in the table, by alpha."""
    return {float(row["alpha"]): row["accuracy"] for row in rows(ddsweep(*CSV).stdout)}


def test_a_narrower_launch_keeps_every_number(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 100]})
    assert ddsweep(*LAUNCH).exit_code == 0
    before = table(ddsweep)
    narrow = ddsweep(*LAUNCH, "--set", "alpha=0,100")
    assert narrow.exit_code == 0
    assert "launched before: 2 cells kept, 0 added; 1 of earlier launches stays in the table" in narrow.stdout
    assert "mine@demo · Mine · 3 cells, 3 computed before" in narrow.stdout
    assert "done 3/3" in narrow.stdout
    assert table(ddsweep) == before
    assert set(before) == {0, 1, 100}
    assert len(ddsweep("results", NAME, "--format", "json").stdout) > 2
    single = ddsweep(*LAUNCH, "--set", "alpha=5")  # a third launch, with a value that no other has
    assert "launched before: 0 cells kept, 1 added; 3 of earlier launches stay in the table" in single.stdout
    assert table(ddsweep) == before | {5: table(ddsweep)[5]}


def test_clean_offers_no_cell_of_the_table_as_that_of_no_sweep(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 100]})
    ddsweep(*LAUNCH)
    ddsweep(*LAUNCH, "--set", "alpha=0")
    items = json.loads(ddsweep("clean", "--json").stdout)["items"]
    runs = [item for item in items if item["kind"] in ("used", "free")]
    assert [item["kind"] for item in runs] == ["used"] * 3
    ddsweep(*LAUNCH, "--set", "alpha=0", "--replace")
    items = json.loads(ddsweep("clean", "--json").stdout)["items"]
    assert sorted(item["kind"] for item in items if item["kind"] in ("used", "free")) == ["free", "free", "used"]


def test_an_edited_file_gives_rows_with_both_values(ddsweep: Run) -> None:
    write({"alpha": [0, 1], "init": "noise"})
    ddsweep(*LAUNCH)
    first = rows(ddsweep(*CSV).stdout)
    write({"alpha": [0, 10], "init": "real"})
    edited = ddsweep(*LAUNCH)
    assert "launched before: 0 cells kept, 2 added; 2 of earlier launches stay in the table" in edited.stdout
    found = rows(ddsweep(*CSV).stdout)
    measured = {(row["init"], float(row["alpha"])): row["accuracy"] for row in found}
    assert set(measured) == {("noise", 0), ("noise", 1), ("real", 0), ("real", 10)}
    assert [measured["noise", float(row["alpha"])] for row in first] == [row["accuracy"] for row in first]
    write({"alpha": [0, 1], "init": "noise"})  # as it was: both stay
    assert "2 cells kept, 0 added; 2 of earlier launches stay" in ddsweep(*LAUNCH).stdout
    again = {(row["init"], float(row["alpha"])): row["accuracy"] for row in rows(ddsweep(*CSV).stdout)}
    assert again == measured


def test_a_field_that_the_old_file_left_out_is_a_row_too(ddsweep: Run) -> None:
    write({"alpha": [0, 1]})
    ddsweep(*LAUNCH)
    write({"alpha": [0, 1], "lr_img": 0.5, "seed": [0, 1]})
    ddsweep(*LAUNCH)
    loaded = launches.load(NAME, None, Path("runs"), None)
    assert set(loaded.swept) == {"alpha", "lr_img", "seed"}
    assert len(loaded.cells) == 6
    assert len({cell.recipe.lr_img for cell in loaded.cells}) == 2


def test_a_narrower_launch_after_an_interrupted_one_withdraws_what_waits(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 10, 100]})
    one = sweep.load("mine.yaml", "demo")
    store = launches.connect(Path("runs"), None, create=True)
    queue = store.sweep(NAME)
    queue.register(Definition.of(one))
    queue.claim("gone:1").fail("the loss is nan", final=True)  # type: ignore[union-attr]
    store.close()
    narrow = ddsweep(*LAUNCH, "--set", "alpha=10")
    line = "launched before: 1 cell kept, 0 added; 1 of earlier launches stays in the table; 2 waiting withdrawn"
    assert line in narrow.stdout
    assert "done 1/2" in narrow.stdout
    assert "failed 1" in narrow.stdout
    assert narrow.exit_code == 0, "every cell of this launch is done"
    assert len(list(Path("runs").glob("*/result.json"))) == 1


def test_replace_says_what_left_the_table(ddsweep: Run) -> None:
    write({"alpha": [0, 1, 100]})
    ddsweep(*LAUNCH)
    replaced = ddsweep(*LAUNCH, "--set", "alpha=1,7", "--replace")
    assert "launched before: 1 cell kept, 1 added; 2 finished left the table (--replace)" in replaced.stdout
    assert set(table(ddsweep)) == {1, 7}
    assert len(list(Path("runs").glob("*/result.json"))) == 4, "the files stay"
    back = ddsweep(*LAUNCH)
    assert "3 cells kept, 0 added; 1 of earlier launches stays in the table" in back.stdout
    assert set(table(ddsweep)) == {0, 1, 7, 100}


def test_replace_while_another_launch_works_lets_its_cell_end(ddsweep: Run) -> None:
    write({"alpha": [0, 1]})
    one = sweep.load("mine.yaml", "demo")
    store = launches.connect(Path("runs"), None, create=True)
    queue = store.sweep(NAME)
    queue.register(Definition.of(one))
    claim = queue.claim("other:1")
    assert claim is not None
    with claim:
        replaced = ddsweep(*LAUNCH, "--set", "alpha=7", "--replace")
        assert (
            "launched before: 0 cells kept, 1 added; 1 waiting withdrawn; 1 running left the table" in replaced.stdout
        )
        assert replaced.exit_code == 0
        assert claim.complete(0.5, {"accuracy": 0.5})
    store.close()
    assert set(table(ddsweep)) == {7}


def test_cells_of_another_version_leave_the_table_with_a_word(ddsweep: Run) -> None:
    write({"alpha": [0, 1]})
    ddsweep(*LAUNCH)
    store = connect("runs/ddsweep.db")
    with store.database.transaction() as session:
        study = grid.find(session, NAME)
        assert study is not None
        definition = grid.load_definition(session, study)
        grid.store_definition(session, study, replace(definition, definition={"written": "by version 0.1"}))
    store.close()
    again = ddsweep(*LAUNCH, "--set", "alpha=1")
    line = "1 cell kept, 0 added; 1 left the table, because their recipes cannot be read (another version of ddsweep, "
    assert line in again.stdout


def test_agents_run_cells_that_another_launch_has_added(ddsweep: Run) -> None:
    """An agent that started before the file was edited makes the recipe of the new cells, and of the old ones."""
    from ddsweep.agent import Agent
    from ddsweep.trackers.status import AgentStatus, StatusTracker

    write({"alpha": [0], "init": "noise"})
    store = launches.connect(Path("runs"), None, create=True)
    queue = store.sweep(NAME)
    old = sweep.load("mine.yaml", "demo")
    queue.register(Definition.of(old))
    held = queue.claim("other:1")
    assert held is not None
    write({"alpha": [0, 1], "init": "real"})
    new = sweep.load("mine.yaml", "demo")
    queue.register(Definition.of(new))
    held.release()
    status = StatusTracker(Path("runs"), AgentStatus("me:1", "cpu", NAME))
    agent = Agent(queue, old, Path("runs"), "cpu", status, reload=lambda: launches.restored(store, NAME))
    agent.work()
    done = queue.status().rows
    store.close()
    assert [row.state for row in done] == [State.COMPLETE] * 3
    recipes = [json.loads(path.read_text()) for path in Path("runs").glob("*/recipe.json")]
    assert sorted((one["init"], one["alpha"]) for one in recipes) == [("noise", 0.0), ("real", 0.0), ("real", 1.0)]

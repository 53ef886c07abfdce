"""What agents are using, and what their cells need."""

from __future__ import annotations

from pathlib import Path

from ddsweep import files
from ddsweep.data import paths as where
from ddsweep.files import is_locked
from ddsweep.housekeeping import Item, Kind, Uses, Work, at_work
from ddsweep.pretrained import spec
from ddsweep.recipe import make
from ddsweep.registry import datasets
from ddsweep.trackers.status import AgentStatus, StatusTracker, folder
from tests.housekeeping.conftest import recipe, run


def item(kind: Kind, path: Path) -> Item:
    return Item(kind, path, 1, 0.0)


def test_without_agents_nothing_is_in_use(isolated: Path) -> None:
    assert at_work(isolated / "runs", Uses()) == Work()


def test_a_locked_cell_holds_its_ptms_and_data(isolated: Path) -> None:
    runs = isolated / "runs"
    key = run(runs, 1, finished=False).name
    with files.lock(runs / ".locks" / f"{key}.lock"):
        work = at_work(runs, Uses())
    (ptm,) = spec.of(recipe(1))[0]
    digits = where.decoded(datasets.info("digits"))
    assert work.keys == {key}
    assert work.holds(item(Kind.PTM, ptm.folder)) == work.holds(item(Kind.DATASET, digits)) != ""
    archive = files.cache_dir() / "data" / "archives" / "digits" / "x.gz"
    assert work.holds(item(Kind.ARCHIVE, archive))
    assert work.holds(item(Kind.COMPILED, files.cache_dir() / "compiled"))
    assert not work.holds(item(Kind.PTM, ptm.folder.with_name("seed9-0")))
    assert at_work(runs, Uses()) == Work()  # the lock is free again


def test_a_cell_without_a_recipe_may_need_anything(isolated: Path) -> None:
    runs = isolated / "runs"
    with files.lock(runs / ".locks" / f"{recipe(1).key()}.lock"):
        work = at_work(runs, Uses())
    assert work.holds(item(Kind.PTM, Path("any"))) == "a running cell may need it"


def test_a_lease_counts_without_a_lock(isolated: Path) -> None:
    one = recipe(1)
    work = at_work(isolated / "runs", Uses(leased={one.key(): one}))
    assert work.holds(item(Kind.OPEN, isolated / "runs" / one.key())) == "an agent is running it"
    assert work.holds(item(Kind.PTM, spec.of(one)[0][0].folder)) == "a running cell needs it"
    assert at_work(isolated / "runs", Uses(leased={one.key(): None})).needed is None


def test_an_idle_agent_holds_compiled_steps(isolated: Path) -> None:
    runs = isolated / "runs"
    StatusTracker(folder(runs, "a@demo"), AgentStatus("host:1", "cpu", "a@demo")).idle()
    work = at_work(runs, Uses())
    assert (work.keys, work.agents) == (frozenset(), True)
    assert work.holds(item(Kind.COMPILED, Path("compiled"))) == "agents are running"


def test_testing_a_lock_does_not_create_it_and_leaves_it_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert not is_locked(path)
    assert not path.exists()
    with files.lock(path):
        assert is_locked(path)
    assert not is_locked(path)


def test_what_a_cell_needs_is_known_without_its_images(isolated: Path) -> None:
    """Another host has them: the folder that a leased cell names does not exist here."""
    one = make({"target": "imagefolder:/no/such/folder", "ipc": 1, "method": "dm", "alpha": 0})
    work = at_work(isolated / "runs", Uses(leased={one.key(): one}))
    decoded = where.decoded(datasets.at_size(datasets.facts(one.target), one.size))
    assert work.holds(item(Kind.DATASET, decoded)) == "a running cell needs it"

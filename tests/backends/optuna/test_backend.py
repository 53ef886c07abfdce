"""What is particular to Optuna: what its own readers (and so the dashboard) see of the queue."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from ddsweep.backends import Definition, Lease, Point, Scalar, attach_image
from ddsweep.backends.optuna import tables
from ddsweep.backends.optuna.backend import OptunaBackend, OptunaStore
from ddsweep.errors import UserError
from tests.backends.conftest import Opener

NAME = "ablation-arch@demo"


def grid(axis: str, *values: Scalar) -> Definition:
    return Definition(NAME, [Point(f"{axis}={v}", {axis: v, "ipc": 10}, f"key-{v}", f"{axis} {v}") for v in values])


@pytest.fixture
def store(open_store: Opener, tmp_path: Path) -> OptunaStore:
    return open_store(tmp_path / "sweeps.db", Lease(beat=0.05, grace=100))


@pytest.fixture
def backend(store: OptunaStore) -> OptunaBackend:
    return store.sweep(NAME)


def finish(backend: OptunaBackend, value: float) -> None:
    claim = backend.claim("gpu0")
    assert claim is not None
    assert claim.complete(value, {"accuracy_std": 0.01, "agent": "an attribute of ours is not overwritten"})


def test_optuna_reads_what_we_wrote(backend: OptunaBackend) -> None:
    backend.register(grid("alpha", 0.5, 1.0))
    finish(backend, 0.25)
    study = backend.study()
    first, second = study.get_trials()
    assert (study.direction, study.metric_names, study.study_name) == (
        optuna.study.StudyDirection.MAXIMIZE, ["test accuracy"], NAME,
    )  # fmt: skip
    assert (first.number, first.state, first.value) == (0, TrialState.COMPLETE, 0.25)
    assert first.params == {"alpha": 0.5, "ipc": 10}
    assert first.duration is not None and first.duration < timedelta(minutes=1)
    assert first.user_attrs == {
        "point": "alpha=0.5", "key": "key-0.5", "title": "alpha 0.5", "attempt": 1, "agent": "gpu0",
        "accuracy_std": 0.01,
    }  # fmt: skip
    assert (second.number, second.state, second.datetime_start) == (1, TrialState.WAITING, None)
    assert study.best_trial.number == 0


@pytest.mark.parametrize(
    ("axis", "before", "after"),
    [
        ("arch", ["convnet3", "vgg11"], ["resnet18", "convnet3", "vgg11"]),
        ("alpha", [0, 10], [0, 10, 0.5]),
        ("alpha", [1.0, 2.0], [1.0, 2.0, 5000.0]),
        ("source", [1, 2], [1, 2, "cifar100", None]),
    ],
    ids=["strings", "whole numbers become numbers", "becomes logarithmic", "numbers become choices"],
)
def test_any_axis_may_grow(backend: OptunaBackend, axis: str, before: list[Scalar], after: list[Scalar]) -> None:
    backend.register(grid(axis, *before))
    finish(backend, 0.1)
    backend.register(grid(axis, *after))
    while not backend.drained():
        finish(backend, 0.2)
    trials = backend.study().get_trials()
    assert [trial.params[axis] for trial in trials] == [*before, *(value for value in after if value not in before)]
    assert len({repr(trial.distributions[axis]) for trial in trials}) == 1, "one axis, one distribution"
    for trial in trials:
        trial._validate()


def test_registering_is_linear_in_the_grid(store: OptunaStore) -> None:
    def statements(points: int) -> int:
        counted: list[str] = []
        listener = (store.database.rdb.engine, "before_cursor_execute", lambda *a: counted.append(a[2]))
        sa.event.listen(*listener)
        name = f"grid-{points}"
        sweep = Definition(name, [Point(f"p{i}", {"n": i}, f"k{i}") for i in range(points)])
        store.sweep(name).register(sweep)
        sa.event.remove(*listener)
        return len(counted)

    assert statements(400) / 400 <= statements(20) / 20


def test_the_next_waiting_trial_is_found_by_an_index(store: OptunaStore) -> None:
    query = "SELECT trial_id FROM trials WHERE study_id = 1 AND state = 'WAITING' ORDER BY number LIMIT 1"
    with store.database.transaction("read") as session:
        plan = " ".join(row.detail for row in session.execute(sa.text(f"EXPLAIN QUERY PLAN {query}")))
    assert tables.INDEX in plan
    assert "TEMP B-TREE" not in plan, "nothing is sorted"


def test_the_index_is_added_to_a_storage_that_has_none(open_store: Opener, tmp_path: Path) -> None:
    with open_store(tmp_path / "sweeps.db").database.transaction() as session:
        session.execute(sa.text(f"DROP INDEX {tables.INDEX}"))
    again = open_store(tmp_path / "sweeps.db")
    assert tables.INDEX in {index["name"] for index in sa.inspect(again.database.rdb.engine).get_indexes("trials")}


@pytest.mark.parametrize("ask", ["drained", "reconcile", "claim"])
def test_what_agents_ask_all_the_time_reads_a_few_rows(store: OptunaStore, ask: str) -> None:
    store.database.outage_seconds = math.inf  # or else, on a busy machine, a slow transaction counts as an outage

    def fetched(points: int) -> int:
        sweep = store.sweep(f"grid-{points}")
        sweep.register(Definition(sweep.name, [Point(f"p{i}", {"n": i}, f"k{i}") for i in range(points)]))
        failed = sweep.claim("gpu0")
        assert failed is not None
        failed.fail("a failure, which is queued again")
        sweep.reconcile()
        counted: list[int] = []
        listener = (
            store.database.rdb.engine,
            "before_cursor_execute",
            lambda *a: counted.append("definition" in str(a)),
        )
        sa.event.listen(*listener)
        getattr(sweep, ask)(*(["gpu0"] if ask == "claim" else []))
        sa.event.remove(*listener)
        assert not any(counted), "the definition, which has every point, is not read"
        return len(counted)

    assert fetched(5) == fetched(100)


def test_a_point_that_has_left_the_grid_is_not_waited_for(backend: OptunaBackend) -> None:
    backend.register(grid("alpha", 0, 1))
    finish(backend, 0.5)
    running = backend.claim("gpu0")
    backend.register(grid("alpha", 0), alone=True)
    assert backend.drained()
    backend.register(grid("alpha", 0, 1))
    assert not backend.drained(), "it is back"
    assert running is not None and running.fail("no")
    assert not backend.drained(), "it has attempts left"
    backend.reconcile()
    finish(backend, 0.5)
    assert backend.drained()


def test_an_agents_clock_does_not_matter(backend: OptunaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    now = tables.now()
    backend.register(grid("alpha", 0, 1))
    for ahead, value in ((timedelta(days=1), 0.1), (timedelta(days=-1), 0.2)):

        def skewed(ahead: timedelta = ahead) -> datetime:
            return now + ahead

        monkeypatch.setattr(tables, "now", skewed)
        claim = backend.claim("gpu0")
        assert claim is not None
        backend.reconcile()
        assert claim.complete(value)


@pytest.mark.postgres
def test_an_agents_time_zone_does_not_matter(
    open_store: Opener, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "America/Los_Angeles")
    west = open_store(postgresql).sweep(NAME)
    west.register(grid("alpha", 0))
    claim = west.claim("gpu0")
    assert claim is not None
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    open_store(postgresql).sweep(NAME).reconcile()
    assert claim.complete(0.5)


def test_a_running_trial_without_a_heartbeat_has_its_grace_from_when_it_is_seen(backend: OptunaBackend) -> None:
    backend.store.database.outage_seconds = math.inf  # a transaction that is slow because of other load is no outage
    backend.register(grid("alpha", 0))
    assert backend.claim("gpu0") is not None

    def change(statement: str) -> None:
        with backend.store.database.transaction() as session:
            session.execute(sa.text(statement))

    change("DELETE FROM trial_heartbeats")
    backend.reconcile()
    assert backend.claim("gpu1") is None
    change("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-102 seconds')")
    backend.reconcile()
    again = backend.claim("gpu1")
    assert again is not None
    assert again.attempt == 1


def test_an_agent_on_another_machine_needs_no_file(open_store: Opener, tmp_path: Path) -> None:
    here, there = (open_store(tmp_path / "sweeps.db") for _ in range(2))
    here.sweep(NAME).register(grid("alpha", 0))
    assert there.load_definition(NAME) == grid("alpha", 0)
    claim = there.sweep(NAME).claim("gpu0")
    assert claim is not None
    assert claim.point == Point("alpha=0", {"alpha": 0, "ipc": 10}, "key-0", "alpha 0")


def test_an_image_is_kept_under_its_name(backend: OptunaBackend, tmp_path: Path) -> None:
    backend.register(grid("alpha", 0))
    picture = tmp_path / "grid.png"
    picture.write_bytes(b"picture")
    claim = backend.claim("gpu0")
    assert claim is not None
    attach_image(claim, picture, "synthetic_00500.png")
    claim.complete(0.5)
    (meta,) = get_all_artifact_meta(backend.study().get_trials()[0], storage=backend.store.database.rdb)
    assert (meta.filename, meta.mimetype) == ("synthetic_00500.png", "image/png")
    assert (tmp_path / "artifacts" / meta.artifact_id).read_bytes() == b"picture"


def test_no_picture_costs_a_result(backend: OptunaBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend.register(grid("alpha", 0))
    claim = backend.claim("gpu0")
    assert claim is not None
    attach_image(claim, tmp_path / "missing.png", "a.png")
    assert "the image a.png is not in the dashboard" in caplog.text
    assert claim.complete(0.5, {"odd": tmp_path}), "nor does an attribute that is not JSON"
    assert backend.status().rows[0].attributes == {"odd": str(tmp_path)}


def test_a_definition_of_another_sweep_or_with_doubles_is_refused(backend: OptunaBackend) -> None:
    with pytest.raises(ValueError, match="belongs to other, not to ablation-arch@demo"):
        backend.register(Definition("other", []))
    with pytest.raises(UserError, match="points: other has the id 'a' more than once"):
        Definition("other", [Point("a", {}, "k"), Point("a", {}, "l")])


def test_studies_of_others_are_no_sweeps(store: OptunaStore) -> None:
    optuna.create_study(study_name="somebody's", storage=store.database.rdb)
    assert store.names() == []
    with pytest.raises(UserError, match='no registered sweep "somebody\'s"'):
        store.sweep("somebody's").status()

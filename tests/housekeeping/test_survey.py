"""The items of the runs folder and the cache, and their kinds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ddsweep import files, plugin_checks, trial
from ddsweep.housekeeping import Item, Kind, Uses, Work, survey, walk
from ddsweep.housekeeping.survey import CHECKED, CHECKPOINT, TRAINED
from ddsweep.pretrained import preparation
from tests.housekeeping.conftest import aged, cached, found, recipe, run


def kinds(items: list[Item]) -> Counter[Kind]:
    return Counter(one.kind for one in items)


def test_folders_that_do_not_exist_are_not_created(places: tuple[Path, Path]) -> None:
    assert found(places) == []
    assert not any(place.exists() for place in places)


def test_the_names_of_folders_are_those_of_their_writers() -> None:
    assert (CHECKPOINT, TRAINED, CHECKED) == (trial.CHECKPOINT, preparation.FOLDER, plugin_checks.FOLDER)


def test_runs_by_sweep(places: tuple[Path, Path]) -> None:
    runs, _ = places
    used, free, open_, orphan = (run(runs, alpha, alpha < 3).name for alpha in (1, 2, 3, 4))
    (runs / "notes.old").mkdir()
    uses = Uses({used: ("a@demo", "b@demo"), open_: ("a@demo",)}, frozenset({"a@demo", "b@demo"}))
    items = {one.path.name: one for one in found(places, uses)}
    assert {name: one.kind for name, one in items.items()} == {
        used: Kind.USED, free: Kind.FREE, open_: Kind.OPEN, orphan: Kind.ORPHAN,
    }  # fmt: skip
    assert items[used].title == f"{recipe(1).title()} (a@demo, b@demo)"
    assert items[orphan].disk == sum(path.stat().st_size for path in (runs / orphan).rglob("*") if path.is_file())
    assert not any(one.held for one in items.values())


def test_runs_of_a_sweep_in_another_storage_are_no_orphans(places: tuple[Path, Path]) -> None:
    runs, cache = places
    run(runs, 1, finished=False)
    (runs / "elsewhere@paper" / "agents").mkdir(parents=True)
    seen = survey(runs, cache, Uses(), Work())
    assert (kinds(seen.items), seen.strangers) == (Counter({Kind.OPEN: 1}), ["elsewhere@paper"])
    assert kinds(found(places, Uses(names=frozenset({"elsewhere@paper"})))) == {Kind.ORPHAN: 1}


def test_running_and_recently_written_cells_are_held(places: tuple[Path, Path]) -> None:
    runs, _ = places
    locked, leased, fresh, left = (run(runs, alpha, finished=False) for alpha in (1, 2, 3, 4))
    (fresh / "metrics.jsonl").write_text("{}\n")
    with files.lock(runs / ".locks" / f"{locked.name}.lock"):
        items = {one.path: one.held for one in found(places, Uses(leased={leased.name: None}))}
    assert items == {
        locked: "an agent is running it",
        leased: "an agent is running it",
        fresh: "written to less than 15 min ago",
        left: "",
    }


def test_the_cache(places: tuple[Path, Path]) -> None:
    _, cache = places
    cached(cache)
    (cache / "pool" / "digits" / "alexnet" / "seed0-gone").mkdir(parents=True)
    (cache / "pool" / "digits" / "alexnet" / "seed0-gone" / ".lock").touch()  # of a PTM that was removed
    items = found(places)
    assert kinds(items) == dict.fromkeys(
        [Kind.DATASET, Kind.ARCHIVE, Kind.PTM, Kind.TRAINED, Kind.SHARED, Kind.COMPILED, Kind.CHECKED], 1
    )
    assert {one.disk for one in items} == {100}


def test_temporary_and_set_aside_files(places: tuple[Path, Path]) -> None:
    runs, cache = places
    cached(cache)
    folder = run(runs, 1, finished=False)
    ptm = cache / "pool" / "digits" / "convnet3" / "seed0-abc"
    wanted = [
        folder / ".result.json.0123abcd.tmp.json", folder / CHECKPOINT / "distill.damaged",
        folder / CHECKPOINT / "distill.foreign", ptm / "epoch0001.other",
        ptm / ".epoch0002.safetensors.0123abcd.tmp.safetensors", cache / "data" / "digits-16.damaged",
        runs / "a@demo" / "agents" / ".host-7.json.0123abcd.tmp.json",
    ]  # fmt: skip
    mine = [runs / "a@demo" / "kept.damaged", runs / "wandb" / "run-1" / ".x.0123abcd.tmp", runs / ".locks" / "x.lock"]
    for path in (*wanted, *mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(10))
    aside = runs / ".0123456789abcdef.0123abcd.tmp"  # a removal that was cut off
    (aside / "images").mkdir(parents=True)
    (aside / "images" / "x.png").write_bytes(bytes(10))
    fresh = [one for one in found(places) if one.kind is Kind.LEFTOVER]
    assert {one.held for one in fresh} == {"a process may be writing it"}
    aged(runs), aged(cache)
    left = [one for one in found(places) if one.kind is Kind.LEFTOVER]
    assert {one.path for one in left} == {*wanted, aside}
    assert not any(one.held for one in left)
    (open_,) = (one for one in found(places) if one.path == folder)
    assert open_.disk == sum(path.stat().st_size for path in walk.files(folder)) - 30  # what is left counts once
    with files.lock(ptm / ".lock"):
        held = {one.path.name for one in found(places) if one.kind is Kind.LEFTOVER and one.held}
    assert held == {"epoch0001.other", ".epoch0002.safetensors.0123abcd.tmp.safetensors"}


def test_links_are_reported_and_not_followed(places: tuple[Path, Path], tmp_path: Path) -> None:
    runs, cache = places
    outside = run(tmp_path / "outside", 1, finished=False)
    runs.mkdir()
    cache.mkdir()
    (runs / outside.name).symlink_to(outside)
    (tmp_path / "big").mkdir()
    (cache / "pool").symlink_to(tmp_path / "big")
    inner = run(runs, 2, finished=False)
    (inner / "big").symlink_to(outside)
    aged(inner)
    seen = survey(runs, cache, Uses(), Work())
    assert [one.path for one in seen.items] == [inner]
    assert set(seen.links) == {runs / outside.name, cache / "pool"}


def test_other_files_are_counted_and_never_offered(places: tuple[Path, Path]) -> None:
    runs, cache = places
    run(runs, 1)
    (runs / "ddsweep.db").write_bytes(bytes(5000))
    (runs / "a@demo").mkdir()
    (runs / "a@demo" / "alpha.png").write_bytes(bytes(700))
    seen = survey(runs, cache, Uses(names=frozenset({"a@demo"})), Work())
    assert seen.other == {runs: 5700, cache: 0}

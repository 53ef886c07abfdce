"""``ddsweep clean``: what it shows, what it asks, what it removes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import typer

from ddsweep import files
from ddsweep.backends import Definition, Point, connect
from ddsweep.cli import clean, cleaning
from ddsweep.housekeeping import Item, Kind
from tests.cli.conftest import Run
from tests.housekeeping.conftest import aged, cached, recipe, run

RUNS = Path("runs")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage in which a@demo has the cells α 1, finished, and α 3, which waits."""
    path = tmp_path_factory.mktemp("clean") / "ddsweep.db"
    store = connect(path)
    points = [Point(key := recipe(alpha).key(), {"alpha": float(alpha)}, key) for alpha in (1, 3)]
    store.sweep("a@demo").register(Definition("a@demo", points))
    store.close()
    return path


@pytest.fixture
def folders(registered: Path) -> dict[str, Path]:
    """One run of each kind, and a cache."""
    RUNS.mkdir()
    (RUNS / "ddsweep.db").write_bytes(registered.read_bytes())
    cached(files.cache_dir())
    found = {"used": run(RUNS, 1), "free": run(RUNS, 2), "open": run(RUNS, 3, False), "orphan": run(RUNS, 4, False)}
    left = found["used"] / ".x.0123abcd.tmp"
    left.write_bytes(bytes(7))
    aged(left)
    return found


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What somebody at a terminal answers; empty: nobody is asked."""
    given: list[bool] = []
    monkeypatch.setattr(typer, "confirm", lambda text, default: given.pop(0))
    monkeypatch.setattr(clean, "can_ask", lambda: True)
    return given


def there(folders: dict[str, Path]) -> set[str]:
    return {name for name, path in folders.items() if path.exists()}


def test_without_a_word_it_only_shows(ddsweep: Run, folders: dict[str, Path]) -> None:
    result = ddsweep("clean")
    assert result.exit_code == 0
    lines = [" ".join(line.replace("*", "").split()) for line in result.stdout.splitlines()]
    for line in (
        "finished runs of launched sweeps 1", "finished runs of no launched sweep 1",
        "unfinished runs of launched sweeps 1", "unfinished runs of no launched sweep 1", "PTMs 1 100 B 2 d ago",
        "what methods of plugins have trained 1", "results that cells share 1", "checks that plugins have passed 1",
        "decoded datasets 1", "archives and downloads 1", "compiled steps 1", "temporary and set-aside files 1",
        "other files in runs",
    ):  # fmt: skip
        assert any(one.startswith(line) for one in lines), line
    assert there(folders) == set(folders)
    assert max(map(len, result.stdout.splitlines()[2:])) <= 100
    record = json.loads(ddsweep("clean", "--json").stdout)
    (free,) = (one for one in record["items"] if one["kind"] == "free")
    assert (free["path"], free["asks"], free["held"]) == (str(folders["free"].absolute()), True, "")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [((0, 7200), "just now – 2 h ago"), ((7200, 172800), "2 h – 2 d ago"), ((120, 130), "2 min ago")],
)
def test_ages(seconds: tuple[float, float], said: str) -> None:
    now = time.time()
    items = [Item(Kind.PTM, Path("one"), 1, now - one) for one in seconds]
    assert cleaning._ages(items) == said


def test_temporaries_and_orphans_go_without_a_question(ddsweep: Run, folders: dict[str, Path]) -> None:
    result = ddsweep("clean", "temporaries", "--dry-run")
    assert there(folders) == set(folders)
    assert str(folders["orphan"].absolute()) in result.stdout
    result = ddsweep("clean", "temporaries")
    assert result.exit_code == 0, result.output
    assert "deleted  unfinished runs of no launched sweep: 1," in result.stdout
    assert "deleted  temporary and set-aside files: 1," in result.stdout
    assert there(folders) == {"used", "free", "open"}
    assert not list(folders["used"].glob(".*"))
    assert ddsweep("clean", "temporaries").stdout == "nothing was deleted\n"


@pytest.mark.parametrize(
    "words", [["runs"], ["pool"], ["data"], ["compiled"], ["shared"], ["checked"], ["all"], ["runs", "--json"]]
)
def test_nobody_to_ask_is_one_line_and_nothing_goes(ddsweep: Run, folders: dict[str, Path], words: list[str]) -> None:
    before = sorted(files.cache_dir().rglob("*"))
    result = ddsweep("clean", *words)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert ": 1, " in line and line.endswith("add --yes")
    assert there(folders) == set(folders)
    assert sorted(files.cache_dir().rglob("*")) == before


def test_each_kind_is_asked_for(ddsweep: Run, folders: dict[str, Path], answers: list[bool]) -> None:
    answers += [False, True, False]  # used, free, open
    result = ddsweep("clean", "runs")
    assert result.exit_code == 0, result.output
    assert there(folders) == {"used", "open"}
    assert not answers
    assert "launching again does not compute them" in result.stdout


def test_yes_answers_every_question(ddsweep: Run, folders: dict[str, Path]) -> None:
    result = ddsweep("clean", "all", "--yes", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert there(folders) == set()
    assert (len(record["removed"]), record["kept"], record["failed"]) == (12, [], [])
    assert record["freed_bytes"] == sum(one["bytes"] for one in record["removed"])
    assert (RUNS / "ddsweep.db").is_file()


def test_older_than(ddsweep: Run, folders: dict[str, Path]) -> None:
    aged(folders["free"], days=40)
    assert ddsweep("clean", "runs", "--older-than", "30d", "--yes").exit_code == 0
    assert there(folders) == {"used", "open", "orphan"}


def test_what_an_agent_works_on_is_named_and_kept(ddsweep: Run, folders: dict[str, Path]) -> None:
    with files.lock(RUNS / ".locks" / f"{folders['orphan'].name}.lock"):
        result = ddsweep("clean", "temporaries", "--yes")
    assert result.exit_code == 0
    assert f"kept     {folders['orphan'].absolute()}: an agent is running it" in result.stdout
    assert "orphan" in there(folders)


def test_a_living_lease_holds_its_cell(ddsweep: Run, folders: dict[str, Path]) -> None:
    store = connect(RUNS / "ddsweep.db")
    held = [claim.point.key for claim in (store.sweep("a@demo").claim("host:1"), store.sweep("a@demo").claim("h:2"))
            if claim]  # fmt: skip
    store.close()
    assert folders["open"].name in held
    assert ddsweep("clean", "runs", "--yes").exit_code == 0
    assert there(folders) == {"used", "open"}


def test_agents_that_cannot_be_asked(ddsweep: Run, folders: dict[str, Path]) -> None:
    (RUNS / "ddsweep.db").write_bytes(b"not a database, and long enough to be read as one" * 20)
    result = ddsweep("clean")
    assert result.exit_code == 0
    assert "the storage cannot be read, so that nothing would be deleted" in result.stdout
    for word in ("temporaries", "all"):
        result = ddsweep("clean", word, "--yes")
        assert result.exit_code == 2
        assert "nothing is deleted while the storage cannot be read" in result.stderr
    assert there(folders) == set(folders)


def test_what_the_system_forbids(ddsweep: Run, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "replace", forbidden)
    result = ddsweep("clean", "temporaries")
    assert result.exit_code == 1
    assert f"failed   cannot remove {folders['orphan'].absolute()}: Permission denied" in result.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["pols"], "clean: unknown target 'pols'; did you mean pool?"),
        (
            ["runs", "--older-than", "soon"],
            "older-than: invalid age 'soon'; give hours, days or weeks, such as 12h, 30d or 4w",
        ),
    ],
)
def test_bad_words(ddsweep: Run, words: list[str], line: str) -> None:
    result = ddsweep("clean", *words)
    assert result.exit_code == 2
    assert line in result.stderr


def test_nothing_is_here(ddsweep: Run) -> None:
    assert "no files yet" in ddsweep("clean").stdout
    assert not RUNS.exists()

"""Results on their way from the host that computed them to one that wants to read them."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from ddsweep import checked_files
from ddsweep.backends import Claim, Definition, Point
from ddsweep.backends.memory import MemoryStore
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.results import result as results
from ddsweep.results import run_files, transfer
from ddsweep.results.result import Result

HERE, THERE = Path("here"), Path("there")


@pytest.fixture
def recipe() -> Recipe:
    return make({"target": "digits", "alpha": 0.0})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def claim(store: MemoryStore, recipe: Recipe) -> Claim:
    backend = store.sweep("one@demo")
    backend.register(Definition("one@demo", [Point("p", {}, recipe.key())]))
    claim = backend.claim("gpu0")
    assert claim is not None
    return claim


@pytest.fixture
def folder(recipe: Recipe) -> Path:
    """A finished run, as ``trial`` leaves it."""
    place = HERE / recipe.key()
    (place / "images").mkdir(parents=True)
    for name in ("recipe.json", "real.png", "synthetic.png", "checkpoint.pt", "images/a.png"):
        (place / name).write_bytes(f"content of {name}".encode())
    checked_files.write_tensors(place / "synthetic.safetensors", {"images": torch.ones(2, 1, 4, 4)}, {"ipc": "1"})
    (place / "metrics.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in range(12_345)))
    Result(recipe, accuracies={"convnet3": [0.5, 0.75]}).write(place)
    return place


def test_a_result_arrives_as_it_left(store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe) -> None:
    assert transfer.deliver(claim, folder)
    assert transfer.absent([recipe.key()], THERE) == [recipe.key()]
    assert transfer.bring(store, [recipe.key(), "0" * 16], THERE) == {}
    arrived = THERE / recipe.key()
    assert results.read(arrived) == results.read(folder)
    assert sorted(path.name for path in arrived.iterdir()) == sorted(transfer.NAMES)
    for name in set(transfer.NAMES) - {"metrics.jsonl"}:
        assert (arrived / name).read_bytes() == (folder / name).read_bytes()
    assert transfer.absent([recipe.key()], THERE) == []


def test_of_long_metrics_a_curve_travels(folder: Path) -> None:
    steps = [json.loads(line)["step"] for line in transfer.pack(folder)["metrics.jsonl"].splitlines()]
    assert (len(steps), steps[0], steps[-1]) == (run_files.LINES, 0, 12_344)
    gaps = {after - before for before, after in itertools.pairwise(steps)}
    assert gaps == {24, 25}
    assert run_files.thinned(b"a\nb\n") == b"a\nb\n"


def test_what_is_large_stays_and_is_told(
    store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / run_files.SET).write_bytes(bytes(transfer.LARGEST + 1))
    assert transfer.deliver(claim, folder)
    assert "synthetic.safetensors stays here: it has 8.0 MB, 8 may travel" in caplog.text
    assert transfer.bring(store, [recipe.key()], THERE) == {}
    assert transfer.without_set([recipe.key()], THERE) == [recipe.key()]
    assert transfer.without_set([recipe.key()], HERE) == []


@pytest.mark.parametrize(("size", "travels"), [(8 * 2**20, True), (8 * 2**20 + 1, False)])
def test_eight_mebibytes_travel(folder: Path, size: int, travels: bool) -> None:
    (folder / run_files.SET).write_bytes(bytes(size))
    assert (run_files.SET in transfer.pack(folder)) == travels


def test_a_result_that_is_here_is_left_alone(store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe) -> None:
    transfer.deliver(claim, folder)
    Result(recipe, accuracies={"convnet3": [0.25]}).write(THERE / recipe.key())
    transfer.bring(store, [recipe.key()], THERE)
    assert [path.name for path in (THERE / recipe.key()).iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values | {"key": "0" * 16}, "belongs to 0000000000000000"),
        (lambda values: values | {"recipe": values["recipe"] | {"ipc": 7}}, "result.json belongs to"),
        (lambda values: {"key": values["key"]}, "or was written by another version of ddsweep"),
        (lambda values: "cut off", "has no readable result.json"),
    ],
    ids=["another key", "another recipe", "another version", "no JSON"],
)
def test_what_does_not_fit_is_not_written(
    store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe, change: object, reason: str
) -> None:
    contents = transfer.pack(folder)
    changed = change(checked_files.parse_json(contents["result.json"]))  # type: ignore[operator]
    text = changed if isinstance(changed, str) else json.dumps(checked_files.with_checksum(changed))
    claim.keep(contents | {"result.json": text.encode()})
    (found,) = transfer.bring(store, [recipe.key()], THERE).values()
    assert reason in found
    assert "\n" not in found
    assert not (THERE / recipe.key()).exists()


def test_a_name_cannot_lead_out_of_the_folder(store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe) -> None:
    claim.keep(transfer.pack(folder) | {"../escaped": b"", "/tmp/escaped": b"", "extra.png": b""})
    transfer.bring(store, [recipe.key()], THERE)
    assert sorted(path.name for path in THERE.rglob("*") if path.is_file()) == sorted(
        [*transfer.NAMES, f"{recipe.key()}.lock"]
    )


def test_a_run_that_is_going_on_here_is_not_disturbed(
    store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe
) -> None:
    transfer.deliver(claim, folder)
    lock = THERE / ".locks" / f"{recipe.key()}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        assert "is being computed here" in transfer.bring(store, [recipe.key()], THERE)[recipe.key()]
    assert not (THERE / recipe.key()).exists()


def test_a_runs_folder_that_cannot_be_written_is_one_line(
    store: MemoryStore, claim: Claim, folder: Path, recipe: Recipe
) -> None:
    transfer.deliver(claim, folder)
    THERE.write_text("a file")
    with pytest.raises(UserError, match=r"^cannot write there/\.locks: "):
        transfer.bring(store, [recipe.key()], THERE)


def test_a_storage_that_takes_nothing_is_told_with_the_key(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        def keep(self, contents: Mapping[str, bytes]) -> bool:
            raise UserError("storage db: no space left on device")

    with caplog.at_level(logging.WARNING), pytest.raises(UserError, match="the result is here but could not be stored"):
        transfer.deliver(Full(), folder)

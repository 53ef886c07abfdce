"""How much disk the records may take."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.shared import budget, sets
from ddsweep.shared.budget import Budget, parse
from ddsweep.shared.sharing import Sharing

RECORD = 4096 + 64  # bytes of a record of 1024 floats


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", Budget()),
        ("OFF", Budget()),
        ("20GB", Budget(size=20 * 10**9)),
        ("1.5 tb", Budget(size=1_500_000_000_000)),
        ("300MB", Budget(size=300_000_000)),
        ("10%", Budget(share=0.1)),
        ("100%", Budget(share=1.0)),
        ("0%", Budget()),
    ],
)
def test_every_form(text, expected):
    assert parse(text) == expected
    assert bool(parse(text)) == (text.lower() not in ("off", "0%"))


@pytest.mark.parametrize(
    "text", ["on", "20", "20G", "-1GB", "101%", "ten%", "1e3GB", "%", "5 KB", " ", 400 * "9" + "GB"]
)
def test_other_words_are_refused_in_one_line(text):
    with pytest.raises(UserError) as error:
        parse(text)
    forms = "write off, a size such as 20GB, or a share of the free disk such as 10%"
    assert str(error.value) == f"DDSWEEP_SHARE: unknown value {text!r}; {forms}"


def test_the_default_is_a_tenth_of_what_would_be_free(monkeypatch, tmp_path):
    assert budget.from_environment() == Budget(share=0.1)
    kept(tmp_path, "old", 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**10))
    assert budget.from_environment().limit(tmp_path) == (10**10 + 10 * RECORD) // 10
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=files.NEEDED + 5))
    assert parse("100%").limit(tmp_path) == 10 * RECORD + 5
    assert parse("1TB").limit(tmp_path) == 10 * RECORD + 5
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert parse("1TB").limit(tmp_path) == 0


@pytest.fixture(autouse=True)
def never_too_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)


def kept(folder: Path, kind: str, count: int, allowed: Budget | None = None, used: float | None = None) -> Path:
    """Compute some records of 4 KB, and return the folder of their set."""
    one = Sharing({}, torch.device("cpu"), allowed or Budget(size=10**9), folder=folder)
    records = one.records(kind)
    for key in range(count):
        records.get(b"%d" % key, lambda: torch.zeros(1024))
    one.close()
    path = sets.path_of(folder, kind, {"kind": kind})
    if used is not None:
        os.utime(path / sets.ABOUT, (used, used))
    return path


def size(path: Path) -> int:
    return (path / sets.RECORDS).stat().st_size


def test_the_first_records_that_fit_are_kept_and_one_line_says_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        path = kept(tmp_path, "means", 50, Budget(size=20 * RECORD + 100))
    assert size(path) == 20 * RECORD
    assert [record.getMessage() for record in caplog.records] == [
        "sharing: the limit of $DDSWEEP_SHARE is reached; what this cell computes is not kept for others"
    ]


def test_the_least_recently_used_sets_make_room(tmp_path):
    paths = {kind: kept(tmp_path, kind, 10, used=when) for kind, when in (("b", 200.0), ("a", 300.0), ("c", 100.0))}
    new = kept(tmp_path, "new", 12, Budget(size=33 * RECORD))
    assert {kind for kind, path in paths.items() if path.exists()} == {"a", "b"}
    assert size(new) == 12 * RECORD


def test_reading_a_set_counts_as_using_it(tmp_path):
    paths = {kind: kept(tmp_path, kind, 10, used=when) for kind, when in (("a", 100.0), ("b", 200.0))}
    kept(tmp_path, "a", 3)
    kept(tmp_path, "new", 5, Budget(size=22 * RECORD))
    assert {kind for kind, path in paths.items() if path.exists()} == {"a"}


def test_sets_in_use_stay_even_if_there_is_no_room(tmp_path):
    one = Sharing({}, torch.device("cpu"), Budget(size=10**9), folder=tmp_path)
    records = one.records("old")
    for key in range(10):
        records.get(b"%d" % key, lambda: torch.zeros(1024))
    new = kept(tmp_path, "new", 5, Budget(size=10 * RECORD))
    assert not (new / sets.RECORDS).exists() or size(new) == 0
    records.get(b"10", lambda: torch.zeros(1024))
    one.close()
    assert size(sets.path_of(tmp_path, "old", {"kind": "old"})) == 11 * RECORD

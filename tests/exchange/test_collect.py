"""Which run a key means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.exchange.collect import run_folder


def runs(place: Path) -> Path:
    for key in ("aaaa000011112222", "aaaa333344445555", "bbbb000011112222"):
        (place / key).mkdir()
        if key != "bbbb000011112222":
            (place / key / "result.json").write_text("{}")
    return place


def test_a_prefix_that_means_one(place: Path) -> None:
    assert run_folder("aaaa3", runs(place)) == place / "aaaa333344445555"


@pytest.mark.parametrize(
    ("prefix", "line"),
    [
        ("aaaa", "matches 2 runs (aaaa000011112222, aaaa333344445555); write more of the key"),
        ("bbbb", "no finished run in"),
        ("cccc", "no finished run in"),
    ],
)
def test_others(prefix: str, line: str, place: Path) -> None:
    with pytest.raises(UserError) as error:
        run_folder(prefix, runs(place))
    assert line in str(error.value)

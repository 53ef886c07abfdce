"""The lease that all agents of a storage have to agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep.backends import Lease
from ddsweep.errors import UserError
from tests.backends.conftest import Opener


def test_a_lease_as_it_is_written() -> None:
    assert Lease.parse("") == Lease(30, 180)
    assert Lease.parse("1, 6.5") == Lease(1, 6.5)


@pytest.mark.parametrize("text", ["6", "1,2,3", "one,six", "6,1", "0,1", "nan,1"])
def test_anything_else_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^lease: "):
        Lease.parse(text)


def test_the_environment_says_how_long(open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDSWEEP_LEASE", "2,20")
    assert open_store(tmp_path / "one.db").lease == Lease(2, 20)
    assert open_store(tmp_path / "two.db", Lease(3, 4)).lease == Lease(3, 4)

"""Benchmarks run, and what they compare is the same function."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import cclom_cache


def test_cclom_cache(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cclom_cache", "--json", "--steps", "3", "--width", "2"])
    cclom_cache.main()
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] < 1e-5
    assert found["ratio"] == found["looking_again_s"] / found["remembering_s"]  # how large it is depends on the machine

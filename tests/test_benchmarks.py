"""Benchmarks run, and what they compare is the same function."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import cclom_cache, checkpoints, queue


def test_cclom_cache(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cclom_cache", "--json", "--steps", "3", "--width", "2"])
    cclom_cache.main()
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] < 1e-5
    assert found["ratio"] == found["looking_again_s"] / found["remembering_s"]  # how large it is depends on the machine


def test_queue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["queue", "--json", "--points", "40,80", "--agents", "6", "--processes", "2"])
    queue.main()
    found = json.loads(capsys.readouterr().out)
    assert [(one["points"], one["claims"]) for one in found["sizes"]] == [(40, 20), (80, 40)]
    assert [one["points"] for one in found["growth"]] == [2]


def test_checkpoints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["checkpoints", "--json", "--saves", "1"])
    monkeypatch.setattr(checkpoints, "CASES", dict(list(checkpoints.CASES.items())[:2]))
    checkpoints.main()
    found = json.loads(capsys.readouterr().out)
    assert [round(one["bytes"] / 1e6, 1) for one in found.values()] == [13.6, 2.6]
    assert all(one["share"] == one["save_s"] / 300 for one in found.values())

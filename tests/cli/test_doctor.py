"""``ddsweep doctor`` on the screen and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddsweep import doctor
from ddsweep.doctor import Check, Finding, check
from tests.cli.conftest import Run


def checks(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """Replace all checks."""
    only = Check("made up", lambda place: None, (lambda facts: findings,))
    monkeypatch.setattr(doctor, "examine", lambda place, announce=None: iter(check.run(only, place)))


def test_no_problem(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checks(monkeypatch, check.ok("Python", "3.12"))
    result = ddsweep("doctor")
    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "ok  Python  3.12", "ready: ddsweep launch ablation-alpha --profile demo",
    ]  # fmt: skip


def test_a_warning_does_not_change_the_exit_status_and_has_a_fix(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checks(monkeypatch, check.ok("Python", "3.12"), check.warning("GPU", "all hidden", "unset [b]VISIBLE[/b]"))
    result = ddsweep("doctor")
    assert result.exit_code == 0
    assert "→ unset [b]VISIBLE[/b]" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 warning"


def test_an_error_changes_the_exit_status(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checks(monkeypatch, check.error("torch", "gone", "pip install torch"), check.warning("x", "y", "z"))
    result = ddsweep("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "1 error, 1 warning"
    result = ddsweep("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0] == {
        "name": "torch", "state": "error", "message": "gone", "fix": "pip install torch",
    }  # fmt: skip


@pytest.mark.slow  # it imports torch and torchvision in a process of its own
def test_this_machine(ddsweep: Run) -> None:
    result = ddsweep("doctor", "--storage", "postgresql://me:s3cret@127.0.0.1:1/none")
    assert result.exit_code == 1
    states = {line.split()[0] for line in result.stdout.splitlines()[:-1] if not line.startswith(" ")}
    assert states <= {"ok", "warning", "error"}
    assert "s3cret" not in result.output
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert len(result.stdout.splitlines()) <= 40  # one screen
    assert not Path("runs").exists()
    assert not Path("ddsweep.db").exists()
    found = {one["name"]: one["state"] for one in json.loads(ddsweep("doctor", "--json").stdout)}
    assert {"Python", "torch", "CPU", "disk: runs", "disk: cache", "storage", "cache", "W&B"} <= set(found)
    assert found["torch"] == found["storage"] == "ok"

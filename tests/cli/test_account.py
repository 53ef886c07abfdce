"""``--backend`` and ``--track``, and the fallback if W&B is unavailable."""

from __future__ import annotations

import os

import pytest

from ddsweep.backends.wandb.backend import WandbStore
from ddsweep.cli.account import Account
from ddsweep.errors import UserError
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--backend=wanb"], "backend: unknown backend 'wanb'; did you mean wandb? (allowed: optuna, wandb)"),
        (
            ["--track=tensorboard"],
            "track: unknown tracker 'tensorboard'; allowed: wandb; if it is a plugin's, add its file to "
            "$DDSWEEP_PLUGINS",
        ),
    ],
)
@pytest.mark.parametrize("command", ["launch", "agent"])
def test_an_unknown_name_is_a_one_line_error(ddsweep: Run, command: str, words: list[str], line: str) -> None:
    result = ddsweep(command, "ablation-alpha@demo", "--device=cpu", *words)
    assert (result.exit_code, result.stderr) == (2, f"error: {line}\n")


def test_agents_of_wandb_do_not_run_in_this_process(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WandbStore, "available", lambda self: "")
    result = ddsweep("launch", "ablation-alpha@demo", "--backend=wandb", "--workers=0", "--device=cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: workers: ")


@pytest.mark.parametrize("text", ["{", "[1]", "7", ""])
def test_a_trial_without_fields_is_a_one_line_error(ddsweep: Run, text: str) -> None:
    result = ddsweep("trial", "ablation-alpha@demo", text)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("error: JSON: ")


def test_wandb_is_not_asked_if_it_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WandbStore, "available", lambda self: pytest.fail("was asked"))
    account = Account()
    assert account.available(pytest.fail) is account


@pytest.mark.parametrize("account", [Account("wandb"), Account("optuna", ("wandb",))])
def test_a_fallback_if_wandb_is_unavailable(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(WandbStore, "available", lambda self: "")
    assert account.available(reported.append) is account
    assert reported == []
    monkeypatch.setattr(WandbStore, "available", lambda self: "not logged in")
    assert account.available(reported.append) == Account("optuna", ("wandb",))
    assert reported == [
        "W&B is unavailable (not logged in): the local queue runs the grid; upload its runs later: ddsweep sync"
    ]
    assert os.environ["WANDB_MODE"] == "offline"


def test_no_offline_runs_if_wandb_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert Account("wandb").available(reported.append) == Account()
    assert len(reported) == 1


def test_an_unknown_backend() -> None:
    with pytest.raises(UserError, match="allowed: optuna, wandb"):
        Account("redis")

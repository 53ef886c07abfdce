"""What is done with ``--backend`` and ``--track``, and what without W&B."""

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
        (["--backend=wanb"], "backend: no 'wanb'; did you mean wandb? (allowed: optuna, wandb)"),
        (["--track=tensorboard"], "track: no 'tensorboard'; allowed: wandb"),
    ],
)
@pytest.mark.parametrize("command", ["launch", "agent"])
def test_what_is_not_there_is_one_line(ddsweep: Run, command: str, words: list[str], line: str) -> None:
    result = ddsweep(command, "ablation-alpha@demo", "--device=cpu", *words)
    assert (result.exit_code, result.stderr) == (2, f"error: {line}\n")


def test_wandb_s_agents_do_not_run_in_this_process(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WandbStore, "available", lambda self: "")
    result = ddsweep("launch", "ablation-alpha@demo", "--backend=wandb", "--workers=0", "--device=cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: workers: ")


@pytest.mark.parametrize("text", ["{", "[1]", "7", ""])
def test_a_trial_without_fields_is_one_line(ddsweep: Run, text: str) -> None:
    result = ddsweep("trial", "ablation-alpha@demo", text)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("error: JSON: ")


def test_w_and_b_is_not_asked_where_it_has_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WandbStore, "available", lambda self: pytest.fail("was asked"))
    account = Account()
    assert account.reached(pytest.fail) is account


@pytest.mark.parametrize("asked", [Account("wandb"), Account("optuna", ("wandb",))])
def test_there_or_not(asked: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(WandbStore, "available", lambda self: "")
    assert asked.reached(said.append) is asked
    assert said == []
    monkeypatch.setattr(WandbStore, "available", lambda self: "not logged in")
    assert asked.reached(said.append) == Account("optuna", ("wandb",))
    assert said == [
        "without W&B for now (not logged in): the local queue runs the grid; its runs can be uploaded later"
    ]
    assert os.environ["WANDB_MODE"] == "offline"


def test_switched_off_nothing_is_kept_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert Account("wandb").reached(said.append) == Account()
    assert len(said) == 1


def test_no_backend_of_this_name() -> None:
    with pytest.raises(UserError, match="allowed: optuna, wandb"):
        Account("redis")

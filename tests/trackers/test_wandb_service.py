"""What every part of ddsweep that uses W&B shares: the mode, the address, and errors without the API key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from ddsweep.trackers import wandb_service
from tests.standin import KEY


@pytest.fixture(autouse=True)
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A client that reads its settings again, in an empty folder."""
    for name in ("WANDB_MODE", "WANDB_BASE_URL", "WANDB_DIR", "WANDB_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.mark.parametrize(
    ("mode", "offline"), [("offline", "offline"), ("dryrun", "dryrun"), ("disabled", "disabled"), ("online", "")]
)
def test_the_mode_of_the_environment(mode: str, offline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    assert wandb_service.offline_mode() == offline


def test_the_mode_and_the_address_of_a_settings_file(tmp_path: Path) -> None:
    """As `wandb offline` and `wandb login --host` write it; no service process starts to read it."""
    assert wandb_service.offline_mode() == ""
    wandb.teardown()
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nmode = offline\nbase_url = https://wandb.lab.org\n")
    assert (wandb_service.offline_mode(), wandb_service.base_url()) == ("offline", "https://wandb.lab.org")
    assert "WANDB_SERVICE" not in os.environ


def test_an_error_becomes_one_line_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    error = ValueError(f"permission denied for {KEY}:\nsee the log\n")
    assert wandb_service.first_line(error) == "permission denied for …"
    assert wandb_service.first_line(TimeoutError()) == "TimeoutError"
    monkeypatch.delenv("WANDB_API_KEY")
    assert wandb_service.without_key("a key: abc") == "a key: abc"

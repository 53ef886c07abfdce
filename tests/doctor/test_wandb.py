"""W&B: the service is asked only after a login, and no key is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep.doctor import Place, State, wandb
from ddsweep.doctor.wandb import Account
from tests.standin import Standin

KEY = "0123456789abcdef0123456789abcdef01234567"
PLACE = Place(Path("runs"), "", Path("cache"))


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        (Account(), State.OK, "not logged in"),
        (Account(login="~/.netrc"), State.OK, "logged in (~/.netrc)"),
        (Account(mode="offline"), State.OK, "WANDB_MODE is offline"),
        (Account(mode="offline", login="~/.netrc"), State.WARNING, "WANDB_MODE is offline"),
        (Account(login="~/.netrc", problem="wandb: cannot reach https://x"), State.WARNING, "cannot reach https://x"),
    ],
)
def test_login(facts: Account, state: State, words: str) -> None:
    (found,) = wandb.login(facts)
    assert (found.state, bool(found.fix)) == (state, state is not State.OK)
    assert words in found.message


def test_a_rejected_key_says_how_to_log_in_again() -> None:
    (found,) = wandb.login(
        Account(login="WANDB_API_KEY", problem="wandb: the API key is rejected; run: wandb login --relogin")
    )
    assert (found.message, found.fix) == (
        "login from WANDB_API_KEY; wandb: the API key is rejected", "wandb login --relogin",
    )  # fmt: skip


def test_runs_that_are_not_uploaded() -> None:
    assert wandb.unsynced(Account()) == []
    (found,) = wandb.unsynced(Account(unsynced=3))
    assert (found.message, found.fix) == ("3 offline runs not uploaded yet", "ddsweep sync")


def test_where_the_key_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    assert wandb._login("https://wandb.lab.org") == ""
    netrc.write_text(f"machine wandb.lab.org\n  login user\n  password {KEY}\n")
    netrc.chmod(0o600)
    assert wandb._login("https://wandb.lab.org") == str(netrc)
    assert wandb._login("https://elsewhere.org") == ""
    netrc.write_text("machine machine machine password")
    assert wandb._login("https://wandb.lab.org") == ""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert wandb._login("https://elsewhere.org") == "WANDB_API_KEY"


def test_the_service_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Standin() as service:
        for name, value in service.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        found = wandb.inspect(PLACE)
    assert (found.login, found.problem, found.unsynced) == ("WANDB_API_KEY", "", 0)

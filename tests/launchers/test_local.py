"""Agents that die: which deaths a slot survives, and how often."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ddsweep import agent, processes
from ddsweep.device import Slot
from ddsweep.launchers import Job, local
from ddsweep.launchers.local import LocalLauncher
from tests.launchers.test_contract import job, one, script, wait

__all__ = ["job", "one"]


@pytest.mark.parametrize("how", ["kill -9 $$", "kill -1 $$", "exit 137"])  # the last: through a wrapper script
def test_agents_that_are_killed_while_they_start_are_replaced(
    how: str, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Memory was short for a while: that closes no slot."""
    monkeypatch.setattr(local, "PAUSES", (0.0, 0.01))
    body = f"echo x >> started; [ $(wc -l < started) = {local.MAX_KILLS} ] && exit 0; {how}"
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert (len(Path("started").read_text().splitlines()), launcher.closed()) == (local.MAX_KILLS, [])


def test_a_slot_whose_agents_are_killed_again_and_again_is_closed(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "PAUSES", (0.0,))
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", "echo x >> started; exec kill -9 $$"))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == local.MAX_KILLS
    assert "cpu: 20 agents were killed (the last by SIGKILL); see" in launcher.closed()[0]


def test_an_error_that_repeats_is_not_forgiven_between_kills(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = "echo x >> started; [ $(( $(wc -l < started) % 2 )) = 0 ] && kill -9 $$; exit 1"
    monkeypatch.setattr(local, "PAUSES", (0.0,))
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == 2 * local.MAX_DEATHS - 1
    assert "cpu: 3 agents died (last status 1)" in launcher.closed()[0]


@pytest.mark.parametrize(("claimed", "agents"), [("0", local.MAX_DEATHS), ("$(wc -l < started)", local.MAX_KILLS)])
def test_a_crash_before_the_first_claim_is_an_error_and_one_in_a_trial_is_the_cells(
    claimed: str, agents: int, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = f"""echo x >> started
    printf '{{"claimed": %s}}' {claimed} > {job.folder}/agent-0.failures
    kill -SEGV $$"""
    monkeypatch.setattr(local, "PAUSES", (0.0,))
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == agents
    assert "SIGSEGV" in launcher.closed()[0]


def test_a_checkpoint_starts_the_count_again(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = f"""echo x >> started
    [ $(wc -l < started) = 10 ] && echo '{{"saved": 1}}' > {job.folder}/agent-0.failures
    kill -9 $$"""
    monkeypatch.setattr(local, "PAUSES", (0.0,))
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert len(Path("started").read_text().splitlines()) == 9 + local.MAX_KILLS


def test_killed_agents_are_replaced_later_and_later_and_stopping_ends_that(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "PAUSES", (0.0, 3600.0))
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", "echo x >> started; exec kill -9 $$"))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        assert launcher.poll() == 1, "the slot is not closed"
        time.sleep(0.02)
    assert len(Path("started").read_text().splitlines()) == 2
    launcher.stop()
    assert launcher.poll() == 0


@pytest.mark.parametrize("status", [143, 130, 140])
def test_an_agent_that_was_stopped_by_a_signal_is_not_replaced(
    status: int, job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = f"echo x >> started; exit {status}"
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert (len(Path("started").read_text().splitlines()), launcher.closed()) == (1, [])


def test_an_agent_that_refuses_the_images_of_this_host_is_not_replaced(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reason = "photos: the images on this host are not those of the registered sweep"
    body = (
        'echo x >> started; while [ "$1" != --failures ]; do shift; done; '
        f'echo \'{{"failed": {{"cell": "{reason}"}}, "ended": 0}}\' > "$2"; exit {agent.OTHER_IMAGES}'
    )
    monkeypatch.setattr(processes.sys, "executable", script(tmp_path / "agent", body))
    launcher = LocalLauncher(job, [Slot("cpu")])
    launcher.start()
    wait(launcher)
    assert (len(Path("started").read_text().splitlines()), launcher.closed()) == (1, [f"cpu: {reason}"])

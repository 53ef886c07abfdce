"""An agent's status reports to the storage during other work, and requests to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from ddsweep.agent.shutdown import Shutdown, reporting
from ddsweep.backends import Definition, Point
from ddsweep.backends.memory import MemoryBackend, MemoryStore
from ddsweep.trackers.status import AgentStatus


@pytest.fixture
def backend() -> MemoryBackend:
    one = MemoryStore().sweep("s")
    one.register(Definition("s", [Point("a", {}, "k")]))
    return one


def until(condition: Any) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("did not happen within a minute")


def test_an_agent_is_listed_while_it_works_and_hears_that_it_should_stop(backend: MemoryBackend) -> None:
    status, shutdown = AgentStatus("host:1", "gpu 3", "s"), Shutdown()
    with reporting(backend, status, shutdown, 0.01):
        status.phase = "distill"
        until(lambda: [one.status["phase"] for one in backend.agents()] == ["distill"])
        assert not shutdown.requested
        backend.ask_to_stop("drain")
        until(lambda: shutdown.draining)
        assert not shutdown.now, "the cell in hand may be finished"
    assert backend.agents() == []


@pytest.mark.parametrize(
    ("modes", "requested", "signals"),
    [
        (["", ""], (False, False), 0),
        (["drain", "drain"], (False, True), 0),
        (["now", "now", "now"], (True, False), 1),
        (["drain", "now", ""], (True, True), 1),
    ],
)
def test_a_request_to_stop_now_interrupts_once(
    monkeypatch: pytest.MonkeyPatch, modes: list[str], requested: tuple[bool, bool], signals: int
) -> None:
    """The storage repeats the request at every report while the agent saves its state."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *words: sent.append(words))
    shutdown = Shutdown()
    for mode in modes:
        shutdown.request(mode)
    assert (shutdown.now, shutdown.draining) == requested
    assert sent == [(os.getpid(), signal.SIGTERM)] * signals


def test_a_storage_that_is_away_costs_nothing(backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def away(*words: Any) -> str:
        calls.append("report")
        raise OSError("no route to host")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryBackend, "report", away)
        broken.setattr(MemoryBackend, "forget", away)
        with reporting(backend, AgentStatus("host:1", "cpu", "s"), Shutdown(), 0.01):
            until(lambda: len(calls) > 2)

"""Who does the harm: by dice with a seed, at moments when there is work to be lost."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from ddsweep.backends.optuna.backend import OptunaBackend
from ddsweep.backends.rules import Phase
from tests.havoc import disk, until
from tests.havoc.launch import Launch

LONGEST = 20.0  # seconds that anybody stays frozen: one frozen in the middle of a write keeps SQLite from everybody
DROPPED = re.compile("the lease was lost, the .* is dropped")
ENDED = 60.0  # seconds that agents have to end with their launcher


class Adversary:
    """Harms the processes of a launch, and keeps count.

    Attributes:
        toll: what was done, and how often.
        harmed: how often each agent was killed, torn or frozen past its lease: as many attempts may be charged to it.
    """

    def __init__(self, launch: Launch, backend: OptunaBackend, restart: Callable[[float], None] | None) -> None:
        self._launch, self._backend, self._restart = launch, backend, restart
        self._dice = random.Random(0)
        self.toll: Counter[str] = Counter()
        self.harmed: Counter[int] = Counter()

    def befall(self, blows: list[str]) -> None:
        """All of these, in an order of the dice. ``NAME`` is a method here, ``cut PATTERN`` a file never renamed."""
        for blow in self._dice.sample(blows, len(blows)):
            self._go_on()
            time.sleep(self._dice.uniform(0.2, 1.0))
            what, _, pattern = blow.partition(" ")
            getattr(self, what)(*filter(None, [pattern]))

    def _go_on(self) -> None:
        """Wait for an agent at work; launch again when every slot has been closed."""

        def ready() -> bool:
            assert not self._backend.drained(), "the chaos came too late: the sweep was done"
            if self._launch.left() is not None:
                self.toll["launches after all slots were closed"] += 1
                self._launch.start()
            return bool(self._launch.at_work())

        until(ready, "an agent at work")

    def see_it_end(self) -> None:
        """No more blows: the launcher ends with every cell done, and nothing that it started outlives it."""

        def ended() -> bool:
            if (status := self._launch.left()) is not None and not self._backend.drained():
                self._go_on()
            return status is not None and self._backend.drained()

        until(ended, "the end of the sweep")
        assert self._launch.left() == 0, self._launch.said[-3000:]
        assert not self._launch.processes()

    def kill(self) -> None:
        """SIGKILL to an agent."""
        self._signal(signal.SIGKILL)
        self.toll["agents killed"] += 1

    def freeze(self) -> None:
        """SIGSTOP to an agent until its cell is somebody else's; what it finds when it is awake again is dropped."""
        victim = self._signal(signal.SIGSTOP)
        waker = threading.Timer(LONGEST, os.kill, (victim, signal.SIGCONT))
        waker.start()
        before = self._lost(victim)
        while not (passed := self._lost(victim) > before) and waker.is_alive():
            self._backend.reconcile()  # as any idle agent does, but more often
            time.sleep(0.5)
        waker.cancel()
        dropped = self.dropped
        os.kill(victim, signal.SIGCONT)
        self.toll["agents frozen"] += 1
        self.toll["leases lost while frozen"] += passed
        if passed:
            until(lambda: self.dropped > dropped, "a late answer that is dropped")

    @property
    def dropped(self) -> int:
        """How many answers came too late."""
        return len(DROPPED.findall(self._launch.logs()))

    def behead(self) -> None:
        """SIGKILL to the launcher; its agents end with it, and it is launched again."""
        self._launch.kill()
        self.toll["launchers killed"] += 1
        deadline = time.monotonic() + ENDED
        while there := self._launch.processes():
            assert time.monotonic() < deadline, f"orphans: {there}\n{self._launch.logs()[-3000:]}"
            time.sleep(0.1)
        self._launch.start()

    def fill(self) -> None:
        """Not a byte is left on the disk, until an agent has felt it and for some seconds more."""
        with disk.full(self._launch.place):
            before = self._noted("full")
            until(lambda: self._noted("full") > before, "an agent that feels the full disk")
            time.sleep(self._dice.uniform(1, 3))
        self.toll["disk full"] += 1

    def restart(self) -> None:
        """The database ends as in a power cut, and comes back."""
        assert self._restart is not None
        self._restart(self._dice.uniform(0, 2))
        self.toll["database restarts"] += 1

    def cut(self, pattern: str) -> None:
        """An agent dies between writing a file and giving it its name."""
        self._launch.cut(pattern)
        self.await_cut()

    def await_cut(self) -> None:
        """Until it has happened."""
        before = self.toll["torn writes"]

        def torn() -> bool:
            if self._launch.left() is not None:
                self._go_on()
            return self._noted("torn") > before

        until(torn, "a torn write")
        self.toll["torn writes"] += 1
        self.harmed[[note.pid for note in self._launch.diary() if note.what == "torn"][-1]] += 1

    def _signal(self, number: signal.Signals) -> int:
        """To an agent at work; which."""
        while True:
            until(self._launch.at_work, "an agent at work")
            for victim in self._dice.sample(there := self._launch.at_work(), len(there)):
                with contextlib.suppress(ProcessLookupError):  # it has just left
                    os.kill(victim, number)
                    self.harmed[victim] += 1
                    return victim

    def _lost(self, pid: int) -> int:
        return sum(
            one.reason.startswith("lost: ") and f":{pid} " in one.reason
            for one in self._backend.attempts() if one.phase is Phase.FAILED
        )  # fmt: skip

    def _noted(self, what: str) -> int:
        return sum(note.what == what for note in self._launch.diary())

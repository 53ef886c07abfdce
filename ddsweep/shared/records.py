"""Tensors that cells have in common: each is read, or computed by whichever cell needs it first."""

from __future__ import annotations

import hashlib
import logging
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import islice

import torch
from torch import Tensor

from ddsweep.rng import copy_to
from ddsweep.shared.opened import OpenSet
from ddsweep.shared.watched import Watched

logger = logging.getLogger(__name__)

Compute = Callable[[], Tensor]
Following = Generator[tuple[bytes, Compute], None, None]

AHEAD = 64  # later records that a step looks at to find one that no other process is computing
PROBES = 8  # records that are timed; the first ones read files that are not in memory, and warm up
PAUSE = 0.001  # seconds between two looks for a record that another process is computing


class Records:
    """A set of records, each the tensor of a key.

    Args:
        stored: the set on disk; None: nothing is shared.
        device: where the tensors are.
        watched: what computing may change beside; then the tensor is not kept. None: nothing.

    Attributes:
        read: tensors that were read.
        computed: tensors that were computed, also for later steps.
    """

    def __init__(self, stored: OpenSet | None, device: torch.device, *, watched: Watched | None = None) -> None:
        self._stored, self._device, self._watched = stored, device, watched
        self._reading: list[tuple[float, float]] = []  # seconds of reading and of computing, of the same records
        self._seconds: list[float] = []  # of computing
        self.read = self.computed = 0

    @property
    def active(self) -> bool:
        """Whether tensors may be read or kept, so that a key is worth computing."""
        return self._stored is not None and self._stored.readable

    def get(self, key: bytes, compute: Compute, ahead: Callable[[], Following] | None = None) -> Tensor:
        """Return the tensor of ``key``: read, or the result of ``compute()``, which has the same bits.

        Args:
            key: identifies the tensor among those with the same facts: whatever ``compute`` depends on besides, for
                example the states of the generators that it draws from (``Streams.digest``).
            compute: computes the tensor, on the device, without a graph. It is not called if the tensor is read, so
                that draws that later steps depend on must be made before.
            ahead: yields key and ``compute`` of the following steps. While another process is computing this tensor,
                this one computes the first of those that nobody has computed or is computing. What was yielded is used
                before the next one is asked for.
        """
        if self._stored is None or not self._stored.readable:
            return self._only_compute(compute)
        digest = hashlib.sha256(key).digest()
        found = self._find(digest)
        if found is not None:
            return found
        with closing(_nothing() if ahead is None else ahead()) as following:
            return self._find_or_compute(self._stored, digest, compute, islice(following, AHEAD))

    def _only_compute(self, compute: Compute) -> Tensor:
        self.computed += 1
        return compute()

    def _find(self, digest: bytes) -> Tensor | None:
        """Return the record on the device; None if there is none."""
        if self._stored is None:
            return None
        began = time.perf_counter()
        found = self._stored.find(digest)
        if found is None:
            return None
        value, seconds = copy_to(found[0], self._device), found[1]
        self.read += 1
        if not self._seconds:
            self._seconds.append(seconds)
        if len(self._reading) < PROBES:
            self._note(time.perf_counter() - began, seconds)
        return value

    def _note(self, spent: float, saved: float) -> None:
        """Stop sharing if it takes longer than computing."""
        self._reading.append((spent, saved))
        if len(self._reading) == PROBES:
            spent, saved = (statistics.median(column) for column in zip(*self._reading, strict=True))
            if spent > saved:
                line = "sharing: stopped, because reading takes %.2g ms and computing %.2g ms"
                logger.info(line, 1000 * spent, 1000 * saved)
                self.close()

    def _find_or_compute(
        self, stored: OpenSet, digest: bytes, compute: Compute, following: Iterator[tuple[bytes, Compute]]
    ) -> Tensor:
        until = None
        while True:
            with stored.claimed(digest) as mine:
                found = self._find(digest)
                if found is not None:
                    return found
                if mine:
                    return self._compute(digest, compute)
            if self._compute_ahead(stored, following):
                continue
            until = until or time.monotonic() + (statistics.median(self._seconds) if self._seconds else 0.0)
            if time.monotonic() >= until:  # the other process is slow, or stopped
                return self._compute(digest, compute)
            time.sleep(PAUSE)

    def _compute_ahead(self, stored: OpenSet, following: Iterator[tuple[bytes, Compute]]) -> bool:
        """Compute the first of the following records that is nobody's; return whether there was one."""
        for key, compute in following if stored.writable else ():
            digest = hashlib.sha256(key).digest()
            if stored.has(digest):
                continue
            with stored.claimed(digest) as mine:
                if mine and not stored.has(digest):
                    self._compute(digest, compute)
                    return True
        return False

    def _compute(self, digest: bytes, compute: Compute) -> Tensor:
        """Compute a record and keep it."""
        timed = len(self._seconds) < PROBES
        if self._watched is not None:
            self._watched.begin()
        began = self._now() if timed else 0.0
        value = self._only_compute(compute)
        if timed:
            self._seconds.append(self._now() - began)
        if self._stored is None or (self._watched is not None and self._watched.changed()):
            self.close()
            return value
        began = time.perf_counter()
        self._stored.put(digest, value, statistics.median(self._seconds))
        if len(self._reading) < PROBES:
            self._note(time.perf_counter() - began, statistics.median(self._seconds))
        return value

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def close(self) -> None:
        """Release the files; ``get`` only computes from now on."""
        if self._stored is not None:
            self._stored.close()
        self._stored = None


def _nothing() -> Following:
    yield from ()

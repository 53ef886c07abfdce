"""Who follows the progress of long reads: downloads in bytes, decoding in images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Progress = Callable[[str, int, int | None], None]
"""Receives what is read, how much of it is done, and the total if it is known."""


def quiet(name: str, here: int, total: int | None) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Listener:
    """Receives the progress of downloads (name of the file, bytes) and of decoding (name of the dataset, images)."""

    downloaded: Progress = quiet
    decoded: Progress = quiet

    @classmethod
    def of_phases(cls, tell: Callable[[str, int, int], None]) -> Listener:
        """A listener that passes phases on, with what is done and the total (``Tracker.progress``)."""

        def phase(name: str) -> Progress:
            return lambda _, here, total: tell(name, here, total or here)

        return cls(phase("download data"), phase("decode images"))


NOBODY = Listener()
_listener: ContextVar[Listener] = ContextVar("listener", default=NOBODY)


@contextmanager
def reported_to(listener: Listener) -> Iterator[None]:
    """Report the progress of everything that this thread downloads and decodes within the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def downloaded(name: str, here: int, total: int | None) -> None:
    """``here`` of ``total`` bytes of a file have been downloaded."""
    _listener.get().downloaded(name, here, total)


def decoded(name: str, here: int, total: int | None) -> None:
    """``here`` of ``total`` images of a dataset have been decoded."""
    _listener.get().decoded(name, here, total)

"""Slots store the last checkpoints of a computation."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ddsweep import files
from ddsweep.checkpoints.state import Damaged, Foreign, State
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
FORMAT = "1"  # to be increased when the same names get another meaning

T = TypeVar("T")


class Interrupted(BaseException):
    """The computation was asked to stop. Its state is saved, and it resumes from there when it is started again."""


@dataclass
class Checkpoints:
    """When to save checkpoints.

    Attributes:
        every: seconds between two checkpoints; 0: at every boundary.
        leave: called at every boundary; if it returns True, the state is saved and ``Interrupted`` is raised.
        saved: called after every save.
    """

    every: float = 300.0
    leave: Callable[[], bool] = lambda: False
    saved: Callable[[], None] = lambda: None
    _last: float = field(default_factory=time.monotonic, init=False)

    def due(self) -> bool:
        """Return whether it is time to save."""
        return time.monotonic() - self._last >= self.every

    def note(self) -> None:
        """Record that a checkpoint was saved now."""
        self._last = time.monotonic()
        self.saved()


class Slot:
    """The last checkpoints of one computation. This base class stores nothing."""

    def resume(self, restore: Callable[[State], T | None]) -> T | None:
        """Return what ``restore`` makes of the last checkpoint, or else of the one before; None: start from scratch.

        A checkpoint that is damaged or of another computation is renamed, with a warning. For a state that does not
        fit, ``restore`` raises Damaged without changing anything; for one that cannot be used it returns None.
        """
        return None

    def offer(self, state: Callable[[], State]) -> None:
        """Mark a boundary: save ``state()`` if a checkpoint is due.

        Raises:
            Interrupted: the computation was asked to stop; its state is saved.
            UserError: the checkpoint cannot be written.
        """

    def save(self, state: State) -> None:
        """Save now, and keep the checkpoint before.

        Raises:
            UserError: the file cannot be written.
        """

    def trim(self) -> None:
        """Remove the checkpoint before the last."""


class FileSlot(Slot):
    """The last checkpoint is ``NAME.safetensors``, the one before ``NAME.previous.safetensors``.

    Only one process at a time may use a slot.

    Args:
        path: the path of the last checkpoint.
        owner: everything the computation depends on; a checkpoint with other values is not used.
        checkpoints: when to save.
    """

    def __init__(self, path: Path, owner: Mapping[str, str], checkpoints: Checkpoints) -> None:
        self.path, self.previous = path, path.with_suffix(f".previous{path.suffix}")
        self._owner = {"format": FORMAT, "phase": path.stem, **owner}
        self._checkpoints = checkpoints

    def resume(self, restore: Callable[[State], T | None]) -> T | None:
        """See ``Slot``."""
        files.clear_temporaries(self.path.parent, self.path.name)
        for path in (self.path, self.previous):
            try:
                if path.is_file() and (found := restore(self._read(path))) is not None:
                    return found
            except Damaged as reason:
                _set_aside(path, reason)
        return None

    def offer(self, state: Callable[[], State]) -> None:
        """See ``Slot``."""
        if self._checkpoints.leave():
            try:
                self.save(state())
            except UserError as error:  # a process that has to stop cannot wait for free disk space
                logger.warning("the checkpoint is lost: %s", error)
            raise Interrupted
        if self._checkpoints.due():
            self.save(state())

    def save(self, state: State) -> None:
        """See ``Slot``."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        facts = json.dumps(dict(state.facts))
        try:
            if self.path.is_file():
                self.path.replace(self.previous)
        except OSError as error:
            raise UserError(f"cannot write {self.previous}: {error.strerror or error}") from error
        files.write_tensors(self.path, tensors, {**self._owner, "facts": facts, "sum": _sum(tensors, facts)})
        self._checkpoints.note()

    def trim(self) -> None:
        """See ``Slot``."""
        self.previous.unlink(missing_ok=True)

    def _read(self, path: Path) -> State:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                said = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except SafetensorError as error:
            raise Damaged(str(error)) from None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        for name, ours in self._owner.items():
            if said.get(name) != ours:
                raise Foreign(f"its {name} is {said.get(name, 'not given')}, not {ours}")
        if said.get("sum") != _sum(tensors, said.get("facts", "")):
            raise Damaged("its contents do not match its checksum")
        return State(tensors, json.loads(said["facts"]))


def _sum(tensors: Mapping[str, Tensor], facts: str) -> str:
    """Return a checksum: after a power loss, a file can have the right length and wrong contents."""
    from torch import uint8

    total = zlib.crc32(facts.encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].flatten().view(uint8).numpy().data, total)
    return f"{total:08x}"


def _set_aside(path: Path, reason: Damaged) -> None:
    aside = path.with_suffix(".foreign" if isinstance(reason, Foreign) else ".damaged")
    logger.warning("%s was renamed to %s: %s", path, aside.name, " ".join(str(reason).split()))
    try:
        path.replace(aside)
    except OSError as error:
        raise UserError(f"cannot write {aside}: {error.strerror or error}") from error

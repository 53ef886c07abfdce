"""Atomic file writes, locks, the cache folder, and free disk space."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

NEEDED = 200 << 20  # free bytes before work continues: files of the largest cells take a tenth of this
PROBE = 1 << 20  # bytes written to check quotas, which the free space does not show
FULL = re.compile("No space left on device|Disk quota exceeded|database or disk is full", re.IGNORECASE)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it into place.

    A reader sees the old file or the new one, never a part of it. If the block raises, nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flush ``path`` to disk, if the file exists."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        os.fsync(file.fileno())


def clear_temporaries(folder: Path, name: str = "*") -> None:
    """Remove temporary files of writers of ``folder/name`` that were killed; no process may be writing it now."""
    for left in folder.glob(f".{name}.*.tmp*"):
        with contextlib.suppress(OSError):
            left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of any device as safetensors, atomically; the file has the permissions that umask allows.

    Raises:
        UserError: the file cannot be written, for example because the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # safetensors creates files that only their owner can read
        try:
            save_file(_apart(tensors), temporary, metadata)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OSError(str(error)) from error
        temporary.chmod(mode)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, each with memory of its own: safetensors refuses weights that are tied."""
    found: dict[str, Tensor] = {}
    places = set()
    for name, value in tensors.items():
        there = value.detach().cpu().contiguous()
        place = there.untyped_storage().data_ptr()
        found[name] = there.clone() if place in places else there
        places.add(place)
    return found


def read_json(path: Path) -> Any:
    """Read JSON. Raises UserError, naming the file, if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


class Locked(Exception):
    """Another process holds the lock."""


@contextlib.contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; the system releases it when the holder dies.

    Raises:
        Locked: another process holds it, and ``wait`` is False.
        UserError: its folder cannot be written.
    """
    from filelock import FileLock, Timeout  # imported only when something is written

    held = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise Locked(f"another process holds {path}") from None
    except OSError as error:
        raise UserError(f"cannot write {path.parent}: {error.strerror or error}") from error
    try:
        yield
    finally:
        held.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock; testing it does not disturb that process. An unreadable lock counts as held."""
    from filelock import FileLock, Timeout

    if not path.is_file():
        return False
    held = FileLock(path)
    try:
        held.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    held.release()
    return False


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~USER`` replaced by home folders.

    Raises:
        UserError: there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no home folder of that name") from None


def is_read_only(folder: Path) -> bool:
    """Whether a folder exists, but nothing can be written or locked in it, as in a cache that others have filled."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def cache_dir() -> Path:
    """The folder of decoded datasets and pre-trained models: ``$DDSWEEP_CACHE``, or the user's cache directory.

    It never changes a result, so it may come from the environment.

    Raises:
        UserError: it is in the home folder of a user who has none.
    """
    import platformdirs

    folder = Path(os.environ.get("DDSWEEP_CACHE") or platformdirs.user_cache_dir("ddsweep"))
    return expanded(folder)


def is_full(error: BaseException | None) -> bool:
    """Whether this error, or one that caused it, is a full disk or an exhausted quota."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or FULL.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def has_free_space(folder: Path) -> bool:
    """Whether ``NEEDED`` bytes (on a small disk, a tenth of the disk) are free and a file can be written."""
    while not folder.exists():
        folder = folder.parent
    try:
        disk = shutil.disk_usage(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE))
            file.flush()
    except OSError:
        return False
    return disk.free >= min(NEEDED, disk.total // 10)

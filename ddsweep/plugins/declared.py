"""Files that a plugin reads, such as weights, as its decorator declares them; their content is part of the digest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from ddsweep.errors import UserError

OPTION = "option:"
_CHUNK = 2**22


def check(files: Iterable[str], options: Iterable[str]) -> tuple[str, ...]:
    """Return the files that a decorator declares, each once.

    Args:
        files: paths, and ``option:NAME`` for an option whose value is a path; a single text is one of them.
        options: the options of the part.

    Raises:
        UserError: it is not a list of texts, or names an option that does not exist.
    """
    listed = (files,) if isinstance(files, str) else tuple(files)
    for one in listed:
        if not isinstance(one, str) or not one:
            raise UserError(f"files: {one!r} is not the path of a file, as text")
        if one.startswith(OPTION) and (name := one.removeprefix(OPTION)) not in (known := tuple(options)):
            raise UserError(f"files: {one}: has no option {name!r} (options: {', '.join(known) or 'none'})")
    return tuple(dict.fromkeys(listed))


def find(folder: Path, name: str) -> Path:
    """Return the path of a file that is given relative to the folder of the plugin's source.

    Raises:
        UserError: it does not exist.
    """
    path = folder / Path(name).expanduser()
    if not path.exists():
        raise UserError(f"files: {name}: no such file or folder ({path})")
    return path


def shown(name: str) -> str:
    """Return the name under which a file is in the digest: relative, so that another home folder changes nothing."""
    return Path(name).name if Path(name).expanduser().is_absolute() else Path(name).as_posix()


def digest(path: Path) -> str:
    """Return the hash of the content of a file, or of the names and contents of all files in a folder.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if not path.is_dir():
            return _hashed(path, version(path))
        listed = "".join(f"{one.relative_to(path).as_posix()} {digest(one)}\n" for one in _files(path))
        return blake2b(listed.encode(), digest_size=16).hexdigest()
    except OSError as error:
        raise UserError(f"files: {path}: cannot be read ({error.strerror})") from None


def version(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written: size, time and number; of a folder, those of all its files."""
    if path.is_dir():
        return tuple(number for one in _files(path) for number in version(one))
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@lru_cache(maxsize=1024)
def _hashed(path: Path, version: tuple[int, ...]) -> str:
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()

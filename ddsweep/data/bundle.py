"""Read files by name from an archive, whether packed (tar, zip) or unpacked; nothing is extracted to disk."""

from __future__ import annotations

import contextlib
import os
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO


class Bundle(ABC):
    """A collection of files that are read by name.

    Attributes:
        names: relative paths with ``/``, without hidden files, in the order that is fastest to read.
    """

    names: list[str]

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """Open the file ``name`` for reading in binary mode."""

    def find(self, ending: str) -> str:
        """Return the first name that equals ``ending`` or ends in ``/ending``.

        Matching the end is necessary because the name of the top folder differs between copies.

        Raises:
            ValueError: no name matches.
        """
        for name in self.names:
            if f"/{name}".endswith(f"/{ending}"):
                return name
        raise ValueError(f"it has no {ending}")


@contextlib.contextmanager
def opened(path: Path, enter: Callable[[str], bool] = lambda folder: True) -> Iterator[Bundle]:
    """Open a folder, a zip file or a tar file (compressed or not) as a bundle.

    Args:
        path: the archive.
        enter: for an unpacked archive, whether to list the folder with this name; ImageNet-1k has a thousand folders.

    Raises:
        OSError, tarfile.TarError, zipfile.BadZipFile: the archive cannot be read.
    """
    if path.is_dir():
        yield _Folder(path, enter)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            yield _Zip(packed)
    else:
        with tarfile.open(path) as tar:
            yield _Tar(tar)


class _Folder(Bundle):
    def __init__(self, root: Path, enter: Callable[[str], bool]) -> None:
        self._root, self.names = root, []
        for folder, below, found in os.walk(root, followlinks=True):
            below[:] = sorted(name for name in below if enter(name))
            inside = PurePosixPath(Path(folder).relative_to(root))
            self.names += [str(inside / name) for name in sorted(found) if not name.startswith(".")]

    def open(self, name: str) -> IO[bytes]:
        return (self._root / name).open("rb")


class _Zip(Bundle):
    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self.names = [one.filename for one in packed.infolist() if not one.is_dir() and _visible(one.filename)]

    def open(self, name: str) -> IO[bytes]:
        return self._packed.open(name)


class _Tar(Bundle):
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {one.name: one for one in tar.getmembers() if one.isreg() and _visible(one.name)}
        self.names = list(self._members)

    def open(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(self._members[name])
        assert file is not None, "regular files only"
        return file


def _visible(name: str) -> bool:
    return not PurePosixPath(name).name.startswith(".")

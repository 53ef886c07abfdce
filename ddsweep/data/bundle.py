"""Archives as readers of named files, whether packed (tar, zip) or unpacked; nothing is ever extracted to disk."""

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
    """Files by name.

    Attributes:
        names: relative paths with ``/``, hidden files left out, in the order in which they are read fastest.
    """

    names: list[str]

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """One file, for reading."""

    def find(self, ending: str) -> str:
        """The one name that is ``ending`` or ends in ``/ending``: the top folder has another name in every copy.

        Raises:
            ValueError: there is none.
        """
        for name in self.names:
            if f"/{name}".endswith(f"/{ending}"):
                return name
        raise ValueError(f"it has no {ending}")


@contextlib.contextmanager
def opened(path: Path, enter: Callable[[str], bool] = lambda folder: True) -> Iterator[Bundle]:
    """A folder, a zip file or a tar file (compressed or not) as a bundle.

    Args:
        path: of the archive.
        enter: of an unpacked archive, whether to list the folder of this name: ImageNet-1k has a thousand.

    Raises:
        OSError, tarfile.TarError, zipfile.BadZipFile: it cannot be read.
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

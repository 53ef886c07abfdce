"""Where a picture goes, and as what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.results.drawing import SUFFIXES


@dataclass(frozen=True)
class Output:
    """A folder for pictures under their own names, or a name for them.

    Attributes:
        folder: where to.
        stem: what they are called; empty: by what they show.
        suffix: the ending, which is the format: one of ``drawing.SUFFIXES``.
    """

    folder: Path
    stem: str = ""
    suffix: str = ".png"

    @classmethod
    def of(cls, path: Path) -> Output:
        """What ``--output`` means: a file if it ends as a picture does, else a folder.

        Raises:
            UserError: it ends like a file of another kind.
        """
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            return cls(path.parent, path.stem, suffix)
        if suffix in (".jpg", ".jpeg", ".gif", ".eps", ".ps", ".tif", ".tiff", ".webp", ".html", ".pgf"):
            raise UserError(f"--output {path}: no such format (allowed: {', '.join(SUFFIXES)}; or a folder)")
        return cls(path)

    def path(self, name: str, label: str = "") -> Path:
        """Where the picture ``name`` of the setting ``label`` goes: ``NAME-LABEL.png``, or ``STEM-LABEL.pdf``."""
        return self.folder / (file_name([self.stem or name, label]) + self.suffix)


def file_name(parts: Iterable[str]) -> str:
    """The words of ``parts`` as the name of a file, without its ending."""
    return "-".join(filter(None, (re.sub(r"[^\w-]+", "-", part) for part in parts)))

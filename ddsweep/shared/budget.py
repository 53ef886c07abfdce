"""How much disk the shared records may take: ``DDSWEEP_SHARE``."""

from __future__ import annotations

import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ddsweep import files
from ddsweep.errors import UserError
from ddsweep.shared import sets

VARIABLE = "DDSWEEP_SHARE"
DEFAULT = "10%"
CHUNK = 64 << 20  # bytes that a cell may write before the folder is measured again
_FORM = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>%|[MGT]B)", re.IGNORECASE)
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Budget:
    """A limit on the size of all sets of records together.

    Attributes:
        size: bytes; used if there is no ``share``.
        share: fraction of the disk space that would be free without any records.
    """

    size: int = 0
    share: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything may be kept."""
        return self.size > 0 or self.share > 0

    def limit(self, folder: Path) -> int:
        """Return the limit in bytes for the sets in ``folder``, which leaves the disk its reserve (``files.NEEDED``).

        Raises:
            OSError: the disk cannot be asked.
        """
        used, free = sets.total(folder), shutil.disk_usage(folder).free
        wanted = int(self.share * (used + free)) if self.share else self.size
        return max(0, min(wanted, used + free - files.NEEDED))

    def grant(self, folder: Path, needed: int) -> int:
        """Return how many more bytes a cell may write before it asks again; 0: none.

        If the limit is reached, sets that no process is using are removed, the least recently used first.

        Args:
            folder: the folder of all sets.
            needed: bytes of the next record.

        Raises:
            OSError: the disk cannot be asked.
        """
        limit = self.limit(folder)
        chunk = max(needed, min(CHUNK, limit // 20))
        missing = sets.total(folder) + chunk - limit
        for one in sets.listed(folder) if missing > 0 else ():
            if missing <= 0:
                break
            if sets.remove(one):
                missing -= one.size
        return chunk if missing <= 0 else 0


def parse(text: str) -> Budget:
    """Return the budget that ``off``, a size such as ``20GB``, or a share of the free disk such as ``10%`` names.

    Raises:
        UserError: it is none of these.
    """
    if text.strip().lower() == "off":
        return Budget()
    match = _FORM.fullmatch(text.strip())
    number = float(match["number"]) if match else -1.0
    if match and match["unit"] == "%" and number <= 100:
        return Budget(share=number / 100)
    if match and match["unit"] != "%" and math.isfinite(number):
        return Budget(size=int(number * _BYTES[match["unit"].upper()]))
    raise UserError(
        f"{VARIABLE}: unknown value {text!r}; write off, a size such as 20GB, or a share of the free disk such as 10%"
    )


def from_environment() -> Budget:
    """Return the budget that ``$DDSWEEP_SHARE`` names; 10% of the free disk if it is not set.

    Raises:
        UserError: the value is invalid.
    """
    return parse(os.environ.get(VARIABLE) or DEFAULT)

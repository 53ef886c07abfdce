"""Full disks: told from an exception, however it was wrapped, and waited for."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from pathlib import Path

NEEDED = 200 << 20  # bytes free before work goes on: the sets and pictures of the largest cells take a tenth of it
PROBE = 1 << 20  # bytes written to see whether a quota allows it, which free space does not tell
FULL = re.compile("No space left on device|Disk quota exceeded|database or disk is full", re.IGNORECASE)


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk or an exhausted quota is behind this error: its own, or the one that it came from."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or FULL.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def has_room(folder: Path) -> bool:
    """Whether ``NEEDED`` bytes (on a small disk, a tenth of it) are free here and a file can be written."""
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

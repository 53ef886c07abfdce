"""Whether a file lies on a network file system, where SQLite is not safe with several machines."""

from __future__ import annotations

import re
from pathlib import Path

NETWORK_FILESYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "smb3", "smbfs",
}  # fmt: skip


def network_filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system of ``path``; None on a local disk, or if the mounts cannot be read."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    best: tuple[int, str] = (-1, "")
    for line in lines:
        _, folder, kind, *_ = line.split(" ")
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)  # a space is \040 there
        if path.resolve().is_relative_to(folder) and len(folder) >= best[0]:  # a later mount covers an earlier one
            best = (len(folder), kind)
    return best[1] if best[1] in NETWORK_FILESYSTEMS else None

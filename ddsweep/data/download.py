"""Downloads that go on where they were cut off, and appear only when their checksum is right."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ddsweep.data.table import Archive

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte

Progress = Callable[[str, int, int | None], None]
"""Told the name of a file, the bytes that are here, and how many there will be if the server says so."""


class Failed(Exception):
    """An archive that could not be had; the message is the reason."""


def md5(path: Path) -> str:
    """MD5 of a file in hexadecimal: what the publishers give, and no defence against anybody's malice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(archive: Archive, path: Path, tell: Progress) -> None:
    """Download an archive to ``path`` from the first of its addresses that answers.

    What arrives is kept in ``path.part`` until it is whole, so that the next call asks only for the rest; it is renamed
    when its MD5 is the official one, and thrown away when it is not.

    Raises:
        Failed: no address gave all of it, or what came is not the official file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    reasons = []
    for url in archive.urls:
        try:
            _download(url, part, lambda here, total: tell(archive.name, here, total))
            break
        except (OSError, http.client.HTTPException) as error:
            plain = error.reason if type(error) is urllib.error.URLError else error
            reasons.append(str(plain) or type(error).__name__)
    else:
        raise Failed("; ".join(dict.fromkeys(reasons)))
    if archive.md5 and (found := md5(part)) != archive.md5:
        part.unlink()
        raise Failed(f"what came has md5 {found}, and was thrown away")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _download(url: str, part: Path, tell: Callable[[int, int | None], None]) -> None:
    """Until it is whole, however often the connection breaks, as long as each connection brings something."""
    while True:
        before = _size(part)
        try:
            return _connect(url, part, tell)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not before:
                raise
            if error.headers.get("Content-Range") == f"bytes */{before}":
                return None  # nothing is left: the last run was stopped just before the rename
            part.unlink()  # longer than the file on the server: it was of something else
        except (OSError, http.client.HTTPException):
            if _size(part) <= before:
                raise


def _connect(url: str, part: Path, tell: Callable[[int, int | None], None]) -> None:
    have = _size(part)
    headers = {"User-Agent": "ddsweep", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT and _begins_at(answer.headers, have)
        if not resumed:
            have = 0  # a server without ranges sends everything again
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                have += len(block)
                tell(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _begins_at(headers: http.client.HTTPMessage, offset: int) -> bool:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == offset


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

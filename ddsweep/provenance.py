"""The provenance of a result: versions of Python and libraries, and the commit of the code."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("ddsweep", "torch", "torchvision", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES}


@cache
def git() -> dict[str, Any]:
    """Return the commit of the checkout and whether it is modified; empty for an installed wheel."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return {}

    def ask(*words: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, encoding="utf-8", errors="replace", check=True
        )
        return answer.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}

"""Sweep files for tests: those that ship with ddsweep, and a minimal one."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def shipped() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))


def minimal(**changes: Any) -> dict[str, Any]:
    document = {
        "method": "grid",
        "parameters": {"alpha": {"values": [0, 1]}, "ipc": {"value": 10}},
        "x-ddsweep": {"title": "?", "axis": ["alpha"], "baseline": {"alpha": 0}},
    }
    return document | changes


def write(text: str) -> str:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return "mine.yaml"

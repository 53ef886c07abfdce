"""A sweep file of the user's own, whose cells take a tenth of a second, to be edited and launched again."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from tests.cli.conftest import TINY

NAME = "mine@demo"
SMALL = {name: int(value) for name, _, value in (setting.partition("=") for setting in TINY)}


def write(parameters: dict[str, Any], **small: int) -> str:
    """Write ``mine.yaml`` with these values of its parameters; ``small``: what the demo sets."""
    document = {
        "method": "grid",
        "parameters": {name: {"values": value} if isinstance(value, list) else {"value": value}
                       for name, value in parameters.items()},
        "x-ddsweep": {
            "title": "Mine", "axis": ["alpha"], "baseline": {"alpha": 0}, "pictures": ["accuracy"],
            "profiles": {"demo": {name: [value] for name, value in (SMALL | small).items()}},
        },
    }  # fmt: skip
    Path("mine.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return "mine.yaml"


def rows(text: str) -> list[dict[str, str]]:
    """The rows of ``results --format csv``."""
    return list(csv.DictReader(io.StringIO(text)))

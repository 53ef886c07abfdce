"""The contracts of a sweep's plugins (``ddsweep.testing``), checked once before it is launched.

Each part is checked in a process of its own, so that code which hangs or crashes is named, too. A part that has passed
is not checked again until its code, its files, its options or ddsweep's version change.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import ddsweep
from ddsweep import data, files, processes
from ddsweep.errors import UserError
from ddsweep.plugins import pins
from ddsweep.recipe import Recipe, parts
from ddsweep.registry.ptms import PTMS

SECONDS = 180.0  # a check takes 2 to 10 s on a busy laptop
FOLDER = "checked"  # within the cache


@dataclass(frozen=True, order=True)
class Check:
    """A part of a plugin as a sweep uses it.

    Attributes:
        kind: the kind of part, ``method``.
        name: its name.
        options: its options, as the recipe spells them; of a PTM, the size of the images in pixels.
        plugins: the pins of the code and files that it is.
    """

    kind: str
    name: str
    options: str
    plugins: str

    @property
    def title(self) -> str:
        """``method 'mine'``."""
        return f"{self.kind} {self.name!r}"

    @property
    def record(self) -> Path:
        """The file that says that it has passed."""
        text = json.dumps([asdict(self), ddsweep.__version__], sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return files.cache_dir() / FOLDER / f"{digest}.json"


def of(recipes: Iterable[Recipe]) -> list[Check]:
    """The parts of plugins that recipes use."""
    found = set()
    for recipe in recipes:
        if not recipe.plugins:
            continue
        for field, table, name in parts.used(recipe.model_dump()):
            if code := table.code(name):
                options = str(getattr(recipe, parts.OPTIONS[field])) if field in parts.OPTIONS else ""
                options = str(recipe.size) if table is PTMS else options
                found.add(Check(table.kind, name, options, _pins(recipe.plugins, code.name)))
    return sorted(found)


def run(recipes: Iterable[Recipe], say: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Check the parts of plugins that recipes use and that have not passed yet.

    Args:
        recipes: the recipes.
        say: gets a line before each check.
        seconds: how long a check may take.

    Raises:
        UserError: a part breaks its contract, its check crashed, or it took too long.
    """
    for check in of(recipes):
        if check.record.is_file() or _lacks_archives(check):
            continue
        say(f"checking {check.title} …")
        if violation := _violation(check, seconds):
            raise UserError(f"{violation}; to launch it anyway, add --no-check")
        check.record.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(check.record, asdict(check))


def _pins(text: str, plugin: str) -> str:
    """Of the plugins of a recipe, the code of one and the files that its options name."""
    own = {name: digest for name, digest in pins.parse(text).items() if name.partition(":")[0] == plugin}
    return pins.spell(own)


def _lacks_archives(check: Check) -> bool:
    """Whether it is a dataset whose files have to be downloaded first, which is not the check's business."""
    if check.kind != "dataset":
        return False
    row = data.info(check.name)
    return bool(row.archives) and not data.is_prepared(check.name, row.size)


def _violation(check: Check, seconds: float) -> str:
    """Run a check in a process of its own; return what it found, or an empty text."""
    python = processes.command(processes.sees_working_folder(), "ddsweep.testing")
    command = [*python, check.kind, check.name, check.options]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8", "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
            errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{check.title}: its check takes more than {seconds:g} s"
    if done.returncode == 0:
        return ""
    last = ([line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or [""])[-1].strip()
    return last if done.returncode == 1 and last.startswith(check.kind) else f"{check.title}: {last}"

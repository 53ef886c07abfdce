"""What the training before a distillation gets from its trial."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ddsweep import checked_files, files, rng
from ddsweep.checkpoints import Checkpoints
from ddsweep.errors import Damaged
from ddsweep.numerics import Choice

FOLDER = "trained"  # within the cache


@dataclass(frozen=True)
class Preparation:
    """What a function of ``registry.methods.Method.trains`` gets besides the recipe and the dataset.

    Attributes:
        progress: called with the name of a phase, what is done, and the total.
        checkpoints: when to save, and whether to stop.
        choice: the device, and how it computes; ``choice.of(flops)`` decides on compilation.
        plugins: the code of the recipe's plugins.
    """

    progress: Callable[[str, int, int], None]
    checkpoints: Checkpoints
    choice: Choice
    plugins: str = ""

    def once(self, name: str, train: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return tensors, on the CPU, that are trained once and stored in the cache for all cells that ask for them.

        Another agent that needs them at the same time waits. They are trained again if the code of a plugin of the
        recipe has changed, or their file is damaged.

        Args:
            name: names everything that they depend on besides that code: ``f"teacher {recipe.dataset} {recipe.arch}"``.
                The seed of the recipe belongs in it only if they depend on it.
            train: makes them; what it draws from the global generators is that of ``name``.

        Raises:
            UserError: the cache cannot be written, and does not have them intact.
        """
        path = self._path(name)
        if files.is_read_only(path.parent) and path.is_file():
            return checked_files.read_tensors(path)[0]
        with files.lock(path.with_suffix(".lock")):
            try:
                if path.is_file():
                    return checked_files.read_tensors(path)[0]
            except Damaged:
                path.unlink()
            with rng.seeded_globals(0, "once", name):
                made = {part: value.detach().cpu().contiguous() for part, value in train().items()}
            checked_files.write_tensors(path, made, {"name": name, "plugins": self.plugins})
            return made

    def _path(self, name: str) -> Path:
        digest = hashlib.blake2b(json.dumps([name, self.plugins]).encode(), digest_size=8).hexdigest()
        return files.cache_dir() / FOLDER / f"{digest}.safetensors"

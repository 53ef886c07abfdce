"""The result of a trial, and its file ``runs/KEY/result.json``."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ddsweep import checked_files
from ddsweep.errors import Damaged, UserError
from ddsweep.recipe import Recipe, stored
from ddsweep.results import run_files
from ddsweep.results.run_files import RESULT

LATER = ("classes", "files", "group_accuracy", "made", "shared")  # fields that results of older versions do not have
ROUNDING = 1e-9


@dataclass(frozen=True)
class Result:
    """The result of a trial. Accuracies are fractions of the full test set.

    Attributes:
        recipe: the experiment.
        accuracies: one per evaluated network, by architecture, in the order of ``eval_archs``.
        class_accuracy: per class, averaged over the networks, by architecture.
        seconds: duration of ``pretrain``, ``distill`` and ``evaluate``, as they were: shorter if another cell had
            computed what cells share.
        shared: how many tensors that cells share were ``read`` and ``computed``, by kind (``ddsweep.shared``).
        device: a readable name of the device.
        versions: of Python and the numerical libraries.
        git: commit of the code and whether it was modified; empty outside a checkout.
        data: checksum of every dataset that was read.
        made: what the images of a biased target were made from; empty: it is not biased.
        classes: class names of the target in label order; empty: not recorded.
        group_accuracy: of a dataset with attributes, by architecture: the accuracy on ``aligned`` and ``conflicting``
            test images (None if there is none) and on the ``worst_group``, averaged over the networks.
        files: checksums of the other files in the run folder, by name (``run_files``); empty: not recorded.
        state: ``failed`` is a result too (a loss that became NaN or infinite) and is not retried.
        reason: why it failed.
    """

    recipe: Recipe
    accuracies: dict[str, list[float]] = field(default_factory=dict)
    class_accuracy: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    made: str = ""
    classes: list[str] = field(default_factory=list)
    group_accuracy: dict[str, dict[str, float | None]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    shared: dict[str, dict[str, int]] = field(default_factory=dict)
    state: Literal["complete", "failed"] = "complete"
    reason: str | None = None

    @property
    def headline(self) -> list[float]:
        """The accuracies of the distillation's own network (``arch``) if it is evaluated, else of the first one."""
        return self.accuracies.get(self.recipe.arch) or next(iter(self.accuracies.values()), [])

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy of the distillation's own network (``arch``), else of the first; None for a failed trial.

        ``accuracies`` has those of all evaluated networks.
        """
        return statistics.fmean(self.headline) if self.headline else None

    @property
    def accuracy_std(self) -> float | None:
        """Standard deviation of what ``accuracy`` is the mean of, ddof 0 as in the field's published tables."""
        return statistics.pstdev(self.headline) if self.headline else None

    def summary(self, classes: tuple[str, ...] = ()) -> dict[str, float]:
        """The final metrics under the names that trackers and dashboards share."""
        if not self.headline:
            return {}
        means = {f"accuracy/{arch}": statistics.fmean(values) for arch, values in self.accuracies.items()}
        per_class = self.class_accuracy.get(self.recipe.arch) or next(iter(self.class_accuracy.values()), [])
        names = self.classes or classes
        named = {f"class_accuracy/{name}": value for name, value in zip(names, per_class, strict=False)}
        groups = {f"group_accuracy/{name}": value for name, value in self.groups.items() if value is not None}
        seconds = {f"seconds/{phase}": value for phase, value in self.seconds.items()}
        overall = {"accuracy": self.accuracy or 0.0, "accuracy_std": self.accuracy_std or 0.0}
        return overall | means | named | groups | seconds

    @property
    def groups(self) -> dict[str, float | None]:
        """The accuracy by group of the architecture that is reported."""
        return self.group_accuracy.get(self.recipe.arch) or next(iter(self.group_accuracy.values()), {})

    @property
    def attributes(self) -> dict[str, Any]:
        """What a queue keeps of a result: its summary, the accuracy of every network and by group, and the device."""
        groups = {"group_accuracy": self.group_accuracy} if self.group_accuracy else {}
        return {**self.summary(), "accuracies": self.accuracies, **groups, "device": self.device}

    def write(self, folder: Path) -> Result:
        """Write ``result.json``, the last file of a run: if it exists, the run is complete.

        Returns:
            The result as written, with the checksums of the files that are in the folder now.
        """
        recorded = replace(self, files=run_files.checksums(folder))
        values = asdict(recorded) | {"recipe": self.recipe.model_dump()}
        head = {"key": self.recipe.key(), "recipe": values.pop("recipe")}
        numbers = {"accuracy": self.accuracy, "accuracy_std": self.accuracy_std, "n": len(self.headline)}
        checked_files.write_json(folder / RESULT, head | numbers | values)
        return recorded


def read(folder: Path) -> Result | None:
    """Read the result in a run folder; None if the run has not finished.

    Raises:
        Damaged: the file is damaged, was written by another version of ddsweep, or belongs to another folder.
        UserError: it cannot be read.
    """
    try:
        stat = (folder / RESULT).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {folder / RESULT}: {error.strerror or error}") from error
    return _read(folder, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=4096)  # a command reads a result several times: for its state, its table, its figures
def _read(folder: Path, version: tuple[int, int, int]) -> Result:
    return parse(checked_files.read_json(folder / RESULT), folder)


def parse(values: Any, folder: Path) -> Result:
    """Parse what ``write`` wrote to ``folder``, whose name is the key.

    Raises:
        Damaged, UserError: as ``read``.
    """
    place = folder / RESULT
    try:
        recipe = stored(values["recipe"])
        wanted = [name for name in Result.__dataclass_fields__ if name != "recipe"]
        fields = {name: values[name] for name in wanted if name in values or name not in LATER}
        result = Result(recipe=recipe, **fields)
    except (KeyError, TypeError, UserError) as error:
        raise Damaged(f"{place} is damaged, or was written by another version of ddsweep ({error})") from None
    if recipe.key() != values.get("key") or recipe.key() != folder.name:
        raise Damaged(f"{place} belongs to {values.get('key')}, not to {folder.name}")
    if not _agree(result.accuracy, values.get("accuracy")):
        raise Damaged(f"{place} is damaged: its accuracy is not the mean of its accuracies")
    return result


def _agree(mean: float | None, recorded: Any) -> bool:
    """Whether the recorded mean is that of the accuracies; this also finds damage in files without a checksum."""
    if mean is None or not isinstance(recorded, int | float):
        return mean is recorded
    return math.isclose(mean, recorded, abs_tol=ROUNDING)

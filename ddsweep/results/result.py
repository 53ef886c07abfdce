"""The result of a trial, and its file ``runs/KEY/result.json``."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ddsweep import files, plugins
from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make


@dataclass(frozen=True)
class Result:
    """The result of a trial. Accuracies are fractions of the full test set.

    Attributes:
        recipe: the experiment.
        accuracies: one per evaluated network, by architecture.
        class_accuracy: per class, averaged over the networks, by architecture.
        seconds: duration of ``pretrain``, ``distill`` and ``evaluate``.
        device: a readable name of the device.
        versions: of Python and the numerical libraries.
        git: commit of the code and whether it was modified; empty outside a checkout.
        data: checksum of every dataset that was read.
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
    state: Literal["complete", "failed"] = "complete"
    reason: str | None = None

    @property
    def headline(self) -> list[float]:
        """The accuracies that are reported: those of the distillation network, or else of the first architecture."""
        return self.accuracies.get(self.recipe.arch) or next(iter(self.accuracies.values()), [])

    @property
    def accuracy(self) -> float | None:
        """Mean of ``headline``; None for a failed trial."""
        return statistics.fmean(self.headline) if self.headline else None

    @property
    def accuracy_std(self) -> float | None:
        """Standard deviation of ``headline``, ddof 0 as in the field's published tables."""
        return statistics.pstdev(self.headline) if self.headline else None

    def summary(self, classes: tuple[str, ...] = ()) -> dict[str, float]:
        """The final metrics under the names that trackers and dashboards share."""
        if not self.headline:
            return {}
        means = {f"accuracy/{arch}": statistics.fmean(values) for arch, values in self.accuracies.items()}
        per_class = self.class_accuracy.get(self.recipe.arch) or next(iter(self.class_accuracy.values()), [])
        named = {f"class_accuracy/{name}": value for name, value in zip(classes, per_class, strict=False)}
        seconds = {f"seconds/{phase}": value for phase, value in self.seconds.items()}
        return {"accuracy": self.accuracy or 0.0, "accuracy_std": self.accuracy_std or 0.0} | means | named | seconds

    def write(self, folder: Path) -> None:
        """Write ``result.json``, the last file of a run: if it exists, the run is complete."""
        values = asdict(self) | {"recipe": self.recipe.model_dump()}
        head = {"key": self.recipe.key(), "recipe": values.pop("recipe")}
        numbers = {"accuracy": self.accuracy, "accuracy_std": self.accuracy_std, "n": len(self.headline)}
        files.write_json(folder / "result.json", head | numbers | values)


def read(folder: Path) -> Result | None:
    """Read the result in a run folder; None if the run has not finished.

    Raises:
        UserError: the file is damaged or was written by another version of ddsweep.
    """
    path = folder / "result.json"
    return parse(files.read_json(path), folder) if path.is_file() else None


def parse(values: Any, folder: Path) -> Result:
    """Parse what ``write`` wrote to ``folder``, whose name is the key.

    Raises:
        UserError: it was written by another version of ddsweep or with a plugin that is not installed, or belongs to
            another folder.
    """
    try:
        recipe = make(values["recipe"])
        fields = {name: values[name] for name in Result.__dataclass_fields__ if name != "recipe"}
        result = Result(recipe=recipe, **fields)
    except plugins.Missing as error:
        raise UserError(f"{folder}: {error}") from None
    except (KeyError, TypeError, UserError) as error:
        raise UserError(f"{folder}: was written by another version of ddsweep ({error}); move it away") from None
    if recipe.key() != values.get("key") or recipe.key() != folder.name:
        raise UserError(f"{folder}: its result.json belongs to {values.get('key')}, not to {folder.name}; move it away")
    return result

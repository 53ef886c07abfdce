"""What a matching loss takes as ``shared``: it opens the sets of records of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ddsweep.shared import budget as budgets
from ddsweep.shared import facts, sets
from ddsweep.shared.budget import Budget
from ddsweep.shared.opened import OpenSet
from ddsweep.shared.records import Records
from ddsweep.shared.watched import Watched

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.numerics import Numerics


class Sharing:
    """Opens the sets of records that a cell shares with others.

    Args:
        facts: what all its records depend on, as JSON values.
        device: where the tensors are.
        budget: what all sets together may take; default: nothing, so that nothing is shared.
        watches: whether what computes may be a plugin's code, see ``Watched``.
        folder: the folder of all sets; default: in the cache folder.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        device: torch.device,
        budget: Budget | None = None,
        *,
        watches: bool = False,
        folder: Path | None = None,
    ) -> None:
        self._facts, self._device = dict(facts), device
        self._budget, self._watches = budget or Budget(), watches
        self._folder = folder or sets.root()
        self._opened: list[tuple[str, Records]] = []

    @classmethod
    def off(cls) -> Sharing:
        """Return one that shares nothing."""
        return cls({}, torch.device("cpu"))

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        numerics: Numerics,
        cell: Mapping[str, Any],
        plugins: str = "",
        *,
        budget: Budget | None = None,
        folder: Path | None = None,
    ) -> Sharing:
        """Return the sharing of a trial.

        Args:
            dataset: the real images.
            numerics: how the trial computes.
            cell: the recipe fields that matter (``recipe.real_branch``).
            plugins: the pins of the plugins whose code can change what is shared; empty: none.
            budget: what all sets together may take; default: ``$DDSWEEP_SHARE``.
            folder: the folder of all sets; default: in the cache folder.

        Raises:
            UserError: the value of the variable is invalid.
        """
        device = dataset.labels.device
        found = {
            "dataset": dataset.name,
            "checksum": dataset.checksum,
            "size": dataset.size,
            "zca": dataset.whitening is not None,
            "cell": dict(cell),
            "plugins": plugins,
            "precision": numerics.precision,
            "compile": numerics.compile,
            "vectorized": numerics.vectorized,
            **facts.of_code(),
            **facts.of_machine(device, numerics.compile),
        }
        budget = budgets.from_environment() if budget is None else budget
        return cls(found, device, budget, watches=bool(plugins), folder=folder)

    def records(self, kind: str, net: nn.Module | None = None, **more: Any) -> Records:
        """Open a set of records; it is closed with this object.

        Args:
            kind: what the tensors are, such as ``dm-means``: letters, digits and hyphens.
            net: the network that computes them, if any.
            more: what they depend on besides the facts of the cell, as JSON values: settings of the method such as
                ``batch_real``.
        """
        stored = None
        if self._budget:
            every = {"kind": kind, **self._facts, **more}
            stored = OpenSet(sets.path_of(self._folder, kind, every), every, self._budget)
        opened = Records(stored, self._device, watched=Watched(net) if self._watches else None)
        self._opened.append((kind, opened))
        return opened

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many tensors of each kind this cell has read and computed."""
        found: dict[str, dict[str, int]] = {}
        for kind, one in self._opened:
            sums = found.setdefault(kind, {"read": 0, "computed": 0})
            sums["read"] += one.read
            sums["computed"] += one.computed
        return found

    def close(self) -> None:
        """Release all files; what asks for tensors computes them from now on."""
        for _, one in self._opened:
            one.close()

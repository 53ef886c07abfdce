"""What ``clean`` knows of launched sweeps and leases, and the removing itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ddsweep.backends.optuna.backend import OptunaStore
    from ddsweep.housekeeping import Item, Survey, Uses, Work
    from ddsweep.recipe import Recipe


@dataclass
class Outcome:
    """What became of the items: gone; kept, with the reason; not to be removed, with the system's reason."""

    gone: list[Item] = field(default_factory=list)
    kept: list[tuple[Item, str]] = field(default_factory=list)
    failed: list[tuple[Item, str]] = field(default_factory=list)

    def record(self, held: Sequence[Item]) -> dict[str, Any]:
        """For scripts; ``held`` were never tried."""
        from ddsweep.cli import clean_view

        kept = [*((one, one.held) for one in held), *self.kept]
        return {
            "freed_bytes": sum(one.disk for one in self.gone),
            "removed": [clean_view.of(one) for one in self.gone],
            "kept": [clean_view.of(one) | {"held": why} for one, why in kept],
            "failed": [clean_view.of(one) | {"reason": why} for one, why in self.failed],
        }


class Cleaning:
    """One call of ``clean``.

    Attributes:
        why: why the storage cannot be asked; empty: it can, or there is none.
    """

    def __init__(self, runs: Path, storage: str | None) -> None:
        self.runs, self._storage = runs.absolute(), storage
        self.cache, self.why = files.cache_dir().absolute(), ""
        self._uses = self._asked()

    def survey(self) -> Survey:
        """What lies here."""
        from ddsweep import housekeeping

        return housekeeping.survey(self.runs, self.cache, self._uses, self._work())

    def insist(self) -> None:
        """Raise UserError if it cannot be known what agents have in their hands."""
        if self.why:
            raise UserError(f"clean: nothing is removed while agents cannot be asked; {self.why}")

    def remove(self, items: Sequence[Item]) -> Outcome:
        """Remove items, except what an agent has turned to since they were listed."""
        from ddsweep import housekeeping

        outcome, work = Outcome(), self._fresh()
        for item in items:
            root = self.runs if item.path.is_relative_to(self.runs) else self.cache
            try:
                why = work.holds(item) or housekeeping.remove(item, root, self._fresh)
            except UserError as error:
                outcome.failed.append((item, str(error)))
                continue
            if why:
                outcome.kept.append((item, why))
            else:
                outcome.gone.append(item)
        return outcome

    def _work(self) -> Work:
        from ddsweep import housekeeping

        return housekeeping.at_work(self.runs, self._uses)

    def _fresh(self) -> Work:
        """What agents have in their hands now; the leases too."""
        self._uses = self._asked()
        self.insist()
        return self._work()

    def _asked(self) -> Uses:
        """The launched sweeps that this folder remembers and those in the storage, and the leases that live."""
        from ddsweep.backends.local import FolderStore
        from ddsweep.cli import stores
        from ddsweep.housekeeping import Uses

        folder = FolderStore(self.runs)
        sweeps: dict[str, set[str]] = defaultdict(set)
        names, leased = set(folder.names()), dict[str, "Recipe | None"]()
        try:
            for name in folder.names():
                _add(sweeps, name, folder)
            if self._storage is not None or (self.runs / "ddsweep.db").is_file():
                store = stores.connect(self.runs, self._storage)
                try:
                    names |= set(store.names())
                    for name in store.names():
                        _add(sweeps, name, store)
                    leased = _leased(store)
                finally:
                    store.close()
        except UserError as error:
            self.why = str(error)
        return Uses({key: tuple(sorted(found)) for key, found in sweeps.items()}, frozenset(names), leased)


def _add(sweeps: dict[str, set[str]], name: str, store: Any) -> None:
    for point in store.load_definition(name).points:
        sweeps[point.key].add(name)


def _leased(store: OptunaStore) -> dict[str, Recipe | None]:
    """The cells of agents that were heard of lately, with their recipes."""
    from ddsweep.backends.optuna import claims
    from ddsweep.sweep import Sweep

    found: dict[str, Recipe | None] = {}
    for one in store.database.run(claims.running, "read"):
        if one.silent <= store.lease.grace:
            try:
                sweep = Sweep.from_definition(store.load_definition(one.sweep).definition)
                found[one.point.key] = sweep.recipe(one.point.params)
            except UserError:  # of another version
                found[one.point.key] = None
    return found

"""What a sweep cost, and where its numbers come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ddsweep.results import layout

if TYPE_CHECKING:
    from ddsweep.report.material import Material

PHASES = {"pretrain": "training PTMs", "distill": "distillation", "evaluate": "evaluation"}


@dataclass(frozen=True)
class Cost:
    """What was computed.

    Attributes:
        total: time of all finished cells together, in words.
        wall: from the first start to the last end, in words; empty if the cells were computed before that.
        phases: name, time, share of the whole in per cent.
        devices: device, cells, time.
    """

    total: str
    wall: str
    phases: list[tuple[str, str, float]]
    devices: list[tuple[str, int, str]]


def cost(material: Material) -> Cost:
    """Of the finished cells, whichever sweep they were computed for."""
    results = list(material.found.values())
    phases = {phase: sum(result.seconds.get(phase, 0.0) for result in results) for phase in PHASES}
    total = sum(sum(result.seconds.values()) for result in results)
    devices = {
        name: [sum(result.seconds.values()) for result in results if result.device == name]
        for name in dict.fromkeys(result.device for result in results)
    }
    wall, longest = _wall(material), max((sum(result.seconds.values()) for result in results), default=0.0)
    return Cost(
        total=duration(total),
        wall=duration(wall) if wall >= longest else "",
        phases=[(PHASES[name], duration(taken), 100 * taken / total) for name, taken in phases.items() if taken],
        devices=[(name or "unknown", len(some), duration(sum(some))) for name, some in devices.items()],
    )


def _wall(material: Material) -> float:
    """Seconds from the first start to the last end, as the storage knows them; 0 if it does not."""
    begun = [row.started for row in material.status.rows if row.started]
    ended = [row.finished for row in material.status.rows if row.finished]
    return (max(ended) - min(begun)).total_seconds() if begun and ended else 0.0


def duration(seconds: float) -> str:
    """``41 s``, ``12 min 5 s``, ``3 h 20 min``, ``2 d 4 h``: two units at most."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = timedelta(seconds=round(seconds))
    hours, minutes, rest = whole.seconds // 3600, whole.seconds // 60 % 60, whole.seconds % 60
    parts = [(whole.days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def provenance(material: Material) -> list[tuple[str, list[str]]]:
    """Everything that the results say of their origin; several values of one kind are all named, and counted."""
    results = list(material.found.values())
    rows = [("code", _counted(_commit(result.git) for result in results))]
    for library in dict.fromkeys(name for result in results for name in result.versions):
        rows.append((library, _counted(result.versions.get(library, "unknown") for result in results)))
    rows.append(("device", _counted(result.device or "unknown" for result in results)))
    for dataset in dict.fromkeys(name for result in results for name in result.data):
        rows.append((f"data: {dataset}", _counted(r.data[dataset] for r in results if dataset in r.data)))
    return [(name, values) for name, values in rows if values]


def cells(material: Material) -> list[dict[str, Any]]:
    """A record per cell."""
    records = []
    for cell in material.sweep.cells:
        result, row, absence = material.found.get(cell.key), material.rows.get(cell.key), material.absence(cell)
        records.append({
            "key": cell.key, "title": cell.recipe.title(), "state": absence.state if absence else "done",
            "accuracy": layout.mean_std(result.accuracy, result.accuracy_std) if result and result.headline else "",
            "seconds": duration(sum(result.seconds.values())) if result and result.seconds else "",
            "agent": row.agent if row else "",
        })  # fmt: skip
    return records


def _commit(git: dict[str, Any]) -> str:
    if not git.get("commit"):
        return "an installed package, no checkout"
    return f"{git['commit']}{' with uncommitted changes' if git.get('dirty') else ''}"


def _counted(values: Iterable[str]) -> list[str]:
    """Every value once; how many cells have it, if there are several."""
    counts = Counter(values)
    return [value if len(counts) == 1 else f"{value} ({count} cells)" for value, count in counts.items()]

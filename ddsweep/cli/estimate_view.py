"""An estimate in words, and numbers as people say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ddsweep.device import Slot
    from ddsweep.estimate.outlook import Crew, Outlook
    from ddsweep.sweep import Sweep

DAY, YEAR = 86_400.0, 365.25 * 86_400.0
ABSURD = 30 * DAY  # on a CPU: somebody should hear of another profile


def lines(sweep: Sweep, view: Outlook, agents: Crew, slot: Slot) -> Iterator[str]:
    """The estimate for people."""
    total = len(view.cells) + view.ended
    yield f"{sweep.full_name} · {sweep.title} · {_count(total, 'cell')}"
    if not view.cells:
        yield f"every cell is done ({duration(view.saving.done)} of work): ddsweep results {sweep.full_name}"
        return
    yield f"measured here, on {slot.device}:"
    for share in view.shares:
        if share.unit == "reading" and share.seconds < 1:
            continue
        yield f"  {share.title[:50]:50}  {speed(share.step, share.unit):>22}   {duration(share.seconds):>12} in all"
    least, most = min(view.cells.values()), max(view.cells.values())
    yield f"per cell   {duration(least)} to {duration(most)}"
    on_gpu = slot.device.startswith("cuda")
    cells = _count(len(view.cells), "cell") + (f" + {view.ended} done" if view.ended else "")
    hours = f"{amount(view.device_seconds / 3600)} {'GPU' if on_gpu else 'CPU'}-hours"
    yield f"{cells}, {hours} → about {duration(view.wall)} on {_who(agents, slot)}; disk {size(view.disk)}"
    if found := view.trainings:
        yield f"training   {_count(len(found), 'PTM')} ({duration(sum(found.values()))}), of that"
    if view.shared:
        yield f"shared     {_count(view.shared, 'cell')} of these, with other sweeps"
    if view.saving.total >= 1:
        yield f"saved      {duration(view.saving.total)}: {_saving(view)}"
    yield from (f"not counted: {line}" for line in view.lacking)
    if not on_gpu and view.wall > ABSURD:
        yield "too long for this device; try --profile quick or demo, or a GPU"


def _who(agents: Crew, slot: Slot) -> str:
    if slot.device.startswith("cuda"):
        each = f" × {agents.per_device} agents" if agents.per_device > 1 else ""
        return f"{_count(agents.devices, 'GPU')}{each}"
    return slot.device + (f" × {agents.agents} agents" if agents.agents > 1 else "")


def _saving(view: Outlook) -> str:
    parts = {
        f"{_count(view.ended, 'cell')} done before": view.saving.done,
        "PTMs trained once for all cells": view.saving.ptms,
        "features looked at once": view.saving.features,
    }
    return ", ".join(f"{what} {duration(seconds)}" for what, seconds in parts.items() if seconds >= 1)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def speed(step: float, unit: str) -> str:
    """``212 steps/s``, or ``3.5 s per step``."""
    if step >= 1 or unit == "reading":
        return f"{amount(step)} s per {unit}"
    plural = f"{unit}es" if unit.endswith(("s", "ch")) else f"{unit}s"
    return f"{amount(1 / max(step, 1e-9))} {plural}/s"


def amount(number: float) -> str:
    """Three digits at most: ``212``, ``11.3``, ``0.041``."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``41 s``, ``9 min``, ``5 h 10 min``, ``12 days``, ``3.2 years``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 10 * 60:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * DAY:
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds / DAY:.0f} days" if seconds < YEAR else f"{amount(seconds / YEAR)} years"


def size(number: float) -> str:
    """Bytes for people: ``1.1 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= factor:
            return f"{amount(number / factor)} {unit}"
    return f"{amount(number / 1e3)} kB"

"""``ddsweep estimate``: forecast the cost of a sweep from a few measured steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import RUNS, Compile, Device, Json, Name, PerGpu, Profile, Runs, Settings, Workers, settings
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ddsweep.device import Slot
    from ddsweep.estimate.forecast import Crew, Outlook
    from ddsweep.estimate.work import Kind
    from ddsweep.estimate.workers import Found, Order
    from ddsweep.sweep import Sweep

HowMany = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="COUNT|LIST",
        help="Number of GPUs like this machine's, such as 4; or a list as for launch, such as 0-3 or all.",
    ),
]
Seconds = Annotated[
    float, typer.Option("--seconds", min=0.01, help="Measuring time per kind of work (about 18 times this in total).")
]
IN_ALL = 18  # times the seconds for one kind: what measuring takes at most, but for single steps that take longer
DAY, YEAR = 86_400.0, 365.25 * 86_400.0
ABSURD = 30 * DAY  # on a CPU: somebody should hear of another profile


def estimate(
    name: Name,
    profile: Profile = None,
    set_: Settings = None,
    device: Device = "auto",
    workers: Workers = None,
    gpus: HowMany = None,
    per_gpu: PerGpu = None,
    runs: Runs = RUNS,
    compile_: Compile = "auto",
    seconds: Seconds = 5.0,
    as_json: Json = False,
) -> None:
    """Measure a few steps on this machine and forecast the whole sweep: hours, disk space, PTMs to train.

    Finished cells and trained PTMs are not counted. Nothing is written to disk.
    """
    from ddsweep import sweep
    from ddsweep.estimate import forecast, work
    from ddsweep.estimate.costs import Prices

    one = sweep.load(name, profile, settings(set_))
    left = forecast.Left.of(one, runs)
    agents, slot = crew(device, workers, gpus, per_gpu)
    wanted = left.kinds
    asked = order(slot, agents, min(seconds, IN_ALL * seconds / max(1, len(wanted))), in_process=workers == 0)
    found, start = _measured(wanted, asked) if wanted else ({}, 0.0)
    view = forecast.outlook(left, runs, agents, Prices(found), start)
    if as_json:
        measured = [{"title": kind.title, **work.finding_as_json(finding)} for kind, finding in found.items()]
        record = {"sweep": one.full_name, "device": slot.device, "devices": agents.devices, "agents": agents.agents}
        typer.echo(json.dumps({**record, **view.as_dict(), "measured": measured}, indent=2, ensure_ascii=False))
        return
    for line in lines(one, view, agents, slot):
        typer.echo(line)


def crew(device: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> tuple[Crew, Slot]:
    """Who would work, and where to measure.

    Raises:
        UserError: a device that is not there, or options that contradict each other.
    """
    from ddsweep import device as devices
    from ddsweep.estimate.forecast import Crew
    from ddsweep.launchers import plan

    if gpus and gpus.isdecimal():  # GPUs that need not be here: this one stands for them
        if workers is not None:
            raise UserError("gpus: a number says how many agents there are, and so does --workers; give one of them")
        if int(gpus) < 1:
            raise UserError("gpus: 0 GPUs never finish (allowed: at least 1, or a list as in launch: 0-3, all)")
        return Crew(int(gpus), per_gpu or 1), devices.gpus("all")[0]
    slots = plan.slots(device, workers, gpus, per_gpu)
    places = len(plan.summary(slots))
    return Crew(places, -(-len(slots) // places)), slots[0]


def order(slot: Slot, agents: Crew, seconds: float, in_process: bool) -> Order:
    """Measure as an agent of a launch would work."""
    from ddsweep import device as devices
    from ddsweep.estimate.workers import Order
    from ddsweep.launchers import plan
    from ddsweep.launchers.local import SURROUNDINGS

    if in_process:
        return Order(slot.here or slot.device, seconds)
    here = min(agents.devices, len(devices.visible())) if slot.device.startswith("cuda") else 1
    threads = max(1, plan.cores() // (here * agents.per_device))
    environment = {**SURROUNDINGS, "OMP_NUM_THREADS": str(threads), **slot.environment}
    return Order(slot.device, seconds, agents.per_device, threads, environment)


def _measured(wanted: Sequence[Kind], order: Order) -> tuple[Found, float]:
    """Measure, and show on a terminal what is being measured."""
    from rich.console import Console

    from ddsweep.estimate.workers import measure

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        return measure(wanted, order)
    with console.status("starting") as status:
        return measure(
            wanted, order, lambda index, title: status.update(f"measuring {index + 1}/{len(wanted)}: {title}")
        )


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

"""``ddsweep estimate``: forecast the cost of a sweep from a few measured steps."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep import again, text
from ddsweep.cli import console
from ddsweep.cli.options import (
    RUNS,
    Compile,
    Device,
    Json,
    Name,
    PerGpu,
    Profile,
    Runs,
    Settings,
    Storage,
    Workers,
    settings,
)
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ddsweep.device import Slot
    from ddsweep.estimate.forecast import Crew, Outlook
    from ddsweep.estimate.work import Finding, Kind
    from ddsweep.estimate.workers import Measured, Order
    from ddsweep.sweep import Sweep

HowMany = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="COUNT|LIST",
        help="Forecast for this many GPUs like this machine's (4), or for a list as in launch (0-3, all). A single "
        "number is a count, unlike in launch.",
    ),
]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds", min=0.01, max=86400.0, help="Measuring time in all, shared by the kinds of work of the sweep."
    ),
]
TOO_LONG = 30 * text.DAY  # on a CPU: the output then suggests another profile


def estimate(
    name: Name,
    profile: Profile = None,
    set_: Settings = None,
    device: Device = "auto",
    workers: Workers = None,
    gpus: HowMany = None,
    per_gpu: PerGpu = None,
    runs: Runs = RUNS,
    storage: Storage = None,
    compile_: Compile = "auto",
    seconds: Seconds = 60.0,
    as_json: Json = False,
) -> None:
    """Measure a few steps on this machine and forecast the whole sweep: hours, disk space, PTMs to train.

    Finished cells and trained PTMs are not counted. Nothing is written to disk.
    """
    from ddsweep import launches, plugins, recipe
    from ddsweep.estimate import forecast, work
    from ddsweep.estimate.costs import Prices
    from ddsweep.estimate.workers import Measured

    began = time.monotonic()
    plugins.load()
    loaded = launches.planned(name, profile, settings(set_), runs, storage)
    recipe.verify(loaded.recipes)
    left = forecast.Left.of(loaded, runs)
    agents, slot = crew(device, workers, gpus, per_gpu, loaded)
    wanted = left.kinds
    seconds = max(seconds / 2, seconds - (time.monotonic() - began))  # choosing the number of agents may take a while
    found = _measured(wanted, order(slot, agents, seconds, in_process=workers == 0)) if wanted else Measured({}, 0.0)
    outlook = forecast.outlook(left, runs, agents, Prices(found.found, found.guessed), found.start)
    if as_json:
        measured = [
            {"title": kind.title, "measured": kind not in found.guessed, **work.finding_as_json(finding)}
            for kind, finding in found.found.items()
        ]
        record = {"sweep": loaded.full_name, "device": slot.device, "devices": agents.devices, "agents": agents.agents}
        console.write_json({**record, **outlook.as_dict(), "measured": measured})
        return
    for line in lines(loaded, outlook, agents, slot):
        console.echo(line)


def crew(
    device: str, workers: int | None, gpus: str | None, per_gpu: int | None, sweep: Sweep | None = None
) -> tuple[Crew, Slot]:
    """The agents that would run, and the slot to measure on.

    Raises:
        UserError: a device does not exist, or options contradict each other.
    """
    from ddsweep import device as devices
    from ddsweep.estimate.forecast import Crew
    from ddsweep.launchers import plan

    if gpus and gpus.isdecimal():  # they need not exist: this machine's first GPU stands for them
        if workers is not None:
            raise UserError("gpus: a number and --workers both set the number of agents; give one of them")
        if int(gpus) < 1:
            raise UserError("gpus: must be at least 1, or a list as for launch, such as 0-3 or all")
        return Crew(int(gpus), per_gpu or 1), devices.gpus("all")[0]
    slots = plan.slots(device, workers, gpus, per_gpu, sweep)
    places = len(plan.summary(slots))
    return Crew(places, -(-len(slots) // places)), slots[0]


def order(slot: Slot, agents: Crew, seconds: float, in_process: bool) -> Order:
    """How to measure so that the steps run as in an agent of a launch."""
    from ddsweep import device as devices
    from ddsweep.estimate.workers import Order
    from ddsweep.launchers import plan

    if in_process:
        return Order(slot.local or slot.device, seconds)
    local = min(agents.devices, len(devices.visible())) if slot.device.startswith("cuda") else 1
    threads = slot.threads or max(1, plan.cores() // (local * agents.per_device))
    environment = {"OMP_NUM_THREADS": str(threads), **slot.environment}
    return Order(slot.device, seconds, agents.per_device, threads, environment)


def _measured(wanted: Sequence[Kind], order: Order) -> Measured:
    """Measure, and print a line for each kind that was measured; on a terminal, also show the present one."""
    from rich.text import Text

    from ddsweep.estimate.forecast import pace
    from ddsweep.estimate.workers import Report, measure

    screen, total = console.stderr(), len(wanted)
    status = screen.status("starting") if screen.is_terminal else None

    class Lines(Report):
        def begins(self, number: int, kind: Kind) -> None:
            if status:
                status.update(Text(f"measuring {number}/{total}: {kind.title}"))

        def ended(self, number: int, kind: Kind, finding: Finding) -> None:
            console.note(f"measured {number}/{total}  {kind.title[:50]:50}  {speed(*pace(kind, finding)):>22}")

    with status or contextlib.nullcontext():
        return measure(wanted, order, Lines())


def lines(sweep: Sweep, outlook: Outlook, agents: Crew, slot: Slot) -> Iterator[str]:
    """The estimate, line by line."""
    total = len(outlook.cells) + outlook.ended
    yield text.joined(sweep.full_name, sweep.title, text.plural(total, "cell"))
    if not outlook.cells:
        from ddsweep.sweep import relaunch

        table = again.other("launch", *relaunch(sweep))
        yield f"every cell is done ({text.duration(outlook.saving.done)} of work): {table}"
        return
    yield f"measured on {slot.device}:"
    for share in outlook.shares:
        if share.unit == "reading" and share.seconds < 1:
            continue
        pace, seconds = speed(share.step, share.unit), text.duration(share.seconds)
        yield f"  {share.title[:48]:48}  {pace:>22}   {seconds:>12} in total{'' if share.measured else ' *'}"
    if not all(share.measured for share in outlook.shares):
        yield "  * no time to measure: from its operations, and accurate to a factor of three; try more --seconds"
    least, most = min(outlook.cells.values()), max(outlook.cells.values())
    yield f"per cell   {text.duration(least)} to {text.duration(most)}"
    on_gpu = slot.device.startswith("cuda")
    cells = text.plural(len(outlook.cells), "cell") + (f" + {outlook.ended} done" if outlook.ended else "")
    hours = f"{text.number(outlook.device_seconds / 3600)} {'GPU' if on_gpu else 'CPU'}-hours"
    place, disk = _where(agents, slot), text.data_size(outlook.disk)
    yield f"{cells}, {hours} → about {text.duration(outlook.wall)} on {place}; disk {disk}"
    if outlook.between[1]:
        low, high = map(text.duration, outlook.between)
        yield f"range      {low} to {high}, as far as the measurements tell"
    if trainings := outlook.trainings:
        seconds = text.duration(sum(trainings.values()))
        yield f"training   {text.plural(len(trainings), 'PTM')} ({seconds}), included above"
    if outlook.shared:
        yield f"shared     {text.plural(outlook.shared, 'cell')} with other sweeps"
    if outlook.common:
        yield f"common     {outlook.common}"
    if outlook.saving.total >= 1:
        yield f"saved      {text.duration(outlook.saving.total)}: {_saving(outlook)}"
    yield from (f"not counted: {line}" for line in outlook.lacking)
    if not on_gpu and outlook.wall > TOO_LONG:
        yield "too long for this device; try --profile quick or demo, or a GPU"


def _where(agents: Crew, slot: Slot) -> str:
    if slot.device.startswith("cuda"):
        each = f" × {agents.per_device} agents" if agents.per_device > 1 else ""
        return f"{text.plural(agents.devices, 'GPU')}{each}"
    return slot.device + (f" × {agents.agents} agents" if agents.agents > 1 else "")


def _saving(outlook: Outlook) -> str:
    parts = {
        f"{text.plural(outlook.ended, 'cell')} done before": outlook.saving.done,
        "PTMs trained once for all cells": outlook.saving.ptms,
        "features computed once": outlook.saving.features,
        "what cells have in common": outlook.saving.common,
    }
    return ", ".join(f"{what} {text.duration(seconds)}" for what, seconds in parts.items() if seconds >= 1)


def speed(step: float, unit: str) -> str:
    """``212 steps/s``, ``3.5 s per step``; a dataset is read once, ``0.2 s per reading``."""
    return f"{text.number(step)} s per {unit}" if unit == "reading" else text.pace(step, unit)

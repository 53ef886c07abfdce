"""``ddsweep estimate``: what a sweep will take, from a few measured steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli.options import RUNS, Compile, Device, Json, Name, PerGpu, Profile, Runs, Settings, Workers, settings
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ddsweep.device import Slot
    from ddsweep.estimate.crew import Found, Order
    from ddsweep.estimate.kinds import Kind
    from ddsweep.estimate.outlook import Crew

HowMany = Annotated[
    str | None,
    typer.Option("--gpus", metavar="COUNT|LIST", help="So many GPUs like the one here: 4; or as in launch: 0-3, all."),
]
Seconds = Annotated[
    float, typer.Option("--seconds", min=0.01, help="To measure for, per kind of work; 18 times that in all.")
]
IN_ALL = 18  # times the seconds for one kind: what measuring takes at most, but for single steps that take longer


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
    """Measure a few steps here, and say what the whole sweep will take: hours, disk, PTMs to train.

    Cells and PTMs that are there already are not counted. Nothing is written.
    """
    from ddsweep import sweep
    from ddsweep.cli import estimate_view
    from ddsweep.estimate import findings, forecast
    from ddsweep.estimate.prices import Prices

    one = sweep.load(name, profile, settings(set_))
    left = forecast.Left.of(one, runs)
    agents, slot = crew(device, workers, gpus, per_gpu)
    wanted = left.kinds
    asked = order(slot, agents, min(seconds, IN_ALL * seconds / max(1, len(wanted))), in_process=workers == 0)
    found, start = _measured(wanted, asked) if wanted else ({}, 0.0)
    view = forecast.outlook(left, runs, agents, Prices(found), start)
    if as_json:
        measured = [{"title": kind.title, **findings.as_json(finding)} for kind, finding in found.items()]
        record = {"sweep": one.full_name, "device": slot.device, "devices": agents.devices, "agents": agents.agents}
        typer.echo(json.dumps({**record, **view.as_dict(), "measured": measured}, indent=2, ensure_ascii=False))
        return
    for line in estimate_view.lines(one, view, agents, slot):
        typer.echo(line)


def crew(device: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> tuple[Crew, Slot]:
    """Who would work, and where to measure.

    Raises:
        UserError: a device that is not there, or options that contradict each other.
    """
    from ddsweep import device as devices
    from ddsweep.estimate.outlook import Crew
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
    from ddsweep.estimate.crew import Order
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

    from ddsweep.estimate.crew import measure

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        return measure(wanted, order)
    with console.status("starting") as status:
        return measure(
            wanted, order, lambda index, title: status.update(f"measuring {index + 1}/{len(wanted)}: {title}")
        )

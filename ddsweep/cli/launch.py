"""``ddsweep launch``: register a sweep, start agents, watch, and print the table."""

from __future__ import annotations

from typing import Annotated

import typer

from ddsweep.cli.options import RUNS, Device, Name, Profile, Runs, Settings, Storage, settings

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", min=0, help="Agents; default: one per GPU, or one per two CPU cores. 0: in this process."
    ),
]


def launch(
    name: Name,
    profile: Profile = None,
    set_: Settings = None,
    device: Device = "auto",
    workers: Workers = None,
    runs: Runs = RUNS,
    storage: Storage = None,
) -> None:
    """Register a sweep, run it with agents on every GPU (or the CPU), and end with its table.

    Launching again continues: a finished cell is never repeated. Ctrl-C stops cleanly.
    """
    import signal

    from ddsweep import sweep
    from ddsweep.cli import session, stores
    from ddsweep.launchers import plan

    one = sweep.load(name, profile, settings(set_))
    slots = plan.slots(device, workers)
    store = stores.connect(runs, storage, create=True)
    job = plan.job(one.full_name, runs, stores.url(runs, storage), len(slots), in_process=workers == 0)
    launcher = plan.launcher(job, slots, in_process=workers == 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's TERM is our Ctrl-C
    try:
        raise typer.Exit(session.Session(one, store, launcher, job, slots).run())
    finally:
        store.close()

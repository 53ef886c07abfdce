"""``ddsweep launch``: register a sweep, start agents, watch, and print the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import (
    RUNS,
    Backend,
    Compile,
    Device,
    Entity,
    Gpus,
    Group,
    Name,
    NoCheck,
    NoGroup,
    PerGpu,
    Profile,
    Project,
    RetryFailed,
    Runs,
    Settings,
    Storage,
    Track,
    Workers,
    most_in_group,
    settings,
)
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ddsweep.again import Repeat
    from ddsweep.backends import Store
    from ddsweep.cli.account import Account
    from ddsweep.cli.session import Session
    from ddsweep.device import Slot
    from ddsweep.sweep import Sweep

Slurm = Annotated[
    str | None,
    typer.Option(
        "--slurm",
        metavar="KEY=VALUE,…",
        help="Submit the agents as a Slurm array, for example partition=gpu,gpus=8,time=12:00:00.",
    ),
]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Name of the sweep, instead of the one made from its file and settings."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --slurm, print the sbatch script and submit nothing.")]
Recompute = Annotated[
    bool,
    typer.Option(
        "--recompute", help="Also compute finished cells again that are from other images, or whose files are damaged."
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Make the table exactly this launch: cells of earlier launches leave it.")
]
Confirm = Annotated[
    int | None,
    typer.Option(
        "--confirm",
        metavar="N",
        help="Run the best trial of a launched search again, and its baseline, with N new seeds.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="With --slurm, stay and show the progress.")]


def launch(
    name: Name,
    profile: Profile = None,
    set_: Settings = None,
    device: Device = "auto",
    workers: Workers = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = None,
    group: Group = None,
    no_group: NoGroup = False,
    retry_failed: RetryFailed = False,
    runs: Runs = RUNS,
    compile_: Compile = "auto",
    storage: Storage = None,
    slurm: Slurm = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    backend: Backend = "optuna",
    track: Track = None,
    project: Project = None,
    entity: Entity = None,
    recompute: Recompute = False,
    replace: Replace = False,
    confirm: Confirm = None,
    as_: As = None,
    no_check: NoCheck = False,
) -> None:
    """Register a sweep, run it with agents on every GPU (or the CPU), and print its table.

    Launching a sweep again resumes it; finished cells are not repeated, and those of earlier launches stay in the
    table. Ctrl-C and SIGTERM stop cleanly.
    """
    if workers == 0:
        from ddsweep import environment

        environment.set_up()
    from ddsweep import again, launches, plugin_checks, plugins, recipe, sweep
    from ddsweep.cli.account import Account
    from ddsweep.launchers import plan

    plugins.load()
    if as_ is not None:
        sweep.naming.check(as_)
    most = most_in_group(group, no_group)
    repeat = again.Repeat(failed=retry_failed, unusable=recompute)
    account = Account(backend, tuple(track or ()), project or "", entity or "")
    if confirm is None:
        loaded = launches.planned(name, profile, settings(set_), runs, storage, as_ or "")
    else:
        from ddsweep.cli.confirm import confirming

        if set_ or as_:
            given = "set: not" if set_ else "as: not"
            raise UserError(f"{given} allowed with --confirm, which takes the choices of the search's best trial")
        loaded = confirming(name, profile, runs, storage, confirm)
    before = None if dry_run else launches.registered(loaded, runs, storage)
    recipe.verify(loaded.launched.recipes)
    if not (no_check or dry_run):
        plugin_checks.run(loaded.launched.recipes, console.note)
    if slurm is not None or dry_run or watch:
        from ddsweep.cli import submission

        if workers is not None or gpus or per_gpu:
            raise UserError(
                "slurm: --workers, --gpus and --per-gpu apply to this machine; use --slurm gpus=N,per-gpu=K"
            )
        if not dry_run:
            _announce(loaded, before)
        options = submission.Options(slurm, runs, storage, device, account, repeat, replace, most)
        raise typer.Exit(
            submission.dry_run(loaded, options) if dry_run else submission.launch(loaded, options, watch, _open_store)
        )
    slots = plan.slots(device, workers, gpus, per_gpu, loaded)
    launches.check_precisions(loaded.launched, runs, {slot.device for slot in slots})
    _announce(loaded, before)
    raise typer.Exit(_run_locally(loaded, account, slots, runs, storage, workers == 0, repeat, replace, most))


def _announce(loaded: Sweep, before: Sweep | None) -> None:
    """Print the name of the sweep, and what its user should know about it."""
    from ddsweep import sweep

    for line in (loaded.full_name, *sweep.remarks(loaded, before)):
        console.echo(line)


def _run_locally(
    sweep: Sweep,
    account: Account,
    slots: Sequence[Slot],
    runs: Path,
    storage: str | None,
    in_process: bool,
    repeat: Repeat,
    alone: bool,
    group: int,
) -> int:
    """Run a sweep with agents on this machine; return the exit status."""
    from ddsweep import launches
    from ddsweep.launchers import plan

    account = account.available(console.note)
    if account.backend == "wandb" and in_process:
        raise UserError("workers: must be at least 1 with --backend wandb, whose agents start a process per trial")
    store, session = _open_store(account, sweep.full_name, runs, storage)
    job = account.configure(plan.job(sweep.full_name, runs, launches.url(runs, storage), slots, in_process, group))
    launcher = plan.launcher(job, slots, in_process)
    try:
        return session(sweep, store, launcher, job, slots, repeat, alone).run()
    finally:
        store.close()


def _open_store(account: Account, name: str, runs: Path, storage: str | None) -> tuple[Store, type[Session]]:
    """The store and the session class of this launch; a sweep launched on the other backend moves to this one."""
    from ddsweep import launches
    from ddsweep.cli import session

    if account.backend == "wandb":
        from ddsweep.cli.wandb_session import WandbSession

        return account.store(), WandbSession
    return launches.connect(runs, storage, create=True), session.Session

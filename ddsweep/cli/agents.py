"""``ddsweep agents``: add agents to a launched sweep, from another shell or another machine."""

from __future__ import annotations

import time

import typer

from ddsweep import again
from ddsweep.cli import console
from ddsweep.cli.options import (
    RUNS,
    Compile,
    Device,
    Entity,
    Gpus,
    Group,
    Name,
    NoGroup,
    PerGpu,
    Profile,
    Project,
    RetryFailed,
    Runs,
    Storage,
    Track,
    Workers,
    most_in_group,
)
from ddsweep.cli.session import Session


def agents(
    name: Name,
    profile: Profile = None,
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
    track: Track = None,
    project: Project = None,
    entity: Entity = None,
) -> None:
    """Start more agents on this machine for a launched sweep; they run until its queue is empty.

    Ctrl-C and SIGTERM return their cells to the queue.
    """
    from ddsweep import launches, plugins
    from ddsweep.cli.account import Account
    from ddsweep.launchers import plan

    most = most_in_group(group, no_group)
    plugins.load()
    account = Account("optuna", tuple(track or ()), project or "", entity or "")
    sweep = launches.load(name, profile, runs, storage)
    slots = plan.slots(device, workers, gpus, per_gpu, sweep)
    account = account.available(console.note)
    in_process = workers == 0
    job = account.configure(plan.job(sweep.full_name, runs, launches.url(runs, storage), slots, in_process, most))
    store = launches.connect(runs, storage)
    try:
        launcher = plan.launcher(job, slots, in_process, attached=True)
        raise typer.Exit(AttachedSession(sweep, store, launcher, job, slots, again.Repeat(failed=retry_failed)).run())
    finally:
        store.close()


class AttachedSession(Session):
    """A session that joins a launched sweep: it registers nothing and prints no table."""

    def _prepare(self) -> bool:
        from ddsweep.cli import sweep_agents

        self._prepare_data()
        self._prepare_published()
        sweep_agents.ask_to_stop(self._backend, "")
        self._retry_and_recover()
        self._head = self._headline()
        self._done_before = self._backend.status().ended
        return not self._backend.drained()

    def _conclude(self) -> int:
        from ddsweep import text
        from ddsweep.cli import display, sweep_agents

        status = self._backend.status()
        self._out.print(f"{display.counts(status)}   {text.duration(time.monotonic() - self._began)}")
        self._print_failures(status)
        for reason in self._launcher.closed():
            self._out.say(f"closed  {reason}")
        if left := sweep_agents.left(self._backend, status, self._launcher):
            self._out.say(left)
        self._out.say(f"next    {again.other('results', self._sweep.full_name)}")
        return 1 if self._launcher.closed() and not status.drained else 0

"""One launch, from registering the sweep to printing its table, and its output."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import again, text
from ddsweep.backends import Definition, State, Status
from ddsweep.backends.local import FolderStore
from ddsweep.cli import advice, display, interrupt, moving, reading, registration, sweep_agents
from ddsweep.errors import UserError, in_one_line
from ddsweep.processes import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ddsweep.backends import Registered, Status, Store
    from ddsweep.device import Slot
    from ddsweep.launchers import Job, Launcher
    from ddsweep.sweep import Picture, Sweep
    from ddsweep.trackers.status import AgentStatus

POLL = 0.5  # seconds between two checks of the agents
READ = 2.0  # seconds between two reads of the storage
PLAIN = 10.0  # seconds between two lines of progress without a terminal
HEADS = {"grid": "grids", "classes": "classes", "tsne": "t-SNE", "accuracy": "figure"}  # start of a figure's line


class Session:
    """Runs a sweep and prints its progress.

    Args:
        sweep: the sweep.
        store: where it is registered.
        launcher: starts its agents.
        job: the settings of the agents.
        slots: their devices.
        repeat: which cells to compute again.
        alone: take the cells of earlier launches out of the sweep.
    """

    def __init__(
        self, sweep: Sweep, store: Store, launcher: Launcher, job: Job, slots: Sequence[Slot],
        repeat: again.Repeat = again.NOTHING, alone: bool = False,
    ) -> None:  # fmt: skip
        from ddsweep.launchers import plan

        self._alone, self._earlier = alone, frozenset[str]()
        self._seen: tuple[object, ...] = ()
        self._sweep, self._store, self._launcher, self._job, self._repeat = sweep, store, launcher, job, repeat
        self._notes: list[str] = []
        self._backend = store.sweep(sweep.full_name)
        self._out = display.stdout()
        self._devices, self._device = plan.summary(slots), slots[0].local or slots[0].device
        self._began = time.monotonic()

    def _headline(self) -> str:
        from ddsweep import launches
        from ddsweep.pretrained import spec

        needs = spec.needs(self._sweep.recipes)
        lacking = [ptm.is_expert for ptm, epochs in needs.items() if not ptm.foundation and not epochs <= ptm.saved()]
        kinds = (("PTM", lacking.count(False)), ("expert", lacking.count(True)))
        train = " and ".join(text.plural(count, noun) for noun, count in kinds if count)
        ptms = f"{train} to train" if train else "PTMs ready"
        known = launches.computed(self._sweep, self._job.runs)
        count = text.plural(self._sweep.size, "cell") + (f", {known} computed before" if known else "")
        return text.joined(self._sweep.full_name, self._sweep.title, count, ptms, ", ".join(self._devices))

    def run(self) -> int:
        """Run to the end.

        The exit status is 0 if every cell is done, 1 if some failed or remain, 130 after Ctrl-C, 143 after SIGTERM.
        """
        work = self._prepare()
        try:
            if work:
                self._launcher.start()
                self._watch()
        except KeyboardInterrupt as error:
            self._out.print("stopping: agents return their cells to the queue …")
            self._launcher.stop()
            self._out.say(f"stopped; {again.to_resume()}")
            return interrupt.status(error)
        except BaseException:
            self._launcher.stop()
            raise
        return self._conclude()

    def submit(self, instructions: Callable[[], list[str]], watch: bool, resubmit: Callable[[], bool]) -> int:
        """Like ``run``, with agents that outlive this process; the exit status is 0 once they are submitted.

        Args:
            instructions: the lines to print after submission.
            watch: show the progress until they are done; Ctrl-C then ends only the display.
            resubmit: with ``watch``, called when all agents have ended and cells are left: submits them again if they
                were preempted, and returns whether it did.
        """
        if not self._prepare():
            return self._conclude()
        self._launcher.start()
        for line in [self._head, *instructions()] if not watch else instructions():
            self._out.say(line)
        if not watch:
            return 0
        try:
            self._watch()
            while not self._backend.drained() and resubmit():
                self._out.say("preempted: the agents are submitted again")
                for line in instructions():
                    self._out.say(line)
                self._watch()
        except KeyboardInterrupt as error:
            self._out.print("the agents keep running")
            return interrupt.status(error) if isinstance(error, Terminated) else 0
        return self._conclude()

    def _prepare(self) -> bool:
        """Provide what agents need and register the sweep; whether there is work to do."""
        from ddsweep import launches

        self._prepare_data()
        self._prepare_published()
        own = self._sweep.kept_choices.keys()
        registered = self._backend.register(self._definition(), alone=self._alone)
        self._sweep = launches.restored(self._store, self._sweep.full_name)  # with the cells of earlier launches
        self._earlier = frozenset(self._sweep.kept_choices.keys() - own)
        self._print_changes(registered)
        self._requeue()
        self._head = self._headline()
        sweep_agents.ask_to_stop(self._backend, "")  # withdraws a request to an earlier launch
        self._retry_and_recover()
        status = self._read_status()
        self._done_before, self._seen = status.ended, _extent(status)
        if drained := self._backend.drained():
            self._out.say(self._head)
        return not drained

    def _definition(self) -> Definition:
        """The sweep as it is registered."""
        new, name = definition(self._sweep), self._sweep.full_name
        moved = new if self._alone else moving.from_wandb(new, self._job.runs)
        FolderStore(self._job.runs).forget(name)  # from now on, the storage has it
        return moved

    def _retry_and_recover(self) -> None:
        """Retry the cells that were given up, if asked to, and take back those of agents that are known to be dead."""
        if isinstance(self._backend, advice.HasLeases):
            if self._repeat.failed and (retried := self._backend.retry()):
                self._out.say(f"retrying {text.plural(retried, 'cell')} that had been given up")
            self._backend.reconcile()

    def _prepare_data(self) -> None:
        """Decode every dataset now, so that a missing folder, image or plugin is reported before agents start."""
        from ddsweep import data, recipe
        from ddsweep.pretrained import spec
        from ddsweep.results import image_checksums

        recipes = self._sweep.launched.recipes
        recipe.verify(recipes)
        for name, size in spec.datasets(recipes):
            if not data.is_prepared(name, size):
                self._out.say(f"data: preparing {name} ({data.info(name).origin})")
            with reading.shown():
                data.prepare(name, size)
        self._sweep = replace(self._sweep, data={**self._sweep.data, **image_checksums.compute(recipes)})

    def _requeue(self) -> None:
        """Queue ended cells again whose results cannot be used, and report those that are left out."""
        from ddsweep.cli import requeue

        for line in requeue.requeue(self._store, self._backend, self._sweep, self._job.runs, self._repeat.unusable):
            self._out.say(line)

    def _prepare_published(self) -> None:
        """Download the weights of foundation models now, for the same reason."""
        from ddsweep.pretrained import spec

        for ptm in spec.needs(self._sweep.launched.recipes):
            if ptm.foundation and not ptm.foundation.maker:
                from ddsweep.pretrained import published  # imports torch, which other sweeps leave to the agents

                if not ptm.saved():
                    self._out.say(f"PTM: downloading {ptm.title} ({ptm.foundation.url})")
                published.ensure(ptm.foundation)

    def _print_changes(self, registered: Registered) -> None:
        if line := registration.summary(registered):
            self._out.say(line, style="dim")

    def _follow_others(self, status: Status) -> None:
        """Read the sweep again if another launch has changed it, and print what that did."""
        from ddsweep import launches

        if _extent(status) == self._seen:
            return
        try:
            now = launches.restored(self._store, self._sweep.full_name)
        except UserError:  # W&B cannot be reached; the next status has the same change
            return
        before, self._sweep, self._seen = self._sweep, now, _extent(status)
        if line := registration.difference(before, now):
            self._out.say(line)
            self._head = self._headline()

    def _watch(self) -> None:
        from rich.live import Live

        if not self._out.is_terminal:
            self._out.say(self._head)
            self._follow(self._out.say)
            return
        with Live(console=self._out, auto_refresh=False, transient=True) as live:
            for status, agents in self._updates():
                elapsed = self._elapsed(status)
                screen = display.screen(self._head, status, agents, elapsed, self._out.width, self._notes)
                live.update(screen, refresh=True)
        self._out.say(self._head)

    def _follow(self, print_line: Callable[[str], None]) -> None:
        """Print plain lines when a cell ends, and every ten seconds."""
        ended, last = -1, 0.0
        for status, agents in self._updates():
            if status.ended == ended and time.monotonic() - last < PLAIN:
                continue
            ended, last = status.ended, time.monotonic()
            print_line(f"{display.counts(status)}   {self._elapsed(status)}")
            for line in [*display.agent_lines(agents), *(f"  {note}" for note in self._notes)]:
                print_line(line)

    def _elapsed(self, status: Status) -> str:
        """The time since the launch, and an estimate of the time left."""
        return text.duration(time.monotonic() - self._began) + display.time_left(status, self._began, self._done_before)

    def _updates(self) -> Iterator[tuple[Status, list[AgentStatus]]]:
        """(queue, agents) until the agents have stopped; the storage is read less often than the status files."""
        status, reported, read = self._read_status(), sweep_agents.reported(self._backend), time.monotonic()
        while self._launcher.poll():
            if time.monotonic() - read > READ:
                status, reported, read = self._read_status(), sweep_agents.reported(self._backend), time.monotonic()
                self._follow_others(status)
                self._notes = advice.on_leases(self._backend)
            yield status, sweep_agents.agents(reported, self._job.folder)
            time.sleep(POLL)
        yield self._read_status(), []

    def _read_status(self) -> Status:
        """The progress of the sweep."""
        return self._backend.status()

    def _conclude(self) -> int:
        from ddsweep import launches
        from ddsweep.results import stored

        status = self._backend.status()
        self._follow_others(status)
        drawn = [row.point for row in status.rows]
        self._sweep = self._sweep.knowing(drawn).with_points(point.params for point in drawn)
        self._sweep = replace(self._sweep, progress=status.progress)
        with self._optional("files", again.other("results", self._sweep.full_name)):
            launches.gather(self._store, self._sweep, self._job.runs)
        self._out.print(f"{display.counts(status)}   {text.duration(time.monotonic() - self._began)}")
        with self._optional("table", again.other("results", self._sweep.full_name)):
            self._show_table()
        self._print_failures(status)
        for reason in self._launcher.closed():
            self._out.say(f"closed  {reason}")
        if left := sweep_agents.left(self._backend, status, self._launcher):
            self._out.say(left)
        self._draw()
        left_out = stored.collect(self._sweep, self._job.runs).left_out
        resume = [again.command()] if self._can_resume(status) else []
        resume += [again.command("--recompute")] if left_out else []
        self._out.say(f"next    {'      '.join([*self._next(), *resume])}")
        own = [row for row in status.rows if row.point.key not in self._earlier]
        done = sum(row.state in (State.COMPLETE, State.PRUNED) for row in own)
        return 0 if done == len(own) + status.to_draw and not left_out else 1

    def _print_failures(self, status: Status) -> None:
        """Print the cells that were given up, with the reasons, and how to retry them."""
        for row in status.rows:
            if row.state is State.FAILED:
                self._out.say(f"failed  {advice.failure(row)}")
        for row in status.retrying:
            self._out.say(f"failed  {advice.failure(replace(row, reason=row.reasons[-1]))}; waits for another attempt")
        for line in advice.on_failures(status, self._retry_command()):
            self._out.say(line)

    def _retry_command(self) -> str:
        return again.command(advice.RETRY)

    def _show_table(self) -> None:
        """Print the table of finished cells; for a search, its trials."""
        from ddsweep.cli import results
        from ddsweep.results import stored
        from ddsweep.results.tables import ranking, table, terminal

        cells = stored.collect(self._sweep, self._job.runs)
        if self._sweep.search:
            results.screen(self._out, ranking.build(self._sweep, cells, self._job.runs), failures=False)
            return
        built = table.build(self._sweep, cells)
        self._out.whole(terminal.render(built, self._out.width))
        for line in terminal.caption(built, self._sweep).split("\n"):
            self._out.say(line, style="dim")
        results.show_groups(self._out, built)

    def _draw(self) -> None:
        """Draw the sweep's figures on a device that no agent uses any more."""
        from ddsweep import launches

        if self._sweep.pictures:
            with self._optional("images", again.other("plot", self._sweep.full_name)):
                launches.report_missing_images(self._sweep, self._job.runs)
        for kind in self._sweep.pictures:
            with self._optional(HEADS[kind], again.other("plot", self._sweep.full_name, "--kind", kind)):
                for path in self._drawn(kind):
                    self._out.say(f"{HEADS[kind]:8}{shown(path)}")

    def _drawn(self, kind: Picture) -> list[Path]:
        """The figures of one kind; those of a sweep whose results have not changed are not drawn again."""
        from ddsweep.results.plots import drawn

        folder, state = self._job.runs / self._sweep.full_name, drawn.state(self._sweep, self._job.runs)
        if paths := drawn.known(kind, folder, state):
            return paths
        from ddsweep.results.plots import gallery

        paths = gallery.write(kind, self._sweep, self._job.runs, device=self._device, say=self._out.say)
        drawn.remember(kind, folder, state, paths)
        return paths

    @contextlib.contextmanager
    def _optional(self, what: str, command: str) -> Iterator[None]:
        """Do something that the launch does not depend on: its failure is reported in one line, and the rest follows.

        Args:
            what: the start of the line.
            command: tries it again.
        """
        try:
            yield
        except Exception as error:
            self._out.say(f"{what:8}failed: {in_one_line(error)}; try again with: {command}")

    def _next(self) -> list[str]:
        """Commands that make sense after the launch."""
        offline = "wandb" in self._job.track and os.environ.get("WANDB_MODE") == "offline"
        sync = [again.other("sync")] if offline else []
        return [*sync, again.other("dashboard"), again.other("report", self._sweep.full_name)]

    def _can_resume(self, status: Status) -> bool:
        """Whether launching again would run something."""
        return not status.drained


def _extent(status: Status) -> tuple[object, ...]:
    """What changes when cells are added to a sweep or leave it."""
    return (*sorted(row.point.key for row in status.rows), status.size)


def shown(path: Path) -> str:
    """A path relative to the working directory if it is inside it."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def definition(sweep: Sweep) -> Definition:
    """The sweep as a backend stores it."""
    return Definition.of(sweep)

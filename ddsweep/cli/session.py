"""One launch from registration to the table, as a person sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ddsweep.backends import Definition, State, Status
from ddsweep.backends.local import FolderStore
from ddsweep.cli import crew, display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ddsweep.backends import Registered, Status, Store
    from ddsweep.backends.wandb.backend import WandbBackend
    from ddsweep.device import Slot
    from ddsweep.launchers import Job, Launcher
    from ddsweep.sweep import Sweep
    from ddsweep.trackers.status import AgentStatus

LOOK = 0.5  # seconds between two looks at the agents
ASK = 2.0  # seconds between two reads of the storage
PLAIN = 10.0  # seconds between two lines where there is no terminal
HEADS = {
    "grid": "grids",
    "classes": "classes",
    "tsne": "t-SNE",
    "accuracy": "figure",
}  # of the lines that name pictures
ASK_WANDB = 15.0  # seconds between two questions to W&B


class Session:
    """Runs a sweep and tells what happens."""

    def __init__(self, sweep: Sweep, store: Store, launcher: Launcher, job: Job, slots: Sequence[Slot]) -> None:
        from ddsweep.launchers import plan

        self._sweep, self._store, self._launcher, self._job = sweep, store, launcher, job
        self._backend = store.sweep(sweep.full_name)
        self._out = display.stdout()
        self._head, self._device = self._headline(plan.summary(slots)), slots[0].here or slots[0].device
        self._began = time.monotonic()

    def _headline(self, devices: list[str]) -> str:
        from ddsweep import launches
        from ddsweep.pretrained import spec

        needs = spec.needs(self._sweep.recipes)
        train = sum(not epochs <= ptm.saved() for ptm, epochs in needs.items() if not ptm.foundation)
        ptms = f"{train} PTM{'s' * (train != 1)} to train" if train else "PTMs ready"
        cells = self._sweep.size
        known = launches.computed(self._sweep, self._job.runs)
        count = f"{cells} cell{'s' * (cells != 1)}" + (f", {known} computed before" if known else "")
        return f"{self._sweep.full_name} · {self._sweep.title} · {count} · {ptms} · {', '.join(devices)}"

    def run(self) -> int:
        """The exit status: 0 when every cell is done, 1 when some failed or are left, 130 after Ctrl-C."""
        work = self._prepare()
        try:
            if work:
                self._launcher.start()
                self._watch()
        except KeyboardInterrupt:
            self._out.print("stopping: agents give their cells back …")
            self._launcher.stop()
            self._out.print(f"stopped. Go on with:  ddsweep launch {self._reference()}", soft_wrap=True)
            return 130
        except BaseException:
            self._launcher.stop()
            raise
        return self._conclude()

    def hand_over(self, told: Callable[[], list[str]], watch: bool) -> int:
        """Like ``run``, with agents that live on without this process: 0 once they are submitted.

        Args:
            told: what there is to say then.
            watch: stay until they are done; Ctrl-C ends the watching and nothing else.
        """
        if not self._prepare():
            return self._conclude()
        self._launcher.start()
        for line in [self._head, *told()] if not watch else told():
            self._out.print(line, soft_wrap=True)
        if not watch:
            return 0
        try:
            self._watch()
        except KeyboardInterrupt:
            self._out.print("the agents go on without this screen")
            return 0
        return self._conclude()

    def _prepare(self) -> bool:
        """Everything that agents need is here and the sweep is registered; whether there is work to do."""
        self._prepare_data()
        self._prepare_published()
        registered = self._backend.register(definition(self._sweep))
        self._tell_changes(registered)
        crew.ask_to_stop(self._backend, "")  # what was said to an earlier launch
        self._done_before = self._look().ended
        if drained := self._backend.drained():
            self._out.print(self._head, soft_wrap=True)
        return not drained

    def _prepare_data(self) -> None:
        """Decode every dataset now: a missing folder, image or plugin is told here and not on some GPU."""
        from ddsweep import data, recipe
        from ddsweep.pretrained import spec

        recipe.verify(self._sweep.recipes)
        for name, size in spec.datasets(self._sweep.recipes):
            if not data.is_prepared(name, size):
                self._out.print(f"data: preparing {name} ({data.info(name).origin})", soft_wrap=True)
            data.prepare(name, size)

    def _prepare_published(self) -> None:
        """Get the weights of foundation models now, for the same reason."""
        from ddsweep.pretrained import spec

        for ptm in spec.needs(self._sweep.recipes):
            if ptm.foundation:
                from ddsweep.pretrained import published  # loads torch, which other sweeps leave to the agents

                if not ptm.saved():
                    self._out.print(f"PTM: getting {ptm.title} ({ptm.foundation.url})", soft_wrap=True)
                published.ensure(ptm.foundation)

    def _tell_changes(self, registered: Registered) -> None:
        if registered.kept or registered.withdrawn:
            changes = f"{registered.kept} cells kept, {registered.added} added, {registered.withdrawn} withdrawn"
            text = f"launched before: {changes}"
            self._out.print(text, style="dim")

    def _watch(self) -> None:
        from rich.live import Live

        if not self._out.is_terminal:
            self._out.print(self._head, soft_wrap=True)
            self._follow(lambda text: self._out.print(text, soft_wrap=True))
            return
        with Live(console=self._out, auto_refresh=False, transient=True) as live:
            for status, agents in self._looks():
                screen = display.screen(self._head, status, agents, self._since(status), self._out.width)
                live.update(screen, refresh=True)
        self._out.print(self._head, soft_wrap=True)

    def _follow(self, say: Callable[[str], None]) -> None:
        """Plain lines: when a cell ends, and every ten seconds."""
        told, last = -1, 0.0
        for status, agents in self._looks():
            if status.ended == told and time.monotonic() - last < PLAIN:
                continue
            told, last = status.ended, time.monotonic()
            say(f"{display.counts(status)}   {self._since(status)}")
            for line in display.agent_lines(agents):
                say(line)

    def _since(self, status: Status) -> str:
        """Time since the launch, and about how much is left."""
        elapsed = display.clock(time.monotonic() - self._began)
        return elapsed + display.time_left(status, self._began, self._done_before)

    def _looks(self) -> Iterator[tuple[Status, list[AgentStatus]]]:
        """(queue, agents) until the agents have left; the storage is asked less often than the files."""
        status, reported, asked = self._look(), crew.reported(self._backend), time.monotonic()
        while self._launcher.poll():
            if time.monotonic() - asked > ASK:
                status, reported, asked = self._look(), crew.reported(self._backend), time.monotonic()
            yield status, crew.agents(reported, self._job.folder)
            time.sleep(LOOK)
        yield self._look(), []

    def _look(self) -> Status:
        """How far the sweep is."""
        return self._backend.status()

    def _conclude(self) -> int:
        from ddsweep import launches

        status = self._backend.status()
        self._sweep = self._sweep.with_points(row.point.params for row in status.rows)
        launches.gather(self._store, self._sweep, self._job.runs)
        self._out.print(f"{display.counts(status)}   {display.clock(time.monotonic() - self._began)}")
        self._show_table()
        for row in status.rows:
            if row.state is State.FAILED:
                self._out.print(f"failed  {row.point.title}: {row.reason} ({row.attempts} attempts)", soft_wrap=True)
        for reason in self._launcher.closed():
            self._out.print(f"closed  {reason}", soft_wrap=True)
        if left := crew.left(self._backend, status, self._launcher):
            self._out.print(left, soft_wrap=True)
        self._draw()
        again = [f"ddsweep launch {self._reference()}"] if self._goes_on(status) else []
        self._out.print(f"next    {'      '.join([*self._next(), *again])}", soft_wrap=True)
        return 0 if status.done == status.size else 1

    def _show_table(self) -> None:
        """The table of what is finished; of a search its trials."""
        from ddsweep.results.tables import ranking, table, terminal

        found = table.collect(self._sweep, self._job.runs)
        if self._sweep.search:
            from ddsweep.cli import results

            results.screen(self._out, ranking.build(self._sweep, found, self._job.runs))
            return
        built = table.build(self._sweep, found)
        self._out.print(terminal.render(built, self._out.width))
        self._out.print(terminal.caption(built), style="dim", soft_wrap=True)

    def _draw(self) -> None:
        """The pictures that belong to the sweep, on a device that no agent uses any more."""
        from ddsweep import launches
        from ddsweep.results.plots import gallery

        if self._sweep.pictures:
            launches.tell_bare(self._sweep, self._job.runs)
        for kind in self._sweep.pictures:
            for path in gallery.write(kind, self._sweep, self._job.runs, device=self._device, say=self._out.print):
                self._out.print(f"{HEADS[kind]:8}{shown(path)}", soft_wrap=True)

    def _next(self) -> list[str]:
        """What one does now."""
        offline = "wandb" in self._job.track and os.environ.get("WANDB_MODE") == "offline"
        sync = ["ddsweep sync"] if offline else []
        return [*sync, "ddsweep dashboard", f"ddsweep report {self._sweep.full_name}"]

    def _goes_on(self, status: Status) -> bool:
        """Whether launching again runs something."""
        return not status.drained

    def _reference(self) -> str:
        return f"{self._sweep.name} --profile {self._sweep.profile}"


def shown(path: Path) -> str:
    """A path relative to here where that is shorter."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def definition(sweep: Sweep) -> Definition:
    """The sweep as a backend keeps it."""
    return Definition.of(sweep)


class WandbSession(Session):
    """Asks W&B seldom, and looks into the run folders of this machine in between."""

    def _tell_changes(self, registered: Registered) -> None:
        from ddsweep.backends.wandb.backend import dealt

        super()._tell_changes(registered)
        backend = cast("WandbBackend", self._backend)
        for change in backend.changes():
            self._out.print(f"changed {change}", soft_wrap=True)
        for notice in backend.notices():
            self._out.print(notice, soft_wrap=True)
        self._url = backend.url
        self._out.print(f"W&B     {self._url}", soft_wrap=True)
        here = FolderStore(self._job.runs)
        here.remember(dealt(self._sweep))
        self._here, self._asked = here.sweep(self._sweep.full_name), -ASK_WANDB

    def _look(self) -> Status:
        if time.monotonic() - self._asked > ASK_WANDB:
            self._known, self._asked = self._backend.status(), time.monotonic()
        here = {row.point.key: row for row in self._here.status().rows}
        waits = (State.WAITING, State.RUNNING)
        rows = [
            mine if row.state in waits and (mine := here.get(row.point.key, row)).state is not State.WAITING else row
            for row in self._known.rows
        ]
        asked = {row.point.key for row in rows}
        new = [row for key, row in here.items() if key not in asked]  # dealt by a search since W&B was asked
        return Status(self._known.name, rows + new, max(0, self._known.to_draw - len(new)))

    def _goes_on(self, status: Status) -> bool:
        return status.done < status.size  # what failed is registered anew

    def _reference(self) -> str:
        project = f" --project {self._job.project}" if self._job.project else ""
        return f"{super()._reference()} --backend wandb{project}"

    def _next(self) -> list[str]:
        return [self._url, f"ddsweep report {self._sweep.full_name}"]

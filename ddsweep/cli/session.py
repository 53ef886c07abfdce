"""One launch from registration to the table, as a person sees it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.backends import Definition, Point, State
from ddsweep.cli import console, view
from ddsweep.trackers import status as agent_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ddsweep.backends import Registered, Status, Store
    from ddsweep.launchers import Job, Launcher
    from ddsweep.sweep import Sweep
    from ddsweep.trackers.status import AgentStatus

LOOK = 0.5  # seconds between two looks at the agents
ASK = 2.0  # seconds between two reads of the storage
PLAIN = 10.0  # seconds between two lines where there is no terminal
HEADS = {"grid": "grids", "classes": "classes", "tsne": "t-SNE"}  # of the lines that name pictures


class Session:
    """Runs a sweep and tells what happens."""

    def __init__(self, sweep: Sweep, store: Store, launcher: Launcher, job: Job, slots: list[str]) -> None:
        self._sweep, self._launcher, self._job = sweep, launcher, job
        self._backend = store.sweep(sweep.full_name)
        self._out = console.stdout()
        self._head, self._device = self._headline(slots), slots[0]
        self._began = time.monotonic()

    def _headline(self, slots: list[str]) -> str:
        from ddsweep.pretrained import spec

        cells = self._sweep.cells
        needs = spec.needs(cell.recipe for cell in cells)
        train = sum(not epochs <= ptm.saved() for ptm, epochs in needs.items() if not ptm.foundation)
        ptms = f"{train} PTM{'s' * (train != 1)} to train" if train else "PTMs ready"
        devices = ", ".join(dict.fromkeys(slots))
        count = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
        return f"{self._sweep.full_name} · {self._sweep.title} · {count} · {ptms} · {devices}"

    def run(self) -> int:
        """The exit status: 0 when every cell is done, 1 when some failed or are left, 130 after Ctrl-C."""
        self._prepare_data()
        self._prepare_published()
        registered = self._backend.register(definition(self._sweep))
        self._tell_changes(registered)
        self._done_before = self._backend.status().ended
        try:
            if self._backend.drained():
                self._out.print(self._head, soft_wrap=True)
            else:
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

    def _prepare_data(self) -> None:
        """Decode every dataset now: a missing folder or an unreadable image is told here and not on some GPU."""
        from ddsweep import data
        from ddsweep.pretrained import spec

        for name, size in spec.datasets(cell.recipe for cell in self._sweep.cells):
            if not data.is_prepared(name, size):
                self._out.print(f"data: preparing {name} ({data.info(name).origin})", soft_wrap=True)
            data.prepare(name, size)

    def _prepare_published(self) -> None:
        """Get the weights of foundation models now, for the same reason."""
        from ddsweep.pretrained import spec

        for ptm in spec.needs(cell.recipe for cell in self._sweep.cells):
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
                screen = view.screen(self._head, status, agents, self._since(status), self._out.width)
                live.update(screen, refresh=True)
        self._out.print(self._head, soft_wrap=True)

    def _follow(self, say: Callable[[str], None]) -> None:
        """Plain lines: when a cell ends, and every ten seconds."""
        told, last = -1, 0.0
        for status, agents in self._looks():
            if status.ended == told and time.monotonic() - last < PLAIN:
                continue
            told, last = status.ended, time.monotonic()
            say(f"{view.counts(status)}   {self._since(status)}")
            for agent in agents:
                say(view.agent_line(agent))

    def _since(self, status: Status) -> str:
        """Time since the launch, and about how much is left."""
        elapsed = view.clock(time.monotonic() - self._began)
        return elapsed + view.time_left(status, self._began, self._done_before)

    def _looks(self) -> Iterator[tuple[Status, list[AgentStatus]]]:
        """(queue, agents) until the agents have left; the storage is asked less often than the files."""
        status, asked = self._backend.status(), time.monotonic()
        while self._launcher.poll():
            if time.monotonic() - asked > ASK:
                status, asked = self._backend.status(), time.monotonic()
            yield status, agent_status.read_all(self._job.folder)
            time.sleep(LOOK)
        yield self._backend.status(), []

    def _conclude(self) -> int:
        from ddsweep.results import screen, table

        status = self._backend.status()
        built = table.build(self._sweep, table.collect(self._sweep, self._job.runs))
        self._out.print(f"{view.counts(status)}   {view.clock(time.monotonic() - self._began)}")
        self._out.print(screen.render(built, self._out.width))
        self._out.print(screen.caption(built), style="dim", soft_wrap=True)
        for row in status.rows:
            if row.state is State.FAILED:
                self._out.print(f"failed  {row.point.title}: {row.reason} ({row.attempts} attempts)", soft_wrap=True)
        for reason in self._launcher.closed():
            self._out.print(f"closed  {reason}", soft_wrap=True)
        self._draw()
        again = "" if status.drained else f"      ddsweep launch {self._reference()}"
        self._out.print(
            f"next    ddsweep dashboard      ddsweep results {self._sweep.full_name} --format markdown{again}"
        )
        return 0 if status.count(State.COMPLETE) == len(status.rows) else 1

    def _draw(self) -> None:
        """The pictures that belong to the sweep, on a device that no agent uses any more."""
        from ddsweep.results import gallery

        for kind in self._sweep.pictures:
            for path in gallery.write(kind, self._sweep, self._job.runs, device=self._device, say=self._out.print):
                self._out.print(f"{HEADS[kind]:8}{shown(path)}", soft_wrap=True)

    def _reference(self) -> str:
        return f"{self._sweep.name} --profile {self._sweep.profile}"


def shown(path: Path) -> str:
    """A path relative to here where that is shorter."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def definition(sweep: Sweep) -> Definition:
    """The sweep as a backend keeps it."""
    points = [Point(cell.key, dict(cell.point), cell.key, cell.recipe.title()) for cell in sweep.cells]
    return Definition(sweep.full_name, points, sweep.definition(), sweep.max_attempts, sweep.title)

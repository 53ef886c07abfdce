"""Where the processes of a command spend their time: spans of listed functions and imports, in a file per process.

``environment(folder)`` makes every Python process that is started with it record its spans (``record``), and
``read(folder)`` returns them. Nothing of ddsweep knows about this: the functions are wrapped when their modules have
been imported.
"""

from __future__ import annotations

import atexit
import functools
import importlib.abc
import importlib.util
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "BENCHMARK_TIMELINE"  # environment variable: the folder of the files
HOOK = "from benchmarks import timeline\n\ntimeline.record()\n"  # Python runs sitecustomize.py when it starts
IMPORTS = ("torch", "numpy", "scipy", "sklearn", "PIL", "matplotlib", "pandas", "optuna", "sqlalchemy", "alembic",
           "pydantic", "wandb", "typer", "rich", "yaml", "safetensors")  # fmt: skip
FUNCTIONS: Mapping[str, Mapping[str, str]] = {
    "ddsweep.cli.launch": {"launch": "launch"},
    "ddsweep.launches": {"planned": "read the sweep", "gather": "results of other hosts"},
    "ddsweep.plugin_checks": {"run": "plugin checks"},
    "ddsweep.launchers.plan": {"slots": "devices"},
    "ddsweep.launchers.local": {"LocalLauncher.start": "start agents"},
    "ddsweep.cli.session": {
        "Session._prepare_data": "prepare data",
        "Session._prepare": "register",
        "Session._watch": "wait for agents",
        "Session._show_table": "table",
        "Session._draw": "figures",
    },
    "ddsweep.agent": {"main": "agent"},
    "ddsweep.agent.worker": {"Agent._work_on_next": "queue", "Agent._run": "cell, other", "annotate": "dashboard"},
    "ddsweep.trial": {"_finished": "finished before?", "save": "write the set", "_clear": "clear up"},
    "ddsweep.results.image_checksums": {"refusal": "same images?", "compute": "image checksums"},
    "ddsweep.data.dataset": {"load": "read data"},
    "ddsweep.data.store": {"prepare": "read data"},
    "ddsweep.pretrained.training": {"ensure": "train PTMs and experts"},
    "ddsweep.pretrained.gan": {"ensure": "train GAN"},
    "ddsweep.distill.loop": {"Distillation.finish": "distill"},
    "ddsweep.evaluate": {"evaluate": "evaluate"},
    "ddsweep.evaluate.trainer": {"accuracy": "evaluate: test"},
    "ddsweep.pictures": {"show": "pictures", "grid": "pictures"},
    "ddsweep.results.plots.gallery": {"write": "figures"},
    "ddsweep.results.plots.tsne": {"feature_maps": "t-SNE"},
    "ddsweep.provenance": {"git": "versions", "versions": "versions"},
    "ddsweep.results.result": {"Result.write": "write result"},
}


@dataclass(frozen=True)
class Process:
    """The times of one process.

    Attributes:
        command: its arguments.
        began: seconds since 1970.
        seconds: its lifetime.
        cpu: seconds of CPU time, of all its threads.
        spans: by name, (number of calls, wall-clock seconds, seconds of CPU time), without the spans inside it.
    """

    command: list[str]
    began: float
    seconds: float
    cpu: float
    spans: dict[str, tuple[int, float, float]]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables that make Python processes write their spans into ``folder``."""
    hook = folder / "hook"
    hook.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    path = os.pathsep.join([str(hook), str(Path(__file__).parents[1]), *before])
    return {FOLDER: str(folder), "PYTHONPATH": path}


def read(folder: Path) -> list[Process]:
    """Return the processes that have written into ``folder``, in the order of their start."""
    found = []
    for path in folder.glob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        values["spans"] = {name: tuple(numbers) for name, numbers in values["spans"].items()}
        found.append(Process(**values))
    return sorted(found, key=lambda one: one.began)


class Recorder:
    """Adds up the time of nested spans of the main thread; the time of a span is without those inside it."""

    def __init__(self) -> None:
        self.spans: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
        self._inside: list[list[float]] = []
        self._thread = threading.get_ident()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Count the time of the block as time of ``name``."""
        if threading.get_ident() != self._thread:
            yield
            return
        began, cpu, inside = time.perf_counter(), time.process_time(), [0.0, 0.0]
        self._inside.append(inside)
        try:
            yield
        finally:
            self._inside.pop()
            took = time.perf_counter() - began, time.process_time() - cpu
            entry = self.spans[name]
            entry[0] += 1
            for index, seconds in enumerate(took):
                entry[index + 1] += seconds - inside[index]
                if self._inside:
                    self._inside[-1][index] += seconds

    def wrapped(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function with a span around each call."""

        @functools.wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            with self.span(name):
                return function(*args, **named)

        return timed


class Finder(importlib.abc.MetaPathFinder):
    """Puts a span around the import of each listed package, and wraps the listed functions of ddsweep."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._looking = recorder, False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec that the other finders find, with a loader that calls ``_ran`` after it."""
        if self._looking or not (name in IMPORTS or name in FUNCTIONS or name == "ddsweep"):
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            plain = spec.loader.exec_module

            def execute(module: Any) -> None:
                with self._recorder.span(f"import {name.partition('.')[0]}"):
                    plain(module)
                self._wrap(module, FUNCTIONS.get(name, {}))

            spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: Any, functions: Mapping[str, str]) -> None:
        for dotted, label in functions.items():
            owner, _, last = dotted.rpartition(".")
            holder = getattr(module, owner) if owner else module
            setattr(holder, last, self._recorder.wrapped(getattr(holder, last), label))


def record() -> None:
    """Record the spans of this process, and write them when it ends."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    recorder, began = Recorder(), _process_began()
    start = time.time() - began
    sys.meta_path.insert(0, Finder(recorder))

    def write() -> None:
        spans = {"start Python": [1, start, start], **recorder.spans}
        seconds, cpu = time.time() - began, time.process_time()
        values = {"command": sys.argv, "began": began, "seconds": seconds, "cpu": cpu, "spans": spans}
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(values), encoding="utf-8")

    atexit.register(write)


def _process_began() -> float:
    """Return the time at which this process was started, in seconds since 1970 (Linux; elsewhere, the present)."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")

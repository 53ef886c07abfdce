"""How the cores of a CPU are divided among agents: the number of agents and their threads, measured once per machine.

A step of a small network takes as long with one thread as with two, and a step of a large one half as long; which of
both a sweep has, and how many cores this process really gets, is not known in advance. Before the first launch, agents
are therefore imitated for a second: each division of the cores runs training steps of the sweep's network in as many
processes as it has agents, and the rates of all steps together are compared.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import data, device, files
from ddsweep.errors import UserError
from ddsweep.registry import networks

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe

logger = logging.getLogger(__name__)
SECONDS = 1.0  # of measuring, over all divisions
ROUNDS = 3  # each way is measured as often, in turn, and its best rate counts: other load only makes it slower
PATIENCE = 120.0  # seconds until the measuring process is given up, with the import of torch
LEAST = 0.9  # fewer agents with more threads need less memory: they only have to reach this share of the best rate
MEMORY = 2 << 30  # bytes that an agent is assumed to need
OPERATIONS = 1e9  # floating-point operations of a step, at most, as far as the number of images can be reduced
FEWEST = 4  # images of a step
USUAL = 2  # threads per agent where nothing can be measured
FILE = "agents.json"


@dataclass(frozen=True)
class Division:
    """A way to divide the cores among agents.

    Attributes:
        threads: threads of each agent.
        agents: number of agents.
    """

    threads: int
    agents: int


@dataclass(frozen=True)
class Step:
    """The training step that is measured.

    Attributes:
        arch: network architecture.
        channels: channels of the images.
        classes: number of classes.
        size: height and width of the images in pixels.
        width: channels of a ConvNet.
        images: images per batch; fewer are measured if a step of a single thread would take too long.
    """

    arch: str
    channels: int
    classes: int
    size: int
    width: int
    images: int

    @classmethod
    def of(cls, recipe: Recipe) -> Step:
        """Return the step of an evaluation of this recipe; of a network of a plugin, a ConvNet's."""
        row = data.info(recipe.target)
        arch = "convnet3" if networks.info(recipe.arch).plugin else recipe.arch
        images = min(256, len(row.classes) * recipe.ipc)
        return cls(arch, row.channels, len(row.classes), recipe.size, recipe.width, images)


def division(recipes: Sequence[Recipe], cells: int, cores: int) -> Division:
    """Return how to divide the cores among agents for the cells of a sweep, from the cache or measured.

    The threads depend on the whole sweep, not on what is left of it: a cell that is resumed has as many as before.

    Args:
        recipes: the recipes of the sweep; the most common kind of step is measured.
        cells: number of cells; more agents would have nothing to do.
        cores: CPU cores of this process.
    """
    most = max(1, min(cores, cells, device.memory() // MEMORY))
    ways = candidates(cores, most)
    if len(ways) == 1:
        return ways[0]
    step, path = Counter(map(Step.of, recipes)).most_common(1)[0][0], files.cache_dir() / FILE
    key, known = _key(step, cores, most), _read(path)
    if {(threads, agents) for threads, agents, _ in known.get(key, ())} != {astuple(way) for way in ways}:
        rates = _measured(step, ways)
        if not rates:
            threads = min(USUAL, cores)
            return Division(threads, min(most, cores // threads))
        known = _read(path) | {key: [[*astuple(way), rate] for way, rate in rates.items()]}
        try:
            files.write_json(path, known)
        except UserError as error:  # a full disk, or a folder that cannot be written: it is measured again
            logger.info("%s", error)
    return choose({Division(threads, agents): rate for threads, agents, rate in known[key]})


def candidates(cores: int, most: int) -> list[Division]:
    """Return the ways to divide the cores among at most ``most`` agents, by their threads.

    The numbers of threads are the powers of two, all cores, and the cores divided by the largest number of agents.
    """
    threads = {2**power for power in range(cores.bit_length())} | {cores, cores // most}
    return [Division(each, min(most, cores // each)) for each in sorted(threads)]


def choose(rates: Mapping[Division, float]) -> Division:
    """Return the division with the most threads whose rate is at least ``LEAST`` of the best."""
    best = max(rates.values())
    return max((way for way, rate in rates.items() if rate >= LEAST * best), key=lambda way: way.threads)


def _key(step: Step, cores: int, most: int) -> str:
    """Everything that the rates depend on, as text."""
    processor = platform.processor() or platform.machine()
    return json.dumps([processor, platform.node(), cores, most, version("torch"), *astuple(step)])


def _read(path: Path) -> dict[str, Any]:
    """The measurements of the cache; empty if there are none, or the file is damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        for rates in known.values():
            for threads, agents, rate in rates:
                if not (threads >= 1 and agents >= 1 and rate > 0):
                    return {}
        return dict(known)
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _measured(step: Step, ways: Sequence[Division]) -> dict[Division, float]:
    """Measure in a process of its own; empty if it fails, which is no reason not to launch."""
    order = {"step": asdict(step), "ways": [astuple(way) for way in ways], "parent": os.getpid()}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ddsweep.launchers.calibration"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        rates = [float(rate) for rate in json.loads(done.stdout.splitlines()[-1])]
        if not all(rate > 0 for rate in rates):
            raise ValueError(f"the rates are {rates}")
        return dict(zip(ways, rates, strict=True))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, TypeError) as error:
        logger.info("how to divide the cores was not measured: %s", error)
        return {}


def measure(step: Step, way: Division, seconds: float) -> float:
    """Return the steps per second of all agents of ``way`` together, each imitated by a process.

    The processes are copies of this one (``fork``), which has imported torch but computed nothing yet: they start at
    once and, as agents do, each has threads of its own.
    """
    import multiprocessing

    context = multiprocessing.get_context("fork")
    start, rates = context.Barrier(way.agents), context.SimpleQueue()
    crew = [
        context.Process(target=_imitate, args=(step, way.threads, seconds, start, rates)) for _ in range(way.agents)
    ]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    if any(one.exitcode for one in crew):
        raise RuntimeError(f"a process of {way} ended with status {max(one.exitcode or 0 for one in crew)}")
    return sum(rates.get() for _ in crew)


def _imitate(step: Step, threads: int, seconds: float, start: Any, rates: Any) -> None:
    """Run training steps as an agent does, from the moment at which all processes are ready."""
    import torch

    from ddsweep import flops, nn
    from ddsweep.nn.measure import cross_entropy

    torch.set_num_threads(threads)
    shape = {"channels": step.channels, "classes": step.classes, "size": step.size, "width": step.width}
    net = nn.build(step.arch, **shape, generator=torch.Generator())
    each = 3 * flops.forward(step.arch, step.channels, step.classes, step.size, step.width)
    count = max(FEWEST, min(step.images, int(OPERATIONS / each)))
    images, labels = torch.zeros(count, step.channels, step.size, step.size), torch.arange(count) % step.classes
    cross_entropy(net, images, labels).backward()
    start.wait(PATIENCE)
    began, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - began < seconds:
        cross_entropy(net, images, labels).backward()
        steps += 1
    rates.put(steps / (time.perf_counter() - began))


def main() -> None:
    """Measure what the standard input asks for, and print the rates as JSON."""
    from ddsweep import environment, processes

    order = json.load(sys.stdin)
    processes.end_with(order["parent"])
    environment.set_up()
    import torch  # noqa: F401 - before the processes are copied

    step, ways = Step(**order["step"]), [Division(*way) for way in order["ways"]]
    rounds = [[measure(step, way, SECONDS / len(ways) / ROUNDS) for way in ways] for _ in range(ROUNDS)]
    sys.stdout.write(json.dumps([max(rates) for rates in zip(*rounds, strict=True)]) + "\n")


if __name__ == "__main__":
    main()

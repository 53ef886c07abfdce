"""The queue with 1,000, 10,000, and 100,000 points: claims per second, and the cost of every query.

``python -m benchmarks.queue [--storage sqlite|postgresql://…] [--points 1000,10000,100000] [--agents 256] [--json]``.
Agents only claim and complete points, as fast as they can, in threads of two processes per CPU core. Every size is a
separate sweep in the same storage, so that the larger sweeps share it with the rows of the smaller ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from ddsweep.backends import Definition, Point, State, connect
from ddsweep.backends.claim import Claim
from ddsweep.backends.optuna.backend import OptunaBackend

ATTRIBUTES = {"accuracy_std": 0.004, "accuracy_min": 0.60, "accuracy_max": 0.62, "seconds": 12.5, "device": "cuda:0"}
MOST_CLAIMS = 2000  # in one measurement; the rest of the grid stays waiting, so claims have to search it


@dataclass(frozen=True)
class Measurement:
    """The measurements of one sweep size.

    Attributes:
        points: cells of the sweep.
        register_s: seconds to register it.
        again_s: seconds to register it once more, unchanged.
        claims: points claimed and completed by all agents.
        claims_per_s: claims per second.
        beat_ms: milliseconds per heartbeat; this and all of the following with no other agent running.
        claim_ms: milliseconds per claim.
        drained_ms: milliseconds of an idle agent's query.
        reconcile_ms: milliseconds of an idle agent's cleanup of dead agents.
        list_s: seconds to read the names of the sweeps.
        status_s: seconds to read the state of every point (``status``).
        results_s: seconds to read the sweep as it was launched (``results`` and every new agent).
    """

    points: int
    register_s: float
    again_s: float
    claims: int
    claims_per_s: float
    beat_ms: float
    claim_ms: float
    drained_ms: float
    reconcile_ms: float
    list_s: float
    status_s: float
    results_s: float


def grid(name: str, points: int) -> Definition:
    """Return a sweep of ``points`` cells over four axes."""
    axes = ([0.0, 1.0, 10.0, 100.0, 1000.0], ["dc", "dm"], [1, 10], range(-(-points // 20)))
    cells = [
        Point(
            f"{index:016x}", dict(zip(("alpha", "method", "ipc", "seed"), values, strict=True)), f"{index:016x}", "cell"
        )
        for index, values in enumerate(itertools.islice(itertools.product(*axes), points))
    ]
    return Definition(name, cells, {"axis": ["alpha"]})


def measure(storage: str, points: int, agents: int, processes: int) -> Measurement:
    """Register a sweep of ``points`` cells, run ``agents`` on it, and time the commands' queries."""
    store, name = connect(storage), f"grid-{points}@bench"
    backend, sweep = store.sweep(name), grid(name, points)
    try:
        register, again = (seconds(lambda: backend.register(sweep)) for _ in range(2))
        claims = min(points // 2, MOST_CLAIMS)
        claiming = crowd(storage, name, agents, processes, claims)
        if (done := backend.status().count(State.COMPLETE)) < claims:
            raise RuntimeError(f"{done} points are complete, of {claims} that were claimed")
        return Measurement(
            points, register, again, claims, claims / claiming, **_moments(backend), list_s=seconds(store.names),
            status_s=seconds(backend.status), results_s=seconds(lambda: store.load_definition(name)),
        )  # fmt: skip
    finally:
        store.close()


def _moments(backend: OptunaBackend) -> dict[str, float]:
    """Return the milliseconds (best of five) of an agent's frequent operations."""

    def best(work: Callable[[], object]) -> float:
        return 1e3 * min(seconds(work) for _ in range(5))

    held: list[Claim] = []

    def claim() -> None:
        one = backend.claim("bench")
        if one is None:
            raise RuntimeError("nothing is left to claim")
        held.append(one)

    moments = {"claim_ms": best(claim), "beat_ms": best(held[0].heartbeat)}
    for one in held:
        one.release()
    return moments | {"drained_ms": best(backend.drained), "reconcile_ms": best(backend.reconcile)}


def crowd(storage: str, name: str, agents: int, processes: int, claims: int) -> float:
    """Return the seconds in which ``agents`` together claim and complete ``claims`` points, without their start-up."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ddsweep.backends.optuna"])
    gates = [context.Barrier(processes + 1) for _ in range(3)]  # all are ready; start; are done
    shares = [len(range(index, agents, processes)) for index in range(processes)]
    work = [len(range(index, claims, processes)) for index in range(processes)]
    crew = [
        context.Process(target=_some_agents, args=(storage, name, threads, share, gates))
        for threads, share in zip(shares, work, strict=True)
    ]
    for process in crew:
        process.start()
    gates[0].wait()
    took = seconds(lambda: [gate.wait() for gate in gates[1:]])
    for process in crew:
        process.join()
    if any(process.exitcode for process in crew):
        raise RuntimeError(f"agents ended with {[process.exitcode for process in crew]}")
    return took


def _some_agents(storage: str, name: str, threads: int, claims: int, gates: Sequence[Barrier]) -> None:
    """Run the agents of one process."""
    store, left = connect(storage), iter(range(claims))
    backend, lock, failed = store.sweep(name), threading.Lock(), []

    def agent(number: int) -> None:
        try:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                claim = backend.claim(f"bench:{os.getpid()}:{number}")
                if claim is None or not claim.complete(0.61, ATTRIBUTES):
                    raise RuntimeError("a point was lost")
        except BaseException as error:
            failed.append(error)
            raise

    crew = [threading.Thread(target=agent, args=(number,)) for number in range(threads)]
    gates[0].wait()
    gates[1].wait()
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    gates[2].wait()
    store.close()
    raise SystemExit(len(failed))


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def growth(found: Sequence[Measurement]) -> list[dict[str, float]]:
    """Return by which factors the points and each time grow from one size to the next (quadratic: the square)."""
    times = ("register_s", "again_s", "claim_ms", "drained_ms", "reconcile_ms", "status_s", "results_s")
    return [
        {"points": large.points / small.points} | {one: getattr(large, one) / getattr(small, one) for one in times}
        for small, large in itertools.pairwise(found)
    ]


def main() -> None:
    """Run the benchmark and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--storage", default="sqlite", help="sqlite (a temporary file), or the URL of an empty database"
    )
    parser.add_argument("--points", default="1000,10000,100000", help="sizes of the sweeps")
    parser.add_argument("--agents", type=int, default=256)
    parser.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.points.split(",")]
    processes = min(asked.processes, asked.agents)
    with tempfile.TemporaryDirectory() as folder:
        storage = str(Path(folder, "queue.db")) if asked.storage == "sqlite" else asked.storage
        found = [measure(storage, size, asked.agents, processes) for size in sizes]
    if asked.json:
        print(json.dumps({"sizes": [asdict(one) for one in found], "growth": growth(found)}, indent=2))
        return
    print(f"{asked.agents} agents in {processes} processes")
    for field in asdict(found[0]):
        print(f"{field:14}" + "".join(f"{getattr(one, field):12,.4g}" for one in found))
    for step in growth(found):
        print("growth   " + "   ".join(f"{name} ×{factor:.1f}" for name, factor in step.items()))


if __name__ == "__main__":
    main()

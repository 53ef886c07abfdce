"""Two hosts, one database, nothing else shared; one loses its network for longer than its lease. No mocks."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from PIL import Image

from ddsweep import sweep
from ddsweep.backends import State, connect
from ddsweep.backends.optuna.backend import OptunaBackend, OptunaStore
from ddsweep.backends.rules import Phase
from ddsweep.cli import options, session
from tests.cli.conftest import TINY, write_profile
from tests.docs.page import page
from tests.lab import PASSWORD, Host, Lab, lab

GUIDE = page("docs/clusters.md")
NAME = "ablation-alpha"
CELL = [setting for setting in TINY if "iterations" not in setting] + ["iterations=300"]  # two seconds
ALPHAS = list(range(24))
LATER = [*ALPHAS, 50, 51, 52]
PATIENCE = 240.0  # seconds for anything to happen


@pytest.fixture
def store(network: Lab) -> Iterator[OptunaStore]:
    one = connect(network.url)
    yield one
    one.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as one:
        yield one


def grid(alphas: list[int]) -> list[str]:
    return [*CELL, f"alpha={','.join(map(str, alphas))}"]


def wait(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.2)


def completed(backend: OptunaBackend) -> Counter[str]:
    """Completions by host."""
    return Counter(one.agent.split(":")[0] for one in backend.attempts() if one.phase is Phase.COMPLETE)


def at_work(backend: OptunaBackend, host: Host) -> bool:
    """Whether a host has finished a cell and holds another."""
    own = {one.phase for one in backend.attempts() if one.agent.startswith(f"{host.name}:")}
    return own >= {Phase.COMPLETE, Phase.RUNNING}


def lost(backend: OptunaBackend, host: Host) -> int:
    return sum(one.reason.startswith(f"lost: no heartbeat from {host.name}:") for one in backend.attempts())


def table(host: Host, name: str) -> tuple[object, str]:
    done = host.run("results", name, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.postgres
def test_a_host_that_loses_its_network_for_longer_than_its_lease(
    network: Lab, store: OptunaStore, tmp_path: Path
) -> None:
    red, blue = network.hosts.values()
    first = sweep.load(NAME, "demo", options.settings(grid(ALPHAS)))
    chosen = [f"--set={setting}" for setting in grid(ALPHAS)]
    backend = store.sweep(first.full_name)
    began = time.monotonic()
    launcher = red.start(
        "launch", NAME, "--profile=demo", *chosen, "--workers=1", "--device=cpu", log=tmp_path / "red.log"
    )
    agent: subprocess.Popen[bytes] | None = None
    try:
        wait(lambda: first.full_name in store.names(), "red registered the sweep")
        agent = blue.start("agents", first.full_name, "--workers=1", "--device=cpu", log=tmp_path / "blue.log")
        wait(lambda: at_work(backend, blue) or backend.drained(), "blue has finished a cell and holds one")
        assert at_work(backend, blue), "red was done before blue had begun"

        network.cut(blue)
        cut = time.monotonic()
        wait(backend.drained, "red has done what blue could not")
        dark = time.monotonic() - cut
        assert launcher.wait(PATIENCE) == 0, (tmp_path / "red.log").read_text()
        assert lost(backend, blue) == 1
        at_home = completed(backend)["blue"]
        backend.register(session.definition(sweep.load(NAME, "demo", options.settings(grid(LATER)))))
        assert agent.poll() is None, (tmp_path / "blue.log").read_text()

        network.heal(blue)
        assert agent.wait(PATIENCE) == 0, (tmp_path / "blue.log").read_text()
    finally:
        for process in (launcher, agent):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    said = "".join(log.read_text() for log in (blue.home / "runs").glob("*/agents/*.log"))
    rows, attempts = backend.status().rows, backend.attempts()
    completions = Counter(one.point.id for one in attempts if one.phase is Phase.COMPLETE)
    dropped = len(re.findall("the lease was lost, the .* is dropped", said))
    print(
        f"\n{len(rows)} cells, {len(attempts)} attempts, {dict(completed(backend))} completions, blue dark for "
        f"{dark:.0f} s, {lost(backend, blue)} lease lost, {dropped} late result dropped, "
        f"{completed(backend)['blue'] - at_home} cells by blue after healing; {time.monotonic() - began:.0f} s"
    )
    assert completions == {row.point.id: 1 for row in rows}
    assert len(rows) == len(LATER)
    assert {row.state for row in rows} == {State.COMPLETE}
    assert dropped == 1
    assert completed(backend)["blue"] - at_home == len(LATER) - len(ALPHAS), "blue worked on"

    keys = [row.point.key for row in rows]
    assert store.kept(keys) == set(keys)
    before = {host.name: sum((host.home / "runs" / key).is_dir() for key in keys) for host in (red, blue)}
    assert all(count < len(keys) for count in before.values()), f"each host had everything: {before}"
    (on_red, red_said), (on_blue, blue_said) = table(red, first.full_name), table(blue, first.full_name)
    assert on_red == on_blue
    assert (red_said, blue_said) == ("", "")
    assert pictures(store, backend) >= 2 * len(rows)


def pictures(store: OptunaStore, backend: OptunaBackend) -> int:
    """How many pictures the dashboard has, from either host; each of them opens."""
    trials = [one for one in backend.study().get_trials() if one.state is TrialState.COMPLETE]
    found = [meta for one in trials for meta in get_all_artifact_meta(one, storage=store.database.rdb)]
    for meta in found:
        with store.pictures.open_reader(meta.artifact_id) as reader, Image.open(reader) as picture:
            picture.verify()
    return len(found)


@pytest.mark.postgres
def test_the_walk_through(network: Lab) -> None:
    """Every `ddsweep` command of docs/clusters.md, on the host that its prompt names, in its order."""
    commands = [(command.host, command.words[1:]) for command in GUIDE.commands if command.host]
    assert {words[0] for _, words in commands} == {"launch", "agents", "status", "results", "plot"}
    for host in network.hosts.values():
        write_profile(*TINY, folder=host.home)
    smaller = {"launch": ["--set=alpha=0,1", "--workers=1", "--device=cpu"], "agents": ["--workers=1", "--device=cpu"]}
    for name, command in commands:
        done = network.hosts[name].run(*command, *smaller.get(command[0], []))
        assert (done.returncode, PASSWORD in done.stdout + done.stderr) == (0, False), f"{command}\n{done.stderr}"
    assert len(list((network.hosts["blue"].home / "runs").glob("*/result.json"))) == 2

"""Every command that ddsweep prints is complete: typed as it stands, it does what the line says (docs/names.md)."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml

import ddsweep as package
from ddsweep import again, trial
from ddsweep.cli import app
from ddsweep.results.result import Result
from tests.cli.conftest import TINY, Run, write_profile
from tests.sweep.examples import minimal

GROUP: Any = typer.main.get_command(app)
ROOT = Path(package.__file__).parent
NAMES = "|".join(GROUP.commands)
COMMAND = re.compile(rf"ddsweep (?:{NAMES})\b[^\n`·;→]*?(?=$|\s{{3,}}|`|; |\)|\n)", re.MULTILINE)
HERE = ("--workers", "0", "--device", "cpu")
PLACE = ("--runs", "else where")
# where the source has a command, and the tests of this module that provoke it; "elsewhere": where it is provoked
PLACES = {
    ("backends/wandb/backend.py", "run"): "tests/backends/wandb",
    ("cli/account.py", "sync"): "tests/cli/test_account.py",
    ("cli/agents.py", "results"): "stop",
    ("cli/app.py", "again"): "tests/cli/test_signals.py",
    ("cli/cleaning.py", "clean"): "clean",
    ("cli/confirm.py", "status"): "tests/cli/test_confirm.py",
    ("cli/copy.py", "launch"): "copy",
    ("cli/data.py", "data"): "tests/cli/test_data.py",
    ("cli/doctor.py", "launch"): "doctor",
    ("cli/estimate.py", "launch"): "tests/cli/test_estimate.py",
    ("cli/interrupt.py", "again"): "tests/cli/test_interrupt.py",
    ("cli/plot.py", "status"): "stop",
    ("cli/requeue.py", "again"): "tests/cli/test_other_images.py",
    ("cli/requeue.py", "run"): "tests/cli/test_damage.py",
    ("cli/session.py", "again"): "failed",
    ("cli/session.py", "dashboard"): "launch",
    ("cli/session.py", "plot"): "tests/cli/test_after_the_work.py",
    ("cli/session.py", "report"): "launch",
    ("cli/session.py", "results"): "tests/cli/test_after_the_work.py",
    ("cli/session.py", "sync"): "tests/cli/test_launch_wandb.py",
    ("cli/status.py", "agents"): "failed",
    ("cli/stop.py", "agents"): "stop",
    ("cli/submission.py", "again"): "tests/launchers/slurm",
    ("cli/submission.py", "status"): "tests/launchers/slurm",
    ("cli/submission.py", "stop"): "tests/launchers/slurm",
    ("cli/wandb_session.py", "again"): "tests/cli/test_launch_wandb.py",
    ("cli/wandb_session.py", "report"): "tests/cli/test_launch_wandb.py",
    ("data/archives.py", "data"): "tests/data/test_published.py",
    ("data/bias/sources.py", "data"): "biased",
    ("data/store.py", "data"): "pool",
    ("doctor/cache.py", "clean"): "doctor",
    ("doctor/cache.py", "pretrain"): "tests/doctor/test_cache.py",
    ("doctor/disk.py", "clean"): "doctor",
    ("doctor/storage.py", "agents"): "doctor",
    ("doctor/wandb.py", "sync"): "doctor",
    ("estimate/forecast.py", "pretrain"): "tests/estimate/test_forecast.py",
    ("launches.py", "launch"): "damaged",
    ("nn/foundation.py", "pretrain"): "tests/pretrained/test_published.py",
    ("overview.py", "launch"): "damaged",
    ("overview.py", "pretrain"): "foundation",
    ("overview.py", "results"): "show",
    ("pretrained/published.py", "pretrain"): "tests/pretrained/test_published.py",
    ("cli/pool.py", "pretrain"): "pool",
    ("report/page.py", "report"): "report",
    ("results/tables/ranking.py", "launch"): "search",
    ("results/tables/significance.py", "launch"): "launch",
    ("sweep/copying.py", "launch"): "copy",
    ("sweep/identity.py", "again"): "names",
    ("sweep/identity.py", "launch"): "names",
    ("trackers/wandb_run.py", "sync"): "tests/trackers/test_wandb.py",
}
# strings that name a command without telling anybody to type it
NAMED = {
    ("cli/export.py", ", written by ddsweep export --wandb\n"),
    ("cli/sync.py", "another `ddsweep sync` is running in "),
    ("exchange/image_set.py", ", which ddsweep export does not write"),
    ("exchange/integrity.py", ", which ddsweep export does not write"),
    ("sweep/copying.py", "# ddsweep launch "),  # the first line of the sweeps that ship
}


def commands(text: str) -> list[str]:
    """The commands in a text; those in the prose of ``--help`` are none."""
    return [found.group().rstrip(" .,)") for found in COMMAND.finditer(text)]


def check(line: str) -> list[str]:
    """Parse a command as the shell and the command line do; its words."""
    words = shlex.split(line)[1:]
    assert not [word for word in words if re.fullmatch(r"[A-Z]+|.*…", word)], f"a placeholder in: {line}"
    group, name, rest = GROUP, words[0], words[1:]
    if hasattr(group.commands[name], "commands"):
        group, name, rest = group.commands[name], rest[0], rest[1:]
    group.commands[name].make_context(name, list(rest)).close()  # raises if an option or a value is unknown
    return words


def source() -> Iterator[tuple[str, str, str]]:
    """File, command and text of every place in the source that has a command."""
    for path in sorted(ROOT.rglob("*.py")):
        tree, file = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        if file == "cli/commands.py":  # the prose of --help
            continue
        prose = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
            if isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                for found in re.finditer(rf"ddsweep ({NAMES})\b", node.value):
                    yield file, found[1], node.value
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if called in ("again.command", "again.to_resume"):
                    yield file, "again", ast.unparse(node)
                if called == "again.other":
                    yield file, ast.literal_eval(node.args[0]), ast.unparse(node)
                if called == "again.written" and ast.unparse(node.args[0]) == "'ddsweep'":
                    yield file, ast.literal_eval(node.args[1]), ast.unparse(node)


def test_every_place_that_prints_a_command_is_listed() -> None:
    found = {(file, name) for file, name, text in source() if (file, text) not in NAMED}
    assert found == set(PLACES), "a new place needs a test that provokes it"
    tests = globals()
    for where in set(PLACES.values()):
        known = (Path(__file__).parents[2] / where).exists() if where.startswith("tests/") else f"test_{where}" in tests
        assert known, where


def test_every_place_writes_options_that_the_command_has() -> None:
    for file, name, text in source():
        if text.startswith(("again.other(", "again.written(")) and name in GROUP.commands:
            command = GROUP.commands[name]
            if subcommands := getattr(command, "commands", None):
                command = subcommands[re.findall(r"'([a-z-]+)'", text)[1]]
            known = {option for parameter in command.params for option in parameter.opts}
            written = set(re.findall(r"'(--[a-z-]+)'", text))
            assert written <= known, (file, text)


def test_the_place_is_given_where_the_command_has_it() -> None:
    again.remember(["launch", "x", "--runs", "a b", "--storage=sqlite:///x.db"])
    for name, command in GROUP.commands.items():
        known = {option for parameter in command.params for option in parameter.opts}
        words = shlex.split(again.other(name))[2:]
        wanted = ["--runs", "a b"] * ("--runs" in known) + ["--storage=sqlite:///x.db"] * ("--storage" in known)
        assert words == wanted, name


@pytest.fixture(autouse=True)
def small() -> None:
    write_profile(*TINY)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials take no time, and are nothing but their accuracy."""

    def run(recipe: Any, *rest: Any, **more: Any) -> Result:
        return Result(recipe, {"convnet3": [0.5, 0.6]})

    monkeypatch.setattr(trial, "run", run)
    monkeypatch.setattr("ddsweep.agent.worker.IDLE_SECONDS", 0.01)


def mine(name: str = "my sweep.yaml", **block: Any) -> str:
    parameters = {"alpha": {"values": [0, 1]}, "ipc": {"value": 2}}
    document = minimal(parameters=parameters)
    document["x-ddsweep"] |= block
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return name


def typed(ddsweep: Run, line: str, *more: str) -> str:
    """Run a printed command; its output."""
    words = check(line)
    done = ddsweep(*words, *more)
    assert done.exit_code == 0, (line, done.output)
    return done.output


def by_name(text: str) -> dict[str, str]:
    """The printed commands by their first word, each of which was parsed."""
    found = commands(text)
    for line in found:
        check(line)
    return {shlex.split(line)[1]: line for line in found}


def test_biased(ddsweep: Run) -> None:
    torch.save({}, "MNIST_align0.5_severity_2.pth")
    refused = ddsweep("data", "fetch", "cmnist:align=0.5,severity=2", "--from", "MNIST_align0.5_severity_2.pth")
    assert refused.exit_code == 2
    line = by_name(refused.stderr)["data"]
    assert shlex.split(line)[3:5] == ["cmnist-dd:align=0.5,severity=2", "--from"]


def test_launch(ddsweep: Run) -> None:
    launched = ddsweep("launch", mine(), "-p", "demo", "--set", "ipc=3", "--set", "alpha=0,7", *HERE, *PLACE)
    assert launched.exit_code == 0, launched.output
    found = by_name(launched.output)
    assert {"launch", "dashboard", "report"} <= found.keys()
    assert "else where" in typed(ddsweep, found["report"])
    said = typed(ddsweep, found["launch"], *HERE)
    assert "2 cells kept, 10 added" in said, "six seeds of the same two α, not those of the file"
    assert not Path("runs").exists()


def test_report(ddsweep: Run, quick: None) -> None:
    ddsweep("launch", mine(), "-p", "demo", "--set", "ipc=3", *HERE, *PLACE)
    assert ddsweep("report", "my sweep,ipc=3@demo", *PLACE).exit_code == 0
    page = Path("else where/my sweep,ipc=3@demo/report.html").read_text(encoding="utf-8")
    (line,) = re.findall(r"<code>(ddsweep report .*?)</code>", page)
    assert "report.html" in typed(ddsweep, line.replace("&#39;", "'"))


def test_failed(ddsweep: Run, monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    working = trial.run

    def broken(*rest: Any, **more: Any) -> Result:
        raise OSError("no such disk")

    monkeypatch.setattr(trial, "run", broken)
    launched = ddsweep("launch", mine(), "-p", "demo", "--set", "ipc=3", *HERE, *PLACE)
    assert launched.exit_code == 1
    found = by_name(launched.output)
    status = by_name(ddsweep("status", *PLACE).output)
    monkeypatch.setattr(trial, "run", working)
    assert "--retry-failed" in found["launch"]
    assert "done 2/2" in typed(ddsweep, status["agents"], *HERE)
    assert "2 cells kept, 0 added" in typed(ddsweep, found["launch"])


def test_stop(ddsweep: Run, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    working = trial.run
    answers: list[str] = []

    def run(recipe: Any, *rest: Any, **more: Any) -> Result:
        if not answers:
            answers.append(ddsweep("stop", "my sweep@demo", *PLACE).output)
        return working(recipe, *rest, **more)

    monkeypatch.setattr(trial, "run", run)
    launched = ddsweep("launch", mine(), "-p", "demo", *HERE, *PLACE)
    assert "stopped on request" in launched.output
    (line,) = commands(answers[0])
    added = typed(ddsweep, line, *HERE)
    assert "done 2/2" in added
    typed(ddsweep, by_name(added)["results"])
    typed(ddsweep, by_name(launched.output)["launch"])


def test_damaged(ddsweep: Run) -> None:
    words = ("launch", mine("sweeps/mine.yaml"), "-p", "demo", "--set", "ipc=3", "--set", "alpha=0,7")
    assert ddsweep(*words, *HERE, *PLACE).exit_code == 0
    for path in Path("else where").glob("*/result.json"):
        path.write_text("{")
    outputs = [ddsweep(one, "mine,ipc=3@demo", *PLACE).output for one in ("results", "status")]
    lines = {by_name(output)["launch"] for output in outputs}
    assert len(lines) == 1, "both say the same"
    check(by_name(ddsweep("show", "mine,ipc=3@demo", *PLACE).output)["launch"])
    assert "2 cells kept, 0 added" in typed(ddsweep, lines.pop(), *HERE)
    assert len(list(Path("else where").glob("*/result.json"))) == 2
    for path in Path("else where").glob("*/synthetic.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    plotted = ddsweep("plot", "mine,ipc=3@demo", "--kind", "grid", *PLACE)
    assert "2 cells kept, 0 added" in typed(ddsweep, by_name(plotted.stderr)["launch"], *HERE)


def test_show(ddsweep: Run, quick: None) -> None:
    ddsweep("launch", mine(), "-p", "demo", *HERE, *PLACE)
    shown = ddsweep("show", "my sweep.yaml", "-p", "demo", "--set", "alpha=1", *PLACE)
    assert "α" in typed(ddsweep, by_name(shown.output)["results"])


def test_foundation(ddsweep: Run) -> None:
    shown = ddsweep("show", "table3")
    assert by_name(shown.output)["pretrain"] in ("ddsweep pretrain imagenet", "ddsweep pretrain internet")


def test_copy(ddsweep: Run) -> None:
    copied = ddsweep("copy", "ablation-alpha@demo", "my sweep.yaml", *PLACE, "--storage", "sqlite:///else.db")
    assert copied.exit_code == 0, copied.output
    (line,) = commands(copied.output)
    assert check(line) == ["launch", "my sweep.yaml", *PLACE, "--storage", "sqlite:///else.db"]
    head = Path("my sweep.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert check(head.removeprefix("# ")) == ["launch", "my sweep.yaml"]


def test_names(ddsweep: Run, quick: None) -> None:
    ddsweep("launch", mine(), "-p", "demo", "--as", "few", *HERE, *PLACE)
    ddsweep("launch", "my sweep.yaml", "-p", "demo", *HERE, *PLACE)
    words = ("launch", mine("x/my sweep.yaml", title="Another question?"), "-p", "demo", *HERE, *PLACE)
    refused = [ddsweep(*words, *more) for more in (("--as", "few"), ())]
    assert [one.exit_code for one in refused] == [2, 2]
    resume, rename = (commands(one.stderr)[-1] for one in refused)
    assert "2 cells kept, 0 added" in typed(ddsweep, resume, *HERE)
    assert typed(ddsweep, rename).startswith("my-sweep-2@demo\n")


def test_search(ddsweep: Run) -> None:
    document = minimal(method="random", run_cap=2, parameters={"alpha": {"min": 1, "max": 9}})
    del document["x-ddsweep"]["baseline"]
    Path("searched.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    launched = ddsweep("launch", "searched.yaml", "-p", "demo", *HERE, *PLACE)
    assert launched.exit_code == 0, launched.output
    line = by_name(launched.output)["launch"]
    assert "--confirm" in line
    assert typed(ddsweep, line, *HERE).startswith("searched-confirm@demo\n")


def test_clean(ddsweep: Run, quick: None) -> None:
    ddsweep("launch", mine(), "-p", "demo", *HERE, *PLACE)
    found = commands(ddsweep("clean", *PLACE).output)
    assert found
    for line in found:
        typed(ddsweep, line, "--dry-run")


def test_pool(ddsweep: Run) -> None:
    assert by_name(ddsweep("pool").stderr) == {"pretrain": "ddsweep pretrain shapes"}
    refused = ddsweep("data", "verify", "digits")
    assert refused.exit_code == 2
    typed(ddsweep, by_name(refused.stderr)["data"])
    typed(ddsweep, "ddsweep data verify digits")


def test_nothing_launched(ddsweep: Run) -> None:
    for words in (("status",), ("results", "ablation-alpha@demo"), ("report", "x@demo")):
        refused = ddsweep(*words, *PLACE)
        assert refused.exit_code == 2
        (line,) = commands(refused.stderr)
        assert check(line) == ["launch", "ablation-alpha", "--profile", "demo", *PLACE]


def test_doctor() -> None:
    from ddsweep.cli import doctor
    from ddsweep.doctor import cache, disk, storage, wandb

    again.remember(["doctor", *PLACE, "--storage", "sqlite:///x.db"])
    silent = storage.Storage("x.db", True, silent=(storage.Silent("my sweep@demo", "node7:1", 2, 400.0),))
    disks = [disk.Disk("runs", Path("runs"), Path(), True, True, 0, 10**12, inodes) for inodes in (0, None)]
    findings = [
        *wandb.unsynced(wandb.Account(unsynced=2)),
        *wandb.login(wandb.Account(login="netrc", problem="unreachable")),
        *storage.leases(silent),
        *disk.judge([*disks, disk.Disk("runs", Path("runs"), Path(), True, True, int(disk.COMFORTABLE) - 1, 10**13)]),
        *cache.leftovers(cache.Cache(Path("cache"), {}, {}, leftovers=(2, 10))),
    ]
    lines = [line for text in (*(one.fix for one in findings), doctor.summary(0, 0)) for line in commands(text)]
    words = [check(line.split(", or free disk space")[0]) for line in lines]
    assert [one[0] for one in words] == ["sync", "sync", "agents", "clean", "clean", "clean", "clean", "launch"]
    assert all("else where" in one for one in words)
    assert words[2][1] == "my sweep@demo"

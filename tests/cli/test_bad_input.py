"""Bad input: one line that names the field, exit status 2, nothing lost, never a traceback."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from ddsweep import checked_files, files, sweep
from ddsweep.results.result import Result
from tests.cli.conftest import Run

SET = ["launch", "ablation-alpha@demo", "--workers", "0", "-d", "cpu", "--set"]


def images(root: str, classes: dict[str, int]) -> None:
    from PIL import Image

    for name, count in classes.items():
        (Path(root) / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (8, 8), (index, 0, 0)).save(Path(root) / name / f"{index}.png")


def refused(result, line: str) -> None:
    assert result.exit_code == 2, result.output
    assert line in result.stderr
    assert [text[:7] for text in result.stderr.splitlines()] == ["error: "], result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["launch", "ablation-alpa"], "unknown sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        (["show", "ablation-alpha", "-p", "dem"], "unknown profile 'dem'; did you mean demo?"),
        (["show", "ablation-alpha@demo", "-p", "paper"], "name different profiles"),
        ([*SET, "alhpa=1"], "alhpa: unknown parameter; did you mean alpha?"),
        ([*SET, "alpha"], "'alpha': write KEY=VALUE"),
        ([*SET, "ipc=ten"], "ipc: 'ten' is text, not a whole number"),
        ([*SET, "ipc=0"], "ipc: 0 is not allowed; input should be greater than or equal to 1"),
        ([*SET, "ipc=117"], "ipc: 117 is more than the 116 images of a class in digits"),
        ([*SET, "target=imagefolder:/no/where"], "imagefolder: folder not found: '/no/where'"),
        (
            ["show", "ablation-alpha@demo", "--set", "source=shapes", "--set", "regularizer=clom"],
            "use cclom, or source: target",
        ),
        (
            ["launch", "ablation-alpha@demo", "--device", "gpu"],
            "unknown device 'gpu'; choose auto, cpu, cuda, cuda:N or mps",
        ),
        (
            ["launch", "ablation-alpha@demo", "--device", "cuda:7"],
            "device: cuda:7 is not available on this machine; available: cpu",
        ),
        (["run", "ablation-alpha@demo"], "has 9 cells; choose one, for example: alpha=10000"),
        (["status"], "nothing was launched in"),
        (["results", "ablation-alpha"], "nothing was launched in"),
        (["dashboard"], "nothing was launched in"),
        (["agent", "ablation-alpha", "-d", "cpu"], "nothing was launched in"),
    ],
)
def test_one_line(ddsweep: Run, words: list[str], line: str) -> None:
    refused(ddsweep(*words), line)
    assert not Path("runs").exists()


@pytest.mark.parametrize("storage", ["sqlite:///absent.db", "absent.db", "~/absent.db"])
@pytest.mark.parametrize("words", [["status"], ["results", "ablation-alpha"], ["agents", "ablation-alpha@demo"]])
def test_commands_that_read_create_no_database(
    ddsweep: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], storage: str
) -> None:
    """As when a relative path is used in another folder: an empty database would look like an empty sweep."""
    monkeypatch.setenv("HOME", str(Path.cwd()))
    refused(ddsweep(*words, "--storage", storage), f"nothing was launched in {Path('absent.db').absolute()} yet")
    assert not Path("absent.db").exists()


def test_the_home_folder_in_variables(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell expands ``~`` in ``--runs ~/runs``, but not in ``DDSWEEP_RUNS="~/runs"``."""
    home = Path.cwd() / "home"
    for name, value in (("HOME", str(home)), ("DDSWEEP_RUNS", "~/runs"), ("DDSWEEP_CACHE", "~/cache")):
        monkeypatch.setenv(name, value)
    refused(ddsweep("status"), f"nothing was launched in {home / 'runs'} yet")
    assert files.cache_dir() == home / "cache"


def test_a_class_without_images(ddsweep: Run) -> None:
    images("birds", {"jay": 4, "wren": 4, "empty": 0})
    refused(ddsweep(*SET, "target=imagefolder:birds"), "empty")


def test_an_unreadable_image_is_named_before_anything_runs(ddsweep: Run) -> None:
    images("birds", {"jay": 10, "wren": 10})
    Path("birds/jay/2.png").write_bytes(b"not a picture")
    refused(ddsweep(*SET, "target=imagefolder:birds"), "2.png")


@pytest.mark.parametrize(
    "words",
    [
        [*SET, "target=imagefolder:birds"],
        ["show", "ablation-alpha@demo", "--set", "target=imagefolder:birds"],
        ["run", "ablation-alpha@demo", "alpha=0", "target=imagefolder:birds"],
        ["estimate", "ablation-alpha@demo", "--set", "target=imagefolder:birds"],
        ["show", "ablation-domain@demo", "--set", "source=imagefolder:birds"],
        ["data", "fetch", "imagefolder:birds"],
        ["data", "verify", "imagefolder:birds"],
        ["pretrain", "imagefolder:birds"],
    ],
    ids=lambda words: words[0],
)
def test_a_class_whose_name_is_not_utf8_costs_no_attempt(ddsweep: Run, words: list[str]) -> None:
    images("birds", {"jay": 4, "wren": 4, os.fsdecode(b"caf\xe9"): 4})
    refused(ddsweep(*words), "has a name that is not UTF-8; rename it")
    assert not Path("runs").exists()


def test_a_sweep_file_whose_images_are_gone_does_not_disturb_others(ddsweep: Run) -> None:
    Path("sweeps").mkdir()
    text = Path(sweep.find("ablation-alpha")).read_text(encoding="utf-8")
    assert "parameters:\n" in text
    changed = text.replace("parameters:\n", "parameters:\n  target: {value: 'imagefolder:gone'}\n", 1)
    Path("sweeps/mine.yaml").write_text(changed, encoding="utf-8")
    listed = ddsweep("list", "--json")
    assert listed.exit_code == 0, listed.stderr
    assert "mine" in {row["name"] for row in json.loads(listed.stdout)}
    assert ddsweep("show", "ablation-alpha@demo").exit_code == 0
    refused(ddsweep("show", "mine"), "imagefolder: folder not found")


def test_results_are_shown_when_the_images_are_gone_or_no_longer_valid(ddsweep: Run, tiny: list[str]) -> None:
    images("birds", {"jay": 10, "wren": 10})
    words = [*SET, "alpha=0", *tiny, "--set", "target=imagefolder:birds", "--set", "size=16", "--as", "birds"]
    assert ddsweep(*words).exit_code == 0
    before = ddsweep("results", "birds@demo", "--format", "json").stdout
    assert "accuracy" in before
    Path("birds/jay/one.heic").write_bytes(bytes(9))
    refused(ddsweep(*words), "'jay' (1 .heic; for example 'one.heic')")
    assert ddsweep("results", "birds@demo", "--format", "json").stdout == before
    Path("birds").rename("moved")
    refused(ddsweep(*words), "imagefolder: folder not found")
    assert ddsweep("results", "birds@demo", "--format", "json").stdout == before


def test_an_agent_without_the_images_claims_nothing(ddsweep: Run, tiny: list[str]) -> None:
    images("birds", {"jay": 10, "wren": 10})
    words = [
        *SET,
        "alpha=0,1",
        *tiny,
        "--set",
        "target=imagefolder:allow-skipped:birds",
        "--set",
        "size=16",
        "--as",
        "birds",
    ]
    assert ddsweep(*words).exit_code == 0
    Path("birds").rename("moved")
    refused(ddsweep("agent", "birds@demo", "-d", "cpu"), "imagefolder: folder not found")


def test_what_was_never_launched_names_what_was(ddsweep: Run, tiny: list[str]) -> None:
    assert ddsweep(*SET, "alpha=0", *tiny).exit_code == 0
    for command in (["results"], ["status"], ["agent", "-d", "cpu"]):
        refused(ddsweep(*command, "ablation-alpha@paper"), "ablation-alpha@demo")


def test_a_run_folder_of_another_version_is_kept_and_computed_again(
    ddsweep: Run, tiny: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = [setting for setting in tiny if setting != "--set"]
    choices = {name: int(value) for name, value in (setting.split("=") for setting in settings)}
    recipe = sweep.load("ablation-alpha", "demo", choices | {"alpha": 0}).cells[0].recipe
    folder = Path("runs") / recipe.key()
    Result(recipe, {"convnet3": [0.5]}).write(folder)
    stored = checked_files.read_json(folder / "result.json") | {"recipe": {"colour": "red"}}
    checked_files.write_json(folder / "result.json", stored)
    answer = ddsweep("run", "ablation-alpha@demo", "alpha=0", *settings, "-d", "cpu")
    assert answer.exit_code == 0, answer.output
    assert "written by another version of ddsweep (colour: unknown parameter" in caplog.text
    (kept,) = Path("runs/replaced").glob("*/result.json")
    assert checked_files.read_json(kept) == stored


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/none",
        "sqlite:////proc/no/x.db",
        "nonsense://x",
    ],
)
def test_a_storage_that_cannot_be_reached(ddsweep: Run, url: str) -> None:
    result = ddsweep("launch", "ablation-alpha@demo", "--storage", url, "-d", "cpu")
    refused(result, "storage")
    assert "secret" not in result.output


def test_a_folder_that_cannot_be_written(ddsweep: Run) -> None:
    Path("file").write_text("")
    refused(ddsweep("launch", "ablation-alpha@demo", "--runs", "file/runs", "-d", "cpu"), "file/runs")


def test_a_port_in_use(ddsweep: Run, tiny: list[str]) -> None:
    assert ddsweep(*SET, "alpha=0", *tiny).exit_code == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(ddsweep("dashboard", "--port", str(taken.getsockname()[1])), "port")


@pytest.mark.parametrize("variable", ["DDSWEEP_RUNS", "DDSWEEP_CACHE", "DDSWEEP_STORAGE"])
def test_a_home_folder_of_nobody_in_a_variable(ddsweep: Run, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "~nobody-at-all/x")
    refused(ddsweep("show", "ablation-alpha@demo"), "~nobody-at-all/x: there is no home folder of that name")


@pytest.mark.parametrize(
    "words",
    [
        ["--runs", "~nobody-at-all/x"],
        ["--storage", "sqlite:///~nobody-at-all/x"],
        ["--set", "target=imagefolder:~nobody-at-all/x"],
    ],
)
def test_a_home_folder_of_nobody_in_an_option(ddsweep: Run, words: list[str]) -> None:
    refused(ddsweep("launch", "ablation-alpha@demo", *words), "~nobody-at-all/x: there is no home folder of that name")


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e11", "0", "-1", "1 m", ""])
def test_a_measuring_time_that_no_clock_can_end(ddsweep: Run, seconds: str) -> None:
    result = ddsweep("estimate", "ablation-alpha@demo", "--seconds", seconds)
    assert result.exit_code == 2 and "Invalid value for '--seconds'" in result.stderr

"""docs/extending.md is executed: its files are written, its commands run in their order, agents as processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ddsweep.plugins import loading, pins
from tests.cli.conftest import TINY, Run, ddsweep
from tests.docs.page import page
from tests.docs.smaller import profile, smaller
from tests.plugins.plugged import Plug, plug

__all__ = ["ddsweep", "plug"]
GUIDE = page("docs/extending.md")
FILES = {block.file: block.text for block in GUIDE.blocks if block.file.endswith(".py")}
PAGE = 60  # lines


def test_each_example_fits_on_a_page() -> None:
    assert list(FILES) == ["mtt_lite.py", "stripes.py", "mixer.py"]
    assert all(len(text.splitlines()) < PAGE for text in FILES.values())


def test_one_trial_with_all_three(plug: Plug, ddsweep: Run) -> None:
    plug(**{name.removesuffix(".py"): text for name, text in FILES.items()})
    choices = ["method=mtt-lite", "target=stripes", "arch=mixer2", "alpha=100", "ipc=1", *TINY]
    done = ddsweep("run", "ablation-alpha", *choices, "--profile", "demo", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [pin.partition("@")[0] for pin in found["recipe"]["plugins"].split("+")] == ["mixer", "mtt_lite", "stripes"]
    assert set(found["data"]) == {"stripes"}
    assert set(found["accuracies"]) == {"mixer2"}


def test_the_entry_point_of_the_page_is_the_one_that_is_looked_for() -> None:
    (text,) = (block.text for block in GUIDE.blocks if block.language == "toml")
    (group,) = tomllib.loads(text)["project"]["entry-points"]
    assert group == loading.GROUP


def test_the_line_of_the_page_is_the_one_that_is_said() -> None:
    (line,) = re.findall(r"^error: (.*)$", GUIDE.text, re.MULTILINE)
    assert line == f"plugins: mtt_lite is not available on this host; {pins.HINT}"


@pytest.mark.slow
def test_every_command(tmp_path: Path) -> None:
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    profile()
    there = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in GUIDE.commands:
        line = command.line.replace("$PWD", str(Path.cwd()))
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            there[name] = value
            continue
        words = command.words
        if words[0] == "ddsweep":
            # agents are processes of their own, which have to find the plugins
            agents = ["--workers=1"] if words[1] == "launch" else []
            words = ["-m", "ddsweep", *smaller(words[1:]), *agents]
        else:
            assert words[:2] == ["python", "-c"], line
            words = words[1:]
        done = subprocess.run(
            [sys.executable, *words], env=there, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command.where}: {line}\n{done.stdout}\n{done.stderr}"
    used = {json.loads(path.read_text())["recipe"]["plugins"] for path in Path("runs").glob("*/result.json")}
    assert {pin.partition("@")[0] for text in used for pin in text.split("+")} >= {"mixer", "mtt_lite", "stripes"}
    results = [command for command in GUIDE.commands if command.words[:2] == ["ddsweep", "results"]][-1]
    left = {name: value for name, value in there.items() if name != loading.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-m", "ddsweep", *results.words[1:]], env=left, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, f"error: plugins: mixer is not available on this host; {pins.HINT}\n")

"""Commands where standard output is not UTF-8: characters degrade, the work does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import hostile
from tests.cli.conftest import write_profile
from tests.cli.test_hostile_names import SMALL

# every command in one process, which imports torch once; each begins with a line that names it
PROGRAM = """
import json, sys
from ddsweep.cli import app, console
console.prepare()
for words in json.loads(sys.argv[1]):
    console.echo("### " + " ".join(words))
    try:
        app(words)
    except SystemExit as end:
        console.echo(f"### exit {end.code}")
"""
NAME = "own@demo"
SWEEP = """\
method: grid
parameters: {alpha: {values: [0, 5]}}
x-ddsweep: {title: "Wie groß ist α – für 中文?", axis: [alpha], baseline: {alpha: 0}, pictures: [grid, classes]}
"""


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return kept | settings


@pytest.mark.parametrize(
    ("encoding", "settings"),
    [
        ("ascii", {"PYTHONIOENCODING": "ascii"}),
        pytest.param("ascii", {"LC_ALL": "C", "PYTHONUTF8": "0"}, marks=pytest.mark.slow),
        pytest.param("latin-1", {"PYTHONIOENCODING": "latin-1"}, marks=pytest.mark.slow),
        pytest.param("cp1252", {"PYTHONIOENCODING": "cp1252:strict"}, marks=pytest.mark.slow),
    ],
)
def test_every_command(encoding: str, settings: dict[str, str]) -> None:
    classes = ("a", "b", "c") if "LC_ALL" in settings else ("a é", "b α", "中")  # a file system in ASCII has no others
    hostile.image_folder(Path("images"), classes, train=4, test=2)
    Path("own.yaml").write_text(SWEEP, encoding="utf-8")
    write_profile(*SMALL, "target=imagefolder:images")
    commands = [
        ["launch", "own.yaml", "-p", "demo", "--workers", "1", "-d", "cpu"],
        ["status"], ["status", "--json"], ["list", "-p", "quick"], ["show", "own.yaml", "-p", "demo"],
        ["results", NAME], ["results", NAME, "-f", "json"], ["results", NAME, "-f", "csv"],
        ["results", NAME, "-f", "markdown"], ["results", NAME, "-f", "latex"],
        ["plot", NAME], ["report", NAME], ["export", f"{NAME}:alpha=5", "--to", "folder", "-o", "out"],
        ["copy", "own.yaml", "copied.yaml"], ["data", "list"], ["pool"], ["doctor", "--help"], ["show", "unknown-α"],
        ["run", "own.yaml", "alpha=5", "-p", "demo", "-d", "cpu"],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        capture_output=True, env=environment(**settings), check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0, err
    ends = [line.removeprefix("### exit ") for line in out.splitlines() if line.startswith("### exit ")]
    expected = ["2" if words[-1].startswith("unknown") else "0" for words in commands]
    assert ends == expected, out + err
    assert "Traceback" not in out + err
    outputs = dict(part.split("\n", 1) for part in out.split("### ") if "\n" in part and not part.startswith("exit"))
    launched = next(text for words, text in outputs.items() if words.startswith("launch"))
    assert "done 2/2" in launched
    title = "Wie gross ist alpha - fur \\u4e2d\\u6587?" if encoding == "ascii" else "Wie groß ist alpha"
    assert title in launched
    shown = outputs[f"results {NAME}"]
    assert "alpha " in shown.splitlines()[1]
    assert ("+- std" if encoding == "ascii" else "± std") in shown
    widths = {len(line) for line in shown.splitlines()[1:6]}
    assert len(widths) == 1, shown  # the columns are aligned
    (status,) = json.loads(outputs["status --json"])
    assert status["counts"]["complete"] == 2
    # files are UTF-8 whatever the terminal is
    assert "α" in Path("runs", NAME, "report.html").read_text(encoding="utf-8")
    assert "中文" in Path("copied.yaml").read_text(encoding="utf-8")
    assert classes[-1] in str(json.loads(Path("out", "ddsweep.json").read_text(encoding="utf-8")))
    for log in Path("runs").rglob("*.log"):
        log.read_text(encoding="utf-8")

"""The progress of downloads and of decoding, on a terminal and without one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddsweep.cli import console, reading, session
from ddsweep.cli.screen import Console
from ddsweep.data import folder, progress
from ddsweep.errors import UserError
from tests.cli.conftest import Run

NAME = "[/x] birds"  # Rich's markup


@pytest.fixture
def birds(monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of 2 × 10 images, decoded four at a time; lines of progress are not held back."""
    rng = np.random.default_rng(0)
    for name in ("jay", "wren"):
        (Path(NAME) / name).mkdir(parents=True)
        for index in range(10):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(f"{NAME}/{name}/{index}.png")
    monkeypatch.setattr(folder, "BATCH", 4)
    monkeypatch.setattr(reading, "PLAIN", 0.0)
    return f"imagefolder:{NAME}"


def lines(birds: str) -> list[str]:
    name = f"imagefolder:{Path(birds.removeprefix('imagefolder:')).absolute()}"
    return [f"decoding {name}: {done} of 20 images" for done in (4, 8, 12, 16, 20)]


def test_a_line_at_a_time_without_a_terminal(ddsweep: Run, birds: str) -> None:
    assert ddsweep("data", "fetch", birds).stderr.splitlines() == lines(birds)
    assert ddsweep("data", "fetch", birds).stderr == "", "it is in the cache"


def test_launch_shows_it_before_agents_start(ddsweep: Run, birds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def enough(_: session.Session) -> None:
        raise UserError("that is enough")

    monkeypatch.setattr(session.Session, "_prepare_published", enough)
    settings = ("alpha=0", "size=16", f"target={birds}")
    words = [word for setting in settings for word in ("--set", setting)]
    launched = ddsweep("launch", "ablation-alpha@demo", "--workers", "0", "-d", "cpu", *words)
    assert launched.stderr.splitlines() == [*lines(birds), "error: that is enough"]


def test_pretrain_shows_it_before_training(ddsweep: Run, birds: str) -> None:
    trained = ddsweep("pretrain", birds, "--archs", "convnet1", "--width", "4", "--epochs", "1", "-d", "cpu")
    assert trained.exit_code == 0, trained.output
    assert trained.stderr.splitlines()[:5] == lines(birds)


def test_lines_are_ten_seconds_apart(ddsweep: Run, birds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PLAIN", 10.0)
    assert ddsweep("data", "fetch", birds).stderr == ""


def test_a_bar_for_each_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "stderr", lambda: Console(file=screen, force_terminal=True, width=100, _environ={}))
    with reading.shown():
        progress.downloaded("archive.tgz", 500_000, 1_000_000)
        progress.downloaded("archive.tgz", 750_000, None)
        progress.decoded(NAME, 1234, 56_789)
    shown = screen.getvalue()
    assert "downloading archive.tgz" in shown
    assert "750 kB" in shown
    assert f"decoding {NAME}" in shown
    assert "1,234 of 56,789 images" in shown


def test_nobody_is_told_afterwards(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PLAIN", 0.0)
    with reading.shown():
        pass
    progress.decoded("birds", 1, 2)
    assert capsys.readouterr().err == ""


def test_show_says_what_is_passed_over(ddsweep: Run, birds: str) -> None:
    (Path(NAME) / "jay" / "README.txt").write_text("blue")
    note = f"imagefolder:{Path(NAME).absolute()}: passed over, because they are text: 'jay' (1 .txt; for example"
    shown = ddsweep("show", "ablation-alpha@demo", "--set", f"target={birds}")
    assert shown.exit_code == 0
    assert note in " ".join(shown.stdout.split())

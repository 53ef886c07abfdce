"""The names of plugins beside ddsweep's own, in commands; and copies of a plugin in the working folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ddsweep import processes
from ddsweep.errors import UserError
from ddsweep.launchers import Job
from ddsweep.plugins import loading
from ddsweep.registry.methods import METHODS
from tests.cli.conftest import TINY, Run, ddsweep
from tests.plugins.plugged import HALF, METHOD, Plug, plug

__all__ = ["ddsweep", "plug"]
ALPHA = ("ablation-alpha", "--profile", "demo")
MAKING = (
    ("launch", *ALPHA), ("run", *ALPHA, "alpha=0"), ("show", *ALPHA), ("estimate", *ALPHA), ("pretrain", "digits"),
    ("evaluate", "images.pt"), ("agents", *ALPHA), ("plugins",),
)  # fmt: skip


@pytest.mark.parametrize("words", MAKING, ids=[words[0] for words in MAKING])
def test_a_command_that_makes_recipes_refuses_a_name_of_ddsweep(
    words: tuple[str, ...], plug: Plug, ddsweep: Run
) -> None:
    path = plug(mine=METHOD.format(name="dm"))
    done = ddsweep(*words)
    line = f"error: plugins: {path}: mine:Half: method 'dm' is ddsweep's own; choose another name\n"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize("words", [("status",), ("list",), ("launch", "--help"), ("--version",)], ids=str)
def test_other_commands_import_no_plugin(words: tuple[str, ...], plug: Plug, ddsweep: Run) -> None:
    path = plug(mine="raise RuntimeError('not needed')")
    done = ddsweep(*words)
    assert str(path) not in done.stderr
    assert "mine" not in sys.modules


def test_what_a_plugin_prints_is_not_in_the_output_of_a_command(plug: Plug, ddsweep: Run) -> None:
    says = HALF.replace("total = 0", 'print("called")\n        total = 0')
    plug(mine=f"print('loaded')\n{says}")
    choices = ["method=half", "target=digits", "arch=convnet1", "alpha=0", "ipc=1", *TINY]
    done = ddsweep("run", *ALPHA, *choices, "--device", "cpu", "--json")
    assert json.loads(done.stdout)["recipe"]["method"] == "half"
    assert done.stderr.count("loaded\n") == 1
    assert done.stderr.count("called\n") == 2, "once per iteration"


def test_the_listed_file_comes_before_one_in_the_working_folder(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plug(mine=HALF)
    Path("mine.py").write_text("raise RuntimeError('the wrong file')")
    monkeypatch.syspath_prepend(Path.cwd())
    assert "half" in METHODS
    assert sys.modules["mine"].__file__ == str(path)


def test_a_module_of_the_same_name_that_is_imported_must_be_the_same(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plug(mine=HALF)
    copy = Path("mine.py").absolute()
    copy.write_text(HALF)
    monkeypatch.syspath_prepend(Path.cwd())
    __import__("mine")
    assert "half" in METHODS, "the same content is no conflict"
    path.write_text(HALF + "# edited")
    loading._loaded.clear()
    with pytest.raises(UserError, match=rf"another module is named mine \({copy}\), and has other content; rename"):
        list(METHODS)


def test_a_listed_file_may_not_replace_a_package(plug: Plug) -> None:
    plug(torchvision=HALF)
    with pytest.raises(UserError, match=r"another module is named torchvision \(.*site-packages.*\); rename the file"):
        list(METHODS)


def test_agents_see_the_working_folder_as_the_launch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-m", "ddsweep", "agent"]
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), "/elsewhere"])
    assert Job("a@demo", Path("runs"), "sqlite://", 1).command()[:4] == words
    monkeypatch.setattr(sys, "path", ["", "/elsewhere"])
    assert processes.sees_working_folder()
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    assert Job("a@demo", Path("runs"), "sqlite://", 1).command()[:5] == [words[0], "-P", *words[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("start", ["script", "module"])
def test_a_copy_in_the_working_folder_kills_no_agent(start: str, tiny_alpha: list[str], tmp_path: Path) -> None:
    plugin = tmp_path / "elsewhere" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text(f"import helper\n{HALF}")
    plugin.with_name("helper.py").write_text("SCALE = 1")
    for name in ("mine.py", "helper.py"):  # copies that were edited since
        Path(name).write_text("raise RuntimeError('the wrong file')")
    program = [sys.executable, "-m", "ddsweep"] if start == "module" else [f"{sysconfig.get_path('scripts')}/ddsweep"]
    done = subprocess.run(
        [*program, "launch", *ALPHA, *tiny_alpha, "--workers", "1", "--device", "cpu"],
        env={**os.environ, loading.VARIABLE: str(plugin)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(Path("runs").glob("*/result.json"))) == 1


@pytest.fixture
def tiny_alpha() -> list[str]:
    settings = ["method=half", "target=digits", "arch=convnet1", "alpha=0", "ipc=1", "seed=0", *TINY]
    return [word for setting in settings for word in ("--set", setting)]

"""What a plugin changes in the process is restored, and its prints and exits do not disturb others."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddsweep import trial
from ddsweep.errors import UserError
from ddsweep.registry.methods import METHODS
from ddsweep.trackers import Tracker
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]
TINY: dict[str, Any] = {
    "iterations": 2, "width": 4, "alpha": 0, "eval_nets": 1, "eval_epochs": 2, "arch": "convnet1",
}  # fmt: skip
CHANGES: dict[str, tuple[Callable[[], Any], str]] = {
    "import torch; torch.set_default_dtype(torch.float64)": (torch.get_default_dtype, "default type (torch.float64)"),
    "import torch; torch.set_default_device('meta')": (torch.get_default_device, "torch's default device (meta)"),
    "import torch; torch.set_grad_enabled(False)": (torch.is_grad_enabled, "torch's gradient mode (False)"),
    "import torch; torch.use_deterministic_algorithms(True)": (
        torch.are_deterministic_algorithms_enabled, "torch's deterministic algorithms (2)",
    ),
    "import torch; torch.set_num_threads(torch.get_num_threads() + 1)": (
        torch.get_num_threads, "torch's number of threads",
    ),
    "import torch; torch.backends.cudnn.benchmark = True": (
        lambda: torch.backends.cudnn.benchmark, "torch.backends.cudnn.benchmark (True)",
    ),
    "import numpy as np; np.seterr(all='raise')": (np.geterr, "NumPy's errors"),
    "import os; os.chdir('/')": (os.getcwd, "the working folder"),
    "import os; os.environ['OMP_NUM_THREADS'] = '77'": (
        lambda: os.environ.get("OMP_NUM_THREADS"), "$OMP_NUM_THREADS",
    ),
    "import os; os.environ.clear()": (lambda: os.environ.get("HOME"), "$HOME"),
    "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''": (
        lambda: os.environ.get("CUDA_VISIBLE_DEVICES"), "$CUDA_VISIBLE_DEVICES",
    ),
    "import sys; sys.path.clear()": (lambda: tuple(sys.path), "sys.path (by removing entries)"),
    "import warnings; warnings.simplefilter('error', FutureWarning)": (
        lambda: ("error", None, FutureWarning, None, 0) in warnings.filters, "warnings (to errors)",
    ),
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)": (
        lambda: signal.getsignal(signal.SIGTERM), "the handler of SIGTERM",
    ),
    "import logging; logging.disable()": (lambda: logging.root.manager.disable, "logging (disabled)"),
}  # fmt: skip


@pytest.mark.parametrize("line", CHANGES)
def test_a_setting_that_an_import_changes_is_restored_and_named(
    line: str, plug: Plug, capsys: pytest.CaptureFixture[str]
) -> None:
    read, said = CHANGES[line]
    before = read()
    plug(mine=f"{HALF}\n{line}")
    assert "half" in METHODS
    assert read() == before
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("plugins: mine.py: changed ")
    assert said in told


def test_what_changes_nothing_for_others_is_kept_in_silence(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    path = plug(
        mine=f"{HALF}\nimport os, sys\nos.environ['MY_DATA'] = '/data'\nsys.path.insert(0, '/mine')\nimport torch"
    )
    try:
        assert "half" in METHODS
        assert os.environ["MY_DATA"] == "/data"
        assert sys.path[-1] == "/mine", "behind those that were there, so that it shadows no module"
        assert path.is_file()
        assert capsys.readouterr().err == ""
    finally:
        sys.path.remove("/mine")
        del os.environ["MY_DATA"]


def test_a_trial_leaves_the_settings_to_the_next_one(
    plug: Plug, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = "torch.use_deterministic_algorithms(True)\n        self.net"
    plug(mine="import torch\n" + HALF.replace("self.net,", f"{changes},"))
    recipe = half(**TINY)
    assert trial.run(recipe, Tracker(), "cpu", tmp_path).state == "complete"
    assert not torch.are_deterministic_algorithms_enabled()
    assert "plugins: method 'half': changed torch's deterministic algorithms (2); restored" in capsys.readouterr().err


def test_what_an_import_prints_goes_to_standard_error(plug: Plug, capsys: pytest.CaptureFixture[str]) -> None:
    plug(mine=f"print('hello')\n{HALF}")
    assert "half" in METHODS
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize("line", ["import sys; sys.exit(3)", "exit()", "raise SystemExit('no GPU')"])
def test_an_import_that_ends_the_process_is_one_line(line: str, plug: Plug) -> None:
    path = plug(mine=f"{HALF}\n{line}")
    with pytest.raises(UserError, match=rf"^plugins: {path}: calls sys\.exit\(.*\) \(mine\.py line 2\d\)$"):
        list(METHODS)


def test_ctrl_c_during_an_import_is_not_the_plugins_error(plug: Plug) -> None:
    plug(mine="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        list(METHODS)

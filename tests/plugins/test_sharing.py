"""The page's method that shares: its cells read what another one computed, and end in the bits of cells alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ddsweep import testing, trial
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from tests.plugins.plugged import Plug, forget, plug

__all__ = ["plug"]
PAGE = Path(__file__).parents[2] / "docs" / "extending" / "methods.md"
(SHOWN,) = re.findall(r"```python\n(class MeanFeatures:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SOURCE = f"import ddsweep, torch\n\n@ddsweep.method('mean-features', alpha=1.0, lr_img=1.0)\n{SHOWN}"


def run(share: str, **choices: Any) -> Result:
    tiny = {"target": "digits", "width": 4, "iterations": 4, "ipc": 1, "ptm_train_epochs": 1, "ptm_batch": 512}
    one = make({"method": "mean-features", **tiny, "eval_nets": 1, "eval_epochs": 1, **choices})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDSWEEP_SHARE", share)
        patch.setattr("ddsweep.shared.records.PROBES", 10**9)  # steps this small take less time than reading
        return trial.run(one, Tracker(), "cpu", Path(f"runs-{share}"))


def test_cells_of_a_method_of_ones_own_share(plug: Plug) -> None:
    plug(mine=SOURCE)
    run("1GB", alpha=0.0)
    for choices, read in (({"alpha": 3.0}, 4), ({"alpha": 0.0, "ipc": 2}, 4), ({"alpha": 0.0, "batch_real": 9}, 0)):
        alone, shared = run("off", **choices), run("1GB", **choices)
        assert alone.shared == {"mean-features": {"read": 0, "computed": 4}}
        assert shared.shared == {"mean-features": {"read": read, "computed": 4 - read}}
        assert shared.files["synthetic.safetensors"] == alone.files["synthetic.safetensors"]


def test_changed_code_reads_nothing(plug: Plug) -> None:
    plug(mine=SOURCE)
    run("1GB", alpha=0.0)
    forget("mine")
    plug(mine=SOURCE.replace(".mean(0)", ".sum(0)"))
    assert run("1GB", alpha=0.0).shared == {"mean-features": {"read": 0, "computed": 4}}


def test_it_passes_the_checks(plug: Plug) -> None:
    plug(mine=SOURCE)
    testing.check_method("mean-features")

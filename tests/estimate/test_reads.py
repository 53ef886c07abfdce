"""What cells read because another one computes it, in the forecast of a sweep; by formulas written out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.estimate import forecast, reads
from ddsweep.estimate.forecast import Crew, Outlook
from ddsweep.estimate.reads import Reads
from ddsweep.recipe import Recipe, make
from tests.estimate.test_forecast import START, demo, distilled, prices


def outlook(tmp_path: Path, name: str = "ablation-alpha", **choices: Any) -> Outlook:
    one = sweep.load(name, "demo", {"iterations": 20, "eval_nets": 1, **choices})
    price = prices([cell.recipe for cell in one.cells])
    return forecast.outlook(forecast.Left.of(one, tmp_path), tmp_path, Crew(1, 1), price, START)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_cells_after_the_first_do_without_the_real_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """64 real images of a class with one pass each in DM and three in DC; five synthetic ones with three or six.

    A guided step that is as long as one without guidance spends less on real images: two passes are the PTM's.
    """
    choices: dict[str, Any] = {"method": method, "alpha": [0, 10, 100]}
    sharing = outlook(tmp_path, **choices)
    monkeypatch.setenv("DDSWEEP_SHARE", "off")
    alone = outlook(tmp_path, **choices)
    real = {"dm": 64 / (64 + 5 * 5), "dc": 3 * 64 / (3 * 64 + 8 * 5)}[method]
    saved = 20 * 2.0 * real  # iterations, and the seconds of the first loop
    found = [before - after for before, after in zip(alone.cells.values(), sharing.cells.values(), strict=True)]
    assert found == pytest.approx([0, saved, saved])
    assert sharing.device_seconds == pytest.approx(alone.device_seconds - 2 * saved)
    assert sharing.wall == pytest.approx(alone.wall - 2 * saved)
    assert sharing.saving.common == pytest.approx(2 * saved)
    assert (alone.common, alone.saving.common) == ("", 0)
    assert sharing.common.startswith("2 of 3 cells read what another one computes of the real images")
    totals = [sum(share.seconds for share in one.shares if "dm" in share.title or "dc" in share.title) for one in
              (alone, sharing)]  # fmt: skip
    assert totals[0] - totals[1] == pytest.approx(2 * saved)


def test_a_share_is_of_the_step_that_has_least_besides_it(tmp_path: Path) -> None:
    """A guided step of the same real branch takes longer; what its real images take does not."""
    plain, guided = demo(alpha=0.0), demo(alpha=1.0)
    price = prices([plain, guided])
    slow = {kind: distilled(first=9.0) for kind in price.found if getattr(kind, "recipe", plain).regularizer != "none"}
    price = forecast.replace(price, found={**price.found, **slow}, reads={guided: Reads(20)})
    images = 1201 / 10
    assert price.spared(guided) == pytest.approx(20 * 2.0 * reads.real_share(plain, images))


def recipe(**choices: Any) -> Recipe:
    base = {"target": "digits", "source": "shapes", "ipc": 1, "method": "dm", "iterations": 30, "width": 8,
            "regularizer": "cclom", "alpha": 1.0, "n_models": 2, "cclom_batch": 50}  # fmt: skip
    return make(base | choices)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"alpha": 2.0}, Reads(30, 1.0)),
        ({"seed": 1}, Reads(0, 1.0)),
        ({"n_models": 4, "ipc": 2}, Reads(30, 0.5)),
        ({"n_models": 1, "iterations": 50}, Reads(30, 1.0)),
        ({"ptm_epoch": 2}, Reads(30, 0.0)),
        ({"ptm_statistics": "source"}, Reads(30, 0.0)),
        ({"ptm_archs": "vgg11"}, Reads(30, 0.0)),
        ({"regularizer": "none", "alpha": 0.0}, Reads(30, 0.0)),
        ({"method": "idc", "net_images": 50, "outer_loops": 2}, Reads(0, 1.0)),
        ({"target": "shapes", "source": "digits"}, Reads(0, 0.0)),
    ],
)
def test_what_a_second_cell_reads(other: dict[str, Any], expected: Reads) -> None:
    first, second = recipe(), recipe(**other)
    found = reads.of([first, second])
    assert (found[first], found[second]) == (Reads(), expected)


def test_features_that_another_cell_computes_cost_nothing() -> None:
    one, two = recipe(), recipe(n_models=4, alpha=2.0)
    price = prices([one, two])
    alone = price.distilling(two)
    price = forecast.replace(price, reads={two: Reads(0, 0.5)})
    assert alone - price.distilling(two) == pytest.approx(price.looking(two)[0] / 2)
    assert price.looking(two)[0] > 0

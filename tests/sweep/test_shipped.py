"""Every sweep file that ships with ddsweep: it loads at every scale, and shares its cells with the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.backends import sampler
from tests.sweep.examples import shipped

FIVE = {"ablation-alpha", "ablation-n-models", "ablation-n-archs", "ablation-epoch", "ablation-domain"}

# at the paper's scale: axis × methods × IPC, and one baseline per row
CELLS = {
    "ablation-alpha": 27,
    "ablation-n-models": 21,
    "ablation-n-archs": 10,
    "ablation-epoch": 60,
    "ablation-domain": 36,
    "ablation-bias": 144,
    "table1": 48,
    "table4": 12,
    "figure1": 3,
    "figureA1": 6,
    "tableA1": 16,
}


def test_the_five_ablations_ship() -> None:
    assert set(sweep.names()) >= FIVE


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_every_file_loads_at_every_scale(path: Path, profile: str) -> None:
    loaded = sampler.sketch(sweep.load(path.stem, profile))
    assert loaded.title
    assert loaded.full_name == f"{path.stem}@{profile}"
    assert any(loaded.is_baseline(cell.recipe) for cell in loaded.cells)
    assert any(not loaded.is_baseline(cell.recipe) for cell in loaded.cells)
    assert len(loaded.cells) == loaded.size
    if profile == "paper":
        assert len(loaded.cells) == CELLS.get(path.stem, len(loaded.cells))
    if profile == "demo":
        bundled = "cdigits" if path.stem == "ablation-bias" else "digits"
        assert {cell.recipe.target for cell in loaded.cells} == {bundled}


def test_cells_are_shared_between_ablations() -> None:
    alpha = {cell.key for cell in sweep.load("ablation-alpha").cells}
    epoch = {cell.key for cell in sweep.load("ablation-epoch").cells}
    models = {cell.key for cell in sweep.load("ablation-n-models").cells}
    # the three baselines at IPC 50, and the three cells with the published α, one PTM, the last epoch
    assert len(alpha & epoch) == 6
    assert len(models & epoch) == 6


def test_the_bias_is_the_axis_and_each_ptm_is_as_biased_as_its_target() -> None:
    """The shares of Biased-DD, its four severities, and a baseline for each: no cell serves two shares."""
    one = sweep.load("ablation-bias")
    assert one.parameters["align"] == (0, 0.1, 0.5, 0.8, 0.95, 1)
    assert {cell.recipe.severity for cell in one.cells} == {1, 2, 3, 4}
    guided = [cell for cell in one.cells if cell.recipe.regularizer == "clom"]
    assert len(guided) == 72
    by_key = {cell.key: cell.recipe for cell in one.cells}
    for cell in guided:
        base = by_key[one.baselines[cell.key]]
        assert base.alpha == 0
        assert all(getattr(base, name) == getattr(cell.recipe, name) for name in ("align", "severity", "method"))
        assert cell.recipe.source_dataset == cell.recipe.dataset == base.dataset
    assert len({cell.recipe.dataset for cell in one.cells}) == 24


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("ablation-alpha", 6),  # IPC 50, per method: the baseline, and (1, 1) with the published α
        ("ablation-n-models", 9),  # IPC 50, per method: the baseline, (1, 1) and (10, 1)
        ("ablation-n-archs", 3),  # DC, IPC 50: the baseline, (1, 1) and (1, 4)
        ("ablation-epoch", 12),  # per method and IPC: the baseline, and the last epoch
        ("ablation-domain", 6),  # the baselines
        ("table4", 0),  # evaluated on other networks
    ],
)
def test_table_1_shares_its_cells_with_the_ablations(name: str, shared: int) -> None:
    cells = {cell.key for cell in sweep.load("table1").cells}
    assert len(cells & {cell.key for cell in sweep.load(name).cells}) == shared


@pytest.mark.parametrize(("profile", "epochs"), [("paper", {150, 4}), ("quick", {30, 4}), ("demo", {20, 4})])
def test_table_4_has_well_trained_and_sub_optimal_ptms_at_every_scale(profile: str, epochs: set[int]) -> None:
    guided = [cell.recipe for cell in sweep.load("table4", profile).cells if cell.recipe.alpha]
    assert {recipe.ptm_epoch for recipe in guided} == epochs
    assert {(recipe.n_archs, recipe.ptm_epoch == recipe.ptm_train_epochs) for recipe in guided} == {
        (1, True),
        (4, True),
        (4, False),
    }
    assert {recipe.eval_archs for recipe in guided} == {"convnet3+alexnet+vgg11+resnet18"}


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_figures_1_and_a1_are_drawn_from_cells_of_table_4(profile: str) -> None:
    table, first, a1 = (
        {cell.key for cell in sweep.load(name, profile).cells} for name in ("table4", "figure1", "figureA1")
    )
    assert first < a1 < table
    assert len(first) == 3  # the baselines of DC, DSA and DM
    assert len(a1) == 6  # and with each of them its cell of (4, SO)


def test_the_demo_of_figure_1_shares_the_baseline_of_table_4() -> None:
    table, first = ({cell.key for cell in sweep.load(name, "demo").cells} for name in ("table4", "figure1"))
    assert len(first & table) == 1  # DM; the demo of table4 has no other method


def test_the_pictures_of_each_sweep() -> None:
    assert {name: sweep.load(name).pictures for name in ("ablation-alpha", "table4", "figure1", "figureA1")} == {
        "ablation-alpha": ("grid",),
        "table4": ("grid", "classes"),
        "figure1": ("classes",),
        "figureA1": ("tsne",),
    }

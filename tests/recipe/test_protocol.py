"""Every default against the published protocols. The expected values are written out here; none is read from the code.

Sources: the released code of DC, DSA and DM; the paper, Sec. 3.2, 5.2 and 5.3; the tables of weights once published
with the paper's code; the tables of datasets. Numbers of parameters: ``tests/nn/test_network.py``.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ddsweep import data, sweep
from ddsweep.pretrained import spec, training
from ddsweep.recipe import make

FULL = "color_crop_cutout_flip_scale_rotate"
FOUR = "convnet3+alexnet+vgg11+resnet18"
FIVE = "convnet3+convnet4+alexnet+vgg11+resnet18"
LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}

METHODS: dict[str, dict[str, Any]] = {
    "dc": {
        "init": "noise", "iterations": 1000, "lr_img": 0.1, "batch_real": 256, "batch_train": 256, "lr_net": 0.01,
        "dsa_strategy": "none", "distance": "rows",
    },
    "dsa": {
        "init": "real", "iterations": 1000, "lr_img": 0.1, "batch_real": 256, "batch_train": 256, "lr_net": 0.01,
        "dsa_strategy": FULL, "distance": "rows",
    },
    "dm": {
        "init": "real", "iterations": 20000, "lr_img": 1.0, "batch_real": 256, "batch_train": 0, "lr_net": 0.0,
        "dsa_strategy": FULL, "distance": "none",
    },
}  # fmt: skip
CONDENSATION = {  # IDC and DREAM: the released code and its settings for CIFAR
    "iterations": 2000, "outer_loops": 100, "factor": 2, "net_images": 2000, "lr_net": 0.01, "distance": "mse",
    "dsa_strategy": "color_crop_cutout", "inner_epochs": 0, "batch_train": 0,
}  # fmt: skip
RATES = {1: 5e-4, 10: 5e-3, 50: 2.5e-2}  # IDC's lr_img by images per class, at 32×32 pixels
APPENDIX: dict[str, dict[str, Any]] = {  # a pair is for (ipc 10, ipc 50)
    "idc": CONDENSATION | {
        "init": "mix", "batch_real": 64, "lr_img": (RATES[10], RATES[50]), "select_every": 0, "dream_plus": False,
    },
    "dream": CONDENSATION | {
        "init": "kmeans", "batch_real": 128, "lr_img": (RATES[10], RATES[50]), "select_every": 10, "dream_plus": False,
    },
    "tm": {
        "init": "real", "iterations": 5000, "outer_loops": 1, "syn_steps": (30, 30), "expert_epochs": (2, 2),
        "max_start_epoch": (20, 40), "lr_img": (100.0, 1000.0), "lr_lr": (1e-5, 1e-5), "lr_teacher": (0.001, 0.001),
        "batch_syn": (0, 0), "zca": (True, False), "n_experts": 100, "expert_train_epochs": 50, "dsa_strategy": FULL,
    },
    "dim": {
        "iterations": 100, "outer_loops": 781, "batch_real": 64, "lr_img": 5e-6, "net_images": 16 * 64, "lr_net": 0.01,
        "dsa_strategy": "color_crop_cutout", "match_weight": 0.01, "gan_epochs": 150, "gan_batch": 128, "gan_lr": 1e-4,
        "match_archs": "convnet3+resnet10-narrow+resnet18-narrow+resnet10-narrow-ap+resnet18-narrow-ap",
    },
}  # fmt: skip
OTHER_SETS: dict[str, dict[tuple[str, int], Any]] = {  # IPC 1 and CIFAR-100, as far as they are published
    "tm": {
        ("cifar10", 1): {
            "syn_steps": 50, "expert_epochs": 2, "max_start_epoch": 2, "lr_img": 100.0, "lr_lr": 1e-7,
            "lr_teacher": 0.01, "batch_syn": 0, "zca": True,
        },
        ("cifar100", 1): {
            "syn_steps": 20, "expert_epochs": 3, "max_start_epoch": 20, "lr_img": 1000.0, "lr_lr": 1e-5,
            "lr_teacher": 0.01, "batch_syn": 0, "zca": True,
        },
        ("cifar100", 10): {
            "syn_steps": 20, "expert_epochs": 2, "max_start_epoch": 20, "lr_img": 1000.0, "lr_lr": 1e-5,
            "lr_teacher": 0.01, "batch_syn": 0, "zca": False,
        },
        ("cifar100", 50): {
            "syn_steps": 80, "expert_epochs": 2, "max_start_epoch": 40, "lr_img": 1000.0, "lr_lr": 1e-5,
            "lr_teacher": 0.01, "batch_syn": 125, "zca": True,
        },
    },
}  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "idc": {
        "eval_rule": "idc", "eval_epochs": 1000, "eval_batch": 64, "eval_lr": 0.01,
        "eval_strategy": "color_crop_flip_scale_rotate",
    },
    "dream": {
        "eval_rule": "dream", "eval_epochs": 1000, "eval_batch": 64, "eval_lr": 0.01,
        "eval_strategy": "color_crop_flip_scale_rotate",
    },
    "tm": {"eval_rule": "tm", "eval_epochs": 1000, "eval_batch": 256, "eval_lr": 0.0, "eval_strategy": FULL},
    "dim": {
        "eval_rule": "dim", "eval_epochs": 1000, "eval_batch": 64, "eval_lr": 0.01, "eval_strategy": "color_crop",
    },
}  # fmt: skip
ALPHAS = {  # (method, ipc): FashionMNIST, CIFAR-10, CIFAR-100
    ("dc", 10): (100, 1000, 10000), ("dc", 50): (100, 5000, 1000),
    ("dsa", 10): (100, 5000, 10000), ("dsa", 50): (100, 1000, 10),
    ("dm", 10): (100, 2000, 500), ("dm", 50): (100, 1000, 1),
}  # fmt: skip
POOLED = {  # PTMs of several architectures, CIFAR-10, ipc 50
    "dc": {"convnet3": 5000, "vgg11": 5000, "resnet18": 5000, "alexnet": 100},
    "dsa": {"convnet3": 1000, "vgg11": 1000, "resnet18": 1000, "alexnet": 2000},
    "dm": {"convnet3": 1000, "vgg11": 1000, "resnet18": 1000, "alexnet": 1000},
}
PTM = {"ptm_train_epochs": 150, "ptm_lr": 0.01, "ptm_weight_decay": 0.005, "ptm_batch": 256}
EVALUATION = {
    "eval_rule": "paper", "eval_nets": 5, "eval_epochs": 1000, "eval_batch": 256, "eval_lr": 0.01,
    "eval_strategy": FULL,
}  # fmt: skip

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
DATASETS = {  # channels, size, classes, training and test images, mean, std; 0: not a fixed number
    "cifar10": (3, 32, 10, 50_000, 10_000, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": (3, 32, 100, 50_000, 10_000, (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet32": (3, 32, 1000, 1_281_167, 50_000, *IMAGENET),
    "pathmnist": (3, 28, 9, 89_996, 7_180, (0.7406, 0.5330, 0.7059), (0.1237, 0.1767, 0.1244)),
    "imagenette": (3, 224, 10, 9_469, 3_925, *IMAGENET),
    "imagefruit": (3, 224, 10, 0, 500, *IMAGENET),
    "mnist": (1, 28, 10, 60_000, 10_000, (0.1307,), (0.3081,)),
    "fashionmnist": (1, 28, 10, 60_000, 10_000, (0.2861,), (0.3530,)),
    "svhn": (3, 32, 10, 73_257, 26_032, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "tinyimagenet": (3, 64, 200, 100_000, 10_000, *IMAGENET),
}


def settings(target: str, method: str, ipc: int, source: str = "") -> dict[str, Any]:
    """The published settings of a guided cell with one PTM; ``source``: of PTMs of another dataset (CCLoM)."""
    loops = (1, 0) if method == "dm" else LOOPS[ipc]
    chosen = METHODS[method] | dict(zip(("outer_loops", "inner_epochs"), loops, strict=True))
    chosen |= {"arch": "convnet3", "width": 128, "eval_archs": "convnet3", "size": DATASETS[target][1]} | EVALUATION
    chosen |= PTM | {"ptm_epoch": 150, "n_models": 1, "ptm_archs": "convnet3", "ptm_statistics": "target"}
    if source:
        return chosen | {"regularizer": "cclom", "source": source, "alpha": 1000.0, "cclom_batch": 8196}
    column = {"fashionmnist": 0, "cifar10": 1, "cifar100": 2}[target]
    guided = {"regularizer": "clom", "source": "target", "alpha": ALPHAS[method, ipc][column], "alpha_by_arch": ""}
    return chosen | guided | {"cclom_batch": 0}


def expect(name: str, *cells: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Check that a sweep has a baseline for each group of cells, and exactly these guided cells, at the paper's scale.

    Args:
        name: the sweep.
        cells: of each guided cell, what names it among the others, and all that is published about it.
    """
    found = [cell.recipe for cell in sweep.load(name, "paper").cells]
    guided = [recipe for recipe in found if recipe.alpha]
    assert len(guided) == len(cells)
    for names, published in cells:
        (recipe,) = (one for one in guided if all(getattr(one, field) == value for field, value in names.items()))
        assert {field: getattr(recipe, field) for field in published} == published, names
    unguided = {(one.target, one.method, one.ipc) for one in found if not one.alpha}
    assert unguided == {(one.target, one.method, one.ipc) for one in guided}
    assert sum(not one.alpha for one in found) == len(unguided)
    for one in found:  # a baseline has the settings of the distillation and the evaluation
        own = METHODS[one.method] | EVALUATION
        if not one.alpha and one.arch == "convnet3":
            assert {field: getattr(one, field) for field in own} == own


def by_arch(method: str, archs: str) -> str:
    """The weights of a pool as text: those that differ from the one of ConvNet-3."""
    own = {arch: alpha for arch, alpha in POOLED[method].items() if alpha != POOLED[method]["convnet3"]}
    return "+".join(f"{arch}:{alpha}" for arch, alpha in own.items() if arch in archs)


def pooled(method: str, archs: str) -> dict[str, Any]:
    """The weights of a pool of architectures on CIFAR-10 with ipc 50."""
    return {"ptm_archs": archs, "alpha": POOLED[method]["convnet3"], "alpha_by_arch": by_arch(method, archs)}


def test_the_ablation_of_alpha() -> None:
    expect("ablation-alpha", *(
        ({"method": method, "alpha": alpha}, settings("cifar10", method, 50) | {"alpha": alpha})
        for method in METHODS for alpha in (1, 10, 100, 500, 1000, 2000, 5000, 10000)
    ))  # fmt: skip


def test_the_ablation_of_the_number_of_models() -> None:
    expect("ablation-n-models", *(
        ({"method": method, "n_models": n}, settings("cifar10", method, 50) | {"n_models": n})
        for method in METHODS for n in (1, 2, 4, 6, 8, 10)
    ))  # fmt: skip


def test_the_ablation_of_the_epoch() -> None:
    expect("ablation-epoch", *(
        (
            {"method": method, "ipc": ipc, "ptm_epoch": epoch},
            settings("cifar10", method, ipc) | {"ptm_epoch": epoch},
        )
        for method in METHODS for ipc in (10, 50) for epoch in (1, 4, 6, 10, 20, 35, 70, 120, 150)
    ))  # fmt: skip


def test_the_ablation_of_architectures() -> None:
    own = settings("cifar10", "dc", 50)
    single = [own | {"ptm_archs": arch} for arch in ("convnet3", "vgg11", "resnet18", "alexnet", "convnet4")]
    several = ["convnet3+vgg11", "convnet3+vgg11+resnet18", FOUR, FIVE]
    cells = [*single, *(own | pooled("dc", archs) for archs in several)]
    expect("ablation-n-archs", *(({"ptm_archs": published["ptm_archs"]}, published) for published in cells))


def test_the_ablation_of_the_domain() -> None:
    grid = itertools.product(("cifar10", "pathmnist"), METHODS, (10, 50), ("cifar100", "imagenet32"))
    expect("ablation-domain", *(
        (
            {"target": target, "method": method, "ipc": ipc, "source": source},
            settings(target, method, ipc, source),
        )
        for target, method, ipc, source in grid
    ))  # fmt: skip


def test_table_1() -> None:
    cells = []
    for target, method, ipc in itertools.product(("cifar10", "cifar100"), METHODS, (10, 50)):
        names, own = {"target": target, "method": method, "ipc": ipc}, settings(target, method, ipc)
        several = pooled(method, FOUR) if (target, ipc) == ("cifar10", 50) else {"ptm_archs": FOUR}
        for chosen in ({}, {"n_models": 10}, several):
            both = own | chosen
            cells.append((names | {name: both[name] for name in ("n_models", "ptm_archs")}, both))
    expect("table1", *cells)


def test_table_3() -> None:
    cells = []
    for target, ipc, source in itertools.product(("imagenette", "imagefruit"), (1, 10), ("imagenet", "internet")):
        names = {"target": target, "ipc": ipc, "source": source}
        own = METHODS["dm"] | EVALUATION | {"method": "dm", "size": 224, "arch": "convnet6", "eval_archs": "convnet6"}
        own |= {"batch_real": 512, "cclom_batch": 512, "regularizer": "cclom", "alpha": 1000}
        own |= {"ptm_archs": {"imagenet": "resnet18-imagenet", "internet": "clip-rn50"}[source]}
        cells.append((names, own))
    expect("table3", *cells)


def test_table_4() -> None:
    cells = []
    for method, (archs, epoch) in itertools.product(METHODS, (("convnet3", 150), (FOUR, 150), (FOUR, 4))):
        own = settings("cifar10", method, 50) | pooled(method, archs)
        own |= {"n_models": 10, "ptm_epoch": epoch, "eval_archs": FOUR}
        cells.append(({"method": method, "ptm_archs": archs, "ptm_epoch": epoch}, own))
    expect("table4", *cells)


def test_figure_a1() -> None:
    expect("figureA1", *(
        (
            {"method": method},
            settings("cifar10", method, 50) | pooled(method, FOUR)
            | {"n_models": 10, "ptm_epoch": 4, "eval_archs": FOUR},
        )
        for method in METHODS
    ))  # fmt: skip


def test_table_a1() -> None:
    """α of these methods is not published: see ``docs/methods.md``."""
    found = [cell.recipe for cell in sweep.load("tableA1", "paper").cells]
    assert len(found) == 16
    for method, (place, ipc), guided in itertools.product(APPENDIX, enumerate((10, 50)), (False, True)):
        (recipe,) = (
            one for one in found if (one.method, one.ipc, bool(one.alpha)) == (method, ipc, guided)
        )  # fmt: skip
        own = {name: value[place] if isinstance(value, tuple) else value for name, value in APPENDIX[method].items()}
        own |= RULES[method] | {"target": "cifar10", "arch": "convnet3", "width": 128, "eval_archs": "convnet3"}
        if guided:
            own |= PTM | {"ptm_epoch": 150, "n_models": 10, "ptm_archs": "convnet3", "regularizer": "clom"}
        assert {field: getattr(recipe, field) for field in own} == pytest.approx(own), (method, ipc)


@pytest.mark.parametrize(("method", "target", "ipc"), [(m, *place) for m, sets in OTHER_SETS.items() for place in sets])
def test_settings_by_dataset_and_ipc(method: str, target: str, ipc: int) -> None:
    published = OTHER_SETS[method][target, ipc]
    recipe = make({"method": method, "target": target, "ipc": ipc, "alpha": 1.0})
    assert {field: getattr(recipe, field) for field in published} == published


def test_figure_1() -> None:
    found = {cell.recipe.method: cell.recipe for cell in sweep.load("figure1", "paper").cells}
    assert list(found) == ["dc", "dsa", "dm"]
    for method, recipe in found.items():
        own = METHODS[method] | EVALUATION | {"target": "cifar10", "ipc": 50, "alpha": 0, "eval_archs": FOUR}
        assert {field: getattr(recipe, field) for field in own} == own


@pytest.mark.parametrize(("method", "ipc"), ALPHAS)
@pytest.mark.parametrize("target", ["fashionmnist", "cifar10", "cifar100"])
def test_weights_by_dataset_method_and_ipc(target: str, method: str, ipc: int) -> None:
    expected = settings(target, method, ipc)
    found = make({"target": target, "method": method, "ipc": ipc})
    assert {field: getattr(found, field) for field in expected} == expected


@pytest.mark.parametrize("method", METHODS)
def test_weights_by_architecture_of_a_pool(method: str) -> None:
    assert make({"method": method, "ptm_archs": FOUR}).ptm_alphas == POOLED[method]
    two = make({"method": method, "ptm_archs": "vgg11+alexnet"})
    assert two.ptm_alphas == {arch: POOLED[method][arch] for arch in ("alexnet", "vgg11")}


@pytest.mark.parametrize(
    "choices",
    [
        {"ptm_archs": "alexnet"},  # a pool has several architectures
        {"ptm_archs": FOUR, "ipc": 10},
        {"ptm_archs": FOUR, "target": "cifar100"},
        {"ptm_archs": FOUR, "target": "fashionmnist"},
        {"ptm_archs": FOUR, "source": "cifar100"},  # CCLoM
        {"ptm_archs": FOUR, "alpha": 5000.0},
        {"ptm_archs": FOUR, "alpha_by_arch": ""},
    ],
)
def test_other_recipes_have_one_weight_for_all_architectures(choices: dict[str, Any]) -> None:
    recipe = make({"method": "dc"} | choices)
    assert recipe.alpha_by_arch == ""
    assert len(set(recipe.ptm_alphas.values())) == 1


def test_weights_that_are_set_replace_the_published_ones() -> None:
    recipe = make({"method": "dc", "ptm_archs": FOUR, "alpha_by_arch": "vgg11:7"})
    assert recipe.ptm_alphas == {"convnet3": 5000, "alexnet": 5000, "vgg11": 7, "resnet18": 5000}
    assert make({"method": "dc", "ptm_archs": FOUR, "regularizer": "none"}).alpha_by_arch == ""


def test_steps_by_images_per_class() -> None:
    for method, ipc in itertools.product(("dc", "dsa"), LOOPS):
        recipe = make({"method": method, "ipc": ipc})
        assert (recipe.outer_loops, recipe.inner_epochs) == LOOPS[ipc]


def test_the_schedule_of_ptms() -> None:
    ((one,),) = spec.of(make({}))
    rates = {1: 0.01, 50: 0.01, 51: 0.001, 100: 0.001, 101: 0.0001, 150: 0.0001}
    assert {epoch: training.learning_rate(one, epoch) for epoch in rates} == pytest.approx(rates)


@pytest.mark.parametrize("name", DATASETS)
def test_facts_of_datasets(name: str) -> None:
    row = data.info(name)
    own = (row.channels, row.size, len(row.classes), *row.images, row.mean, row.std)
    assert own == DATASETS[name]


@pytest.mark.parametrize("ipc", RATES)
@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("idc", {"init": "mix", "batch_real": 64, "eval_rule": "idc", "select_every": 0, "dream_plus": False}),
        ("dream", {"init": "kmeans", "batch_real": 128, "eval_rule": "dream", "select_every": 10, "dream_plus": False}),
    ],
)
def test_idc_and_dream(method: str, own: dict[str, Any], ipc: int) -> None:
    recipe = make({"method": method, "ipc": ipc}).model_dump()
    expected = CONDENSATION | own
    assert {field: recipe[field] for field in expected} == expected
    assert recipe["lr_img"] == pytest.approx(RATES[ipc], rel=1e-12)
    larger = make({"method": method, "ipc": ipc, "target": "imagenette"})
    assert larger.lr_img == pytest.approx(RATES[ipc] * (224 / 32) ** 2, rel=1e-12)
    assert make({"method": method, "ipc": ipc, "size": 16}).lr_img == pytest.approx(RATES[ipc] / 4, rel=1e-12)


def test_idc_i_begins_with_the_first_images() -> None:
    recipe = make({"method": "idc", "factor": 1})
    assert (recipe.init, recipe.decoded_ipc) == ("first", 50)
    assert recipe.key() == make({"method": "idc", "factor": 1, "init": "mix"}).key()
    assert make({"method": "idc"}).decoded_ipc == 200

"""Sweep files: every one of ours is a test case; every wrong one is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.backends import sampler
from ddsweep.errors import UserError

FIVE = {"ablation-alpha", "ablation-n-models", "ablation-n-archs", "ablation-epoch", "ablation-domain"}
# at paper scale, as the paper has them: axis × methods × IPC, and one baseline per row
CELLS = {
    "ablation-alpha": 27,
    "ablation-n-models": 21,
    "ablation-n-archs": 10,
    "ablation-epoch": 60,
    "ablation-domain": 36,
    "table1": 48,
    "table4": 12,
    "figure1": 3,
    "figureA1": 6,
}


def files() -> list[Path]:
    return sorted((Path(__file__).parent.parent / "sweeps").glob("*.yaml"))


def test_the_five_ablations_are_there() -> None:
    assert set(sweep.names()) >= FIVE


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_every_file_loads_at_every_scale(path: Path, profile: str) -> None:
    one = sampler.sketch(sweep.load(path.stem, profile))
    assert one.title
    assert one.full_name == f"{path.stem}@{profile}"
    assert any(one.is_baseline(cell.recipe) for cell in one.cells)
    assert any(not one.is_baseline(cell.recipe) for cell in one.cells)
    assert len(one.cells) == one.size
    if profile == "paper":
        assert len(one.cells) == CELLS.get(path.stem, len(one.cells))
    if profile == "demo":
        assert {cell.recipe.target for cell in one.cells} == {"digits"}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_sweep_survives_the_journey_to_an_agent(path: Path) -> None:
    one = sampler.sketch(sweep.load(path.stem))
    again = sweep.Sweep.from_definition(json.loads(json.dumps(one.definition())))
    assert again.with_points(json.loads(json.dumps(one.drawn))).cells == one.cells
    for cell in one.cells:
        assert again.recipe(json.loads(json.dumps(cell.point))) == cell.recipe


def test_cells_are_shared_between_ablations() -> None:
    alpha = {cell.key for cell in sweep.load("ablation-alpha").cells}
    epoch = {cell.key for cell in sweep.load("ablation-epoch").cells}
    models = {cell.key for cell in sweep.load("ablation-n-models").cells}
    # the three baselines at IPC 50, and the three cells with the published α, one PTM, the last epoch
    assert len(alpha & epoch) == 6
    assert len(models & epoch) == 6


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("ablation-alpha", 6),  # IPC 50, per method: the baseline, and (1, 1) with the published α
        ("ablation-n-models", 9),  # IPC 50, per method: the baseline, (1, 1) and (10, 1)
        ("ablation-n-archs", 3),  # DC, IPC 50: the baseline, (1, 1) and (1, 4)
        ("ablation-epoch", 12),  # per method and IPC: the baseline, and the last epoch
        ("ablation-domain", 6),  # the baselines
        ("table4", 0),  # it is evaluated on other networks
    ],
)
def test_table_1_shares_its_cells_with_the_ablations(name: str, shared: int) -> None:
    cells = {cell.key for cell in sweep.load("table1").cells}
    assert len(cells & {cell.key for cell in sweep.load(name).cells}) == shared


@pytest.mark.parametrize(("profile", "epochs"), [("paper", {150, 4}), ("quick", {30, 4}), ("demo", {20, 4})])
def test_table_4_has_well_trained_and_sub_optimal_ptms_at_every_scale(profile: str, epochs: set[int]) -> None:
    guided = [cell.recipe for cell in sweep.load("table4", profile).cells if cell.recipe.alpha]
    assert {recipe.ptm_epoch for recipe in guided} == epochs
    assert {(recipe.n_archs, recipe.ptm_epoch == recipe.ptm_epochs) for recipe in guided} == {
        (1, True), (4, True), (4, False),
    }  # fmt: skip
    assert {recipe.eval_archs for recipe in guided} == {"convnet3+alexnet+vgg11+resnet18"}


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_figures_1_and_a1_are_drawn_from_cells_of_table_4(profile: str) -> None:
    table, first, a1 = (
        {cell.key for cell in sweep.load(name, profile).cells} for name in ("table4", "figure1", "figureA1")
    )
    assert first < a1 < table
    assert len(first) == 3  # the baselines of DC, DSA and DM
    assert len(a1) == 6  # and with each of them its cell of (4, SO)


def test_figure_1_shares_what_table_4_has_in_its_demo() -> None:
    table, first = ({cell.key for cell in sweep.load(name, "demo").cells} for name in ("table4", "figure1"))
    assert len(first & table) == 1  # DM; other methods table4's demo leaves out


def test_a_sweep_says_which_pictures_belong_to_it() -> None:
    assert {name: sweep.load(name).pictures for name in ("ablation-alpha", "table4", "figure1", "figureA1")} == {
        "ablation-alpha": ("grid",), "table4": ("grid", "classes"), "figure1": ("classes",), "figureA1": ("tsne",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "name"),
    [("table2", "ablation-domain"), ("table5", "ablation-n-archs"), ("figure2", "ablation-epoch"),
     ("figure3left", "ablation-alpha"), ("table1", "table1")],
)  # fmt: skip
def test_a_table_of_the_paper_is_the_sweep_that_it_is(written: str, name: str) -> None:
    one, named = sweep.load(f"{written}@demo"), sweep.load(f"{name}@demo")
    assert one.full_name == named.full_name  # the same study
    assert one.cells == named.cells


def test_a_file_of_that_name_goes_before_a_table_of_the_paper() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/table5.yaml").write_text(yaml.safe_dump(minimal()))
    Path("sweeps/broken.yaml").write_text("- not a sweep")
    assert sweep.load("table5").name == "table5"
    assert sweep.load("table2").name == "ablation-domain"


def test_a_sweep_says_what_does_not_suit_it_in_a_profile() -> None:
    document = minimal()
    document["x-ddsweep"]["profiles"] = {"demo": {"alpha": [0, 7], "width": [8]}}
    file = write(yaml.safe_dump(document))
    assert [cell.recipe.alpha for cell in sweep.load(file, "demo").cells] == [0, 7]
    assert {cell.recipe.width for cell in sweep.load(file, "demo").cells} == {8}
    assert [cell.recipe.alpha for cell in sweep.load(file, "quick").cells] == [0, 1]
    assert [cell.recipe.alpha for cell in sweep.load(file, "demo", {"alpha": [0, 9]}).cells] == [0, 9]


def write(text: str) -> str:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return "mine.yaml"


def minimal(**changes: Any) -> dict[str, Any]:
    document = {
        "method": "grid",
        "parameters": {"alpha": {"values": [0, 1]}, "ipc": {"value": 10}},
        "x-ddsweep": {"title": "?", "axis": ["alpha"], "baseline": {"alpha": 0}},
    }
    return document | changes


def test_a_file_of_ones_own() -> None:
    one = sweep.load(write(yaml.safe_dump(minimal())), "demo", {"alpha": [0, 5, 50], "seed": [0, 1]})
    assert one.full_name == "mine@demo"
    assert [cell.point for cell in one.cells] == [{"alpha": a, "seed": s} for a in (0.0, 5.0, 50.0) for s in (0, 1)]


def test_a_folder_here_goes_before_what_ships() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/ablation-alpha.yaml").write_text(yaml.safe_dump(minimal()))
    assert len(sweep.load("ablation-alpha").cells) == 2
    assert set(sweep.names()) >= FIVE


def test_profile_fields_do_not_touch_an_axis_and_axes_replace_it() -> None:
    one = sweep.load("ablation-alpha", "demo")
    assert one.parameters["method"] == ("dm",)
    assert len(one.parameters["alpha"]) == 9
    assert {cell.recipe.alpha for cell in sweep.load("ablation-epoch", "demo").cells} == {0.0, 100.0}


def test_an_agent_may_work_in_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("jay", "wren"):
        Path("birds", name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (16, 16)).save(Path("birds", name, f"{index}.png"))
    one = sweep.load("ablation-alpha", "demo", {"target": "imagefolder:birds", "size": 16})
    definition = json.loads(json.dumps(one.definition()))
    monkeypatch.chdir(tmp_path)
    again = sweep.Sweep.from_definition(definition)
    assert [again.recipe(cell.point).key() for cell in one.cells] == [cell.key for cell in one.cells]


def test_exclude_leaves_cells_out() -> None:
    document = minimal()
    document["x-ddsweep"]["exclude"] = [{"alpha": 1, "ipc": 10}]
    assert len(sweep.load(write(yaml.safe_dump(document))).cells) == 1


def test_exclude_takes_conditions_too() -> None:
    document = minimal()
    document["x-ddsweep"]["exclude"] = ["alpha > 0 and ipc in [1, 10]"]
    one = sweep.load(write(yaml.safe_dump(document)))
    assert len(one.cells) == 1
    again = sweep.Sweep.from_definition(json.loads(json.dumps(one.definition())))
    assert again.cells == one.cells


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("alhpa == 0", "exclude: 'alhpa == 0': no field 'alhpa'; did you mean alpha? (allowed: alpha, ipc"),
        ("alpha == 'x'", "exclude: \"alpha == 'x'\": alpha is a number, 'x' is a text; they cannot be compared"),
        ("__import__('os')", "exclude: \"__import__('os')\": \"__import__('os')\" is not allowed here; write fields"),
        (5, "x-ddsweep.exclude.0: input should be a valid "),
    ],
)
def test_a_wrong_condition_is_one_line(rule: object, line: str) -> None:
    document = minimal()
    document["x-ddsweep"]["exclude"] = [rule]
    with pytest.raises(UserError) as error:
        sweep.load(write(yaml.safe_dump(document)))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 2]\n" + "".join(f"{b}: &{b} [{', '.join(['*' + chr(ord(b) - 1)] * 9)}]\n" for b in "bcdefghi"),
        "a: &a [1, *a]",
        "a: &a {x: *a}",
    ],
    ids=["aliases of aliases", "a list in itself", "a mapping in itself"],
)
def test_aliases_that_stand_for_too_much_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml: holds more than 1000000 values once its aliases are written out"):
        sweep.load(write(text))


def test_aliases_are_welcome() -> None:
    document = yaml.safe_dump(minimal(parameters=None)).replace("parameters: null", "")
    text = document + "\nparameters:\n  ipc: {values: &some [1, 10]}\n  alpha: {values: *some}\n"
    assert len(sweep.load(write(text)).cells) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("method: grid\n  bad: [", "mine.yaml, line 2: is not YAML"),
        ("- a\n- b", "the file: input should be a valid dictionary"),
        (yaml.safe_dump(minimal(methd="grid")), "methd: no such key; did you mean method?"),
        (
            yaml.safe_dump(minimal() | {"x-ddsweep": {"axis": ["alpha"], "excldue": []}}),
            "x-ddsweep.excldue: no such key; did you mean exclude?",
        ),
        (yaml.safe_dump(minimal(method="best")), "method: input should be 'grid', 'random' or 'bayes'"),
        (yaml.safe_dump(minimal(parameters={"alhpa": {"value": 1}})), "alhpa: no such parameter; did you mean alpha?"),
        (
            yaml.safe_dump(minimal(parameters={"alpha": {"values": []}})),
            "parameters.alpha.values: list should have at least",
        ),
        (yaml.safe_dump(minimal(parameters={"alpha": {}})), "parameters.alpha: needs exactly one of value and values"),
        (yaml.safe_dump(minimal(parameters={"alpha": {"mni": 0}})), "parameters.alpha.mni: no such key"),
        ("method: grid\nparameters: {alpha: {values: [0, 1e-3]}}\nx-ddsweep: {axis: [alpha]}", "write 0.001"),
        (
            yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": ["alpah"]}})),
            "alpah: no such parameter; did you mean alpha?",
        ),
        (yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": []}})), "x-ddsweep.axis: list should have at least 1 item"),
        (yaml.safe_dump(minimal(parameters={"ipc": {"value": 0}})), "ipc: 0 is not allowed"),
        (
            yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": ["alpha"], "pictures": ["tnse"]}})),
            "x-ddsweep.pictures.0: input should be 'grid', 'classes', 'tsne' or 'accuracy'",
        ),
        (
            yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": ["alpha"], "profiles": {"dmo": {"alpha": [1]}}}})),
            "x-ddsweep.profiles: no profile 'dmo'; did you mean demo?",
        ),
        (
            yaml.safe_dump(minimal(**{"x-ddsweep": {"axis": ["alpha"], "profiles": {"paper": {"alhpa": [1]}}}})),
            "alhpa: no such parameter; did you mean alpha?",
        ),
    ],
)
def test_a_wrong_file_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(write(text))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reference", "profile", "line"),
    [
        ("ablation-alpa", None, "no sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        ("ablation-alpha", "dmo", "no profile 'dmo'; did you mean demo?"),
        ("ablation-alpha@demo", "paper", "name two profiles"),
        ("nowhere.yaml", None, "no sweep file nowhere.yaml"),
    ],
)
def test_a_wrong_name_is_one_line(reference: str, profile: str | None, line: str) -> None:
    with pytest.raises(UserError, match="^" + ".*") as error:
        sweep.load(reference, profile)
    assert line in str(error.value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["method", "parameters", "x-ddsweep", "metric", "command", "name", "alpha", "ipc", "axis", "value", "values"]
)
documents = st.dictionaries(keys | st.text(max_size=6), json_like, max_size=5)
parameters = st.dictionaries(
    st.sampled_from(["alpha", "ipc", "method", "target", "source", "archs", "seed"]) | st.text(max_size=4),
    st.dictionaries(st.sampled_from(["value", "values", "min", "max", "distribution", "q"]), json_like, max_size=3),
    max_size=3,
)


searches = st.builds(
    lambda chosen, method, cap, early: minimal(parameters=chosen, method=method, run_cap=cap, early_terminate=early),
    parameters, st.sampled_from(["random", "bayes"]), json_like | st.just(3), json_like | st.none(),
)  # fmt: skip


@given(documents | parameters.map(lambda chosen: minimal(parameters=chosen)) | searches)
def test_any_document_loads_or_is_one_line(document: Any) -> None:
    try:
        one = sweep.load(write(yaml.safe_dump(document, allow_unicode=True)), "demo")
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert one.cells


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_load_or_are_one_line(content: bytes) -> None:
    Path("noise.yaml").write_bytes(content)
    with pytest.raises(UserError) as error:
        sweep.load("noise.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha_by_arch": ["convnet3:7", "convnet3:8"]},  # says the same as alpha, which is not swept
        {"eval_rule": ["paper", "best", "evaluate_synset", "plain300", "dc"], "eval_strategy": "none"},
        {"source": ["target", "shapes", "imagenet"], "ptm_statistics": ["target", "source"]},
    ],
    ids=["alpha_by_arch", "eval_rule", "source"],
)
def test_a_point_makes_its_cell_again_whatever_is_swept(settings: dict[str, Any]) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": 1.0, **settings})
    assert len(one.cells) == 4 - ("alpha_by_arch" in settings) * 2
    for cell in one.cells:
        assert one.recipe(cell.point).key() == cell.key

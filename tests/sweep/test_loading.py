"""A sweep from its file, a profile and --set; one-line errors for files that do not load."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.errors import UserError
from tests.sweep.examples import minimal, write


def test_a_file_by_its_path() -> None:
    loaded = sweep.load(write(yaml.safe_dump(minimal())), "demo", {"alpha": [0, 5, 50], "seed": [0, 1]})
    assert loaded.full_name == "mine@demo"
    assert [cell.point for cell in loaded.cells] == [{"alpha": a, "seed": s} for a in (0.0, 5.0, 50.0) for s in (0, 1)]


def test_fields_of_a_profile_leave_an_axis_alone_and_axes_replace_it() -> None:
    alpha = sweep.load("ablation-alpha", "demo")
    assert alpha.parameters["method"] == ("dm",)
    assert len(alpha.parameters["alpha"]) == 9
    assert {cell.recipe.alpha for cell in sweep.load("ablation-epoch", "demo").cells} == {0.0, 100.0}


def test_profiles_of_the_sweep_file_override_the_profile() -> None:
    document = minimal()
    document["x-ddsweep"]["profiles"] = {"demo": {"alpha": [0, 7], "width": [8]}}
    file = write(yaml.safe_dump(document))
    assert [cell.recipe.alpha for cell in sweep.load(file, "demo").cells] == [0, 7]
    assert {cell.recipe.width for cell in sweep.load(file, "demo").cells} == {8}
    assert [cell.recipe.alpha for cell in sweep.load(file, "quick").cells] == [0, 1]
    assert [cell.recipe.alpha for cell in sweep.load(file, "demo", {"alpha": [0, 9]}).cells] == [0, 9]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"parameters": {"alhpa": {"value": 1}}}, "alhpa: unknown parameter; did you mean alpha?"),
        ({"parameters": {"alpha": {}}}, "parameters.alpha: needs exactly one of value and values"),
        ({"parameters": {"alpha": {"values": [0, "1e-3"]}}}, "write 0.001"),
        ({"parameters": {"alpha": {"values": [0]}, "ipc": {"value": 0}}}, "ipc: 0 is not allowed"),
        ({"x-ddsweep": {"axis": ["alpah"]}}, "alpah: unknown parameter; did you mean alpha?"),
        (
            {"x-ddsweep": {"axis": ["alpha"], "profiles": {"dmo": {"alpha": [1]}}}},
            "x-ddsweep.profiles: unknown profile 'dmo'; did you mean demo?",
        ),
        (
            {"x-ddsweep": {"axis": ["alpha"], "profiles": {"paper": {"alhpa": [1]}}}},
            "alhpa: unknown parameter; did you mean alpha?",
        ),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(write(yaml.safe_dump(minimal(**changes))))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bare_1e_3_is_text_to_pyyaml_and_refused() -> None:
    with pytest.raises(UserError, match=r"alpha: '1e-3' is text, not a number; write 0\.001"):
        sweep.load(write("method: grid\nparameters: {alpha: {values: [0, 1e-3]}}\nx-ddsweep: {axis: [alpha]}"))


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
    st.sampled_from(["alpha", "ipc", "method", "target", "source", "ptm_archs", "seed"]) | st.text(max_size=4),
    st.dictionaries(st.sampled_from(["value", "values", "min", "max", "distribution", "q"]), json_like, max_size=3),
    max_size=3,
)
searches = st.builds(
    lambda chosen, method, cap, early: minimal(parameters=chosen, method=method, run_cap=cap, early_terminate=early),
    parameters,
    st.sampled_from(["random", "bayes"]),
    json_like | st.just(3),
    json_like | st.none(),
)


@given(documents | parameters.map(lambda chosen: minimal(parameters=chosen)) | searches)
def test_any_document_loads_or_is_one_line(document: Any) -> None:
    try:
        loaded = sweep.load(write(yaml.safe_dump(document, allow_unicode=True)), "demo")
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert loaded.cells

"""The schema of sweep files; one-line errors for files that do not match it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.errors import UserError
from tests.sweep.examples import minimal, write


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 2]\n" + "".join(f"{b}: &{b} [{', '.join(['*' + chr(ord(b) - 1)] * 9)}]\n" for b in "bcdefghi"),
        "a: &a [1, *a]",
        "a: &a {x: *a}",
    ],
    ids=["nested aliases", "list contains itself", "mapping contains itself"],
)
def test_aliases_that_expand_to_too_many_values_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"mine\.yaml: has more than 1000000 values with its aliases expanded"):
        sweep.load(write(text))


def test_aliases() -> None:
    document = yaml.safe_dump(minimal(parameters=None)).replace("parameters: null", "").replace("alpha: 0", "alpha: 1")
    text = document + "\nparameters:\n  ipc: {values: &some [1, 10]}\n  alpha: {values: *some}\n"
    assert len(sweep.load(write(text)).cells) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("method: grid\n  bad: [", "mine.yaml, line 2: is not valid YAML"),
        ("- a\n- b", "mine.yaml: the file: must be a mapping with the keys method, parameters, x-ddsweep, not a list"),
        (minimal(methd="grid"), "methd: no such key; did you mean method?"),
        (minimal(method="best"), "method: input should be 'grid', 'random' or 'bayes'"),
        (
            minimal(**{"x-ddsweep": {"axis": ["alpha"], "excldue": []}}),
            "x-ddsweep.excldue: no such key; did you mean exclude?",
        ),
        (minimal(**{"x-ddsweep": {"axis": []}}), "x-ddsweep.axis: list should have at least 1 item"),
        (
            minimal(**{"x-ddsweep": {"axis": ["alpha"], "pictures": ["tnse"]}}),
            "x-ddsweep.pictures.0: input should be 'grid', 'classes', 'tsne' or 'accuracy'",
        ),
        (minimal(parameters={"alpha": {"values": []}}), "parameters.alpha.values: list should have at least"),
        (minimal(parameters={"alpha": {"mni": 0}}), "parameters.alpha.mni: no such key"),
    ],
)
def test_a_mistake_is_one_line(text: str | dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(write(text if isinstance(text, str) else yaml.safe_dump(text)))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_one_line(content: bytes) -> None:
    Path("noise.yaml").write_bytes(content)
    with pytest.raises(UserError) as error:
        sweep.load("noise.yaml")
    assert "\n" not in str(error.value)

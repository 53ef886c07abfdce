"""Parts that are defined in a notebook: tried in its process, registered anew when a cell runs again, not launched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ddsweep
from ddsweep.errors import UserError
from ddsweep.plugins import loading, notebook
from ddsweep.registry.methods import METHODS
from tests.plugins.plugged import HALF, Plug, half, plug

__all__ = ["plug"]
Cell = Callable[[str], None]
TINY: dict[str, Any] = {
    "iterations": 2, "width": 4, "alpha": 0, "eval_nets": 1, "eval_epochs": 2, "arch": "convnet1",
}  # fmt: skip


@pytest.fixture
def cell(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """``cell(source)`` runs a cell of a notebook."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    plug(placeholder="")
    yield lambda source: exec(compile(source, "<cell>", "exec"), vars(main))


def test_a_class_of_a_cell_runs_in_this_process(cell: Cell, tmp_path: Path) -> None:
    cell(HALF)
    recipe = half(**TINY)
    assert recipe.plugins.startswith("__main__.Half@")
    result = ddsweep.run(recipe, device="cpu", runs=tmp_path)
    assert result.recipe.plugins == recipe.plugins
    assert result.accuracy is not None


def test_a_cell_that_runs_again_replaces_its_parts(cell: Cell) -> None:
    cell(HALF)
    first = half()
    cell(HALF)
    assert half() == first
    cell("\n\n" + HALF.replace("# ", "#  ").replace("    def", "    # a remark\n    def"))
    assert half() == first, "what does not change the code does not change the key"
    cell(HALF.replace("[::2]", "[::3]"))
    assert half().key() != first.key()
    cell(HALF.replace("rate=0.5", "rate=0.25"))
    assert METHODS["half"].options["rate"] == 0.25
    assert half().key() != first.key()


USES = HALF.replace("total = 0", "total = scaled(0)")
SCALED = "def scaled(x):\n    return SCALE * x + FACTORS[0]\n"


@pytest.mark.parametrize(
    "changed", ["SCALE = 2", "FACTORS = (2, 3)", SCALED.replace("+", "-"), "import helper\nSCALE = helper"]
)
def test_what_a_class_refers_to_is_in_the_key(changed: str, cell: Cell, plug: Plug, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "helper.py").write_text("X = 1")
    sys.path.append(str(tmp_path / "plugins"))
    try:
        cell("SCALE = 1\nFACTORS = (1, 2)\nOTHER = 1\n" + SCALED)
        cell(USES)
        first = half()
        cell("OTHER = 2")
        assert half() == first
        cell(changed)
        assert half().key() != first.key()
    finally:
        sys.path.remove(str(tmp_path / "plugins"))


def test_its_parent_and_arrays_are_in_the_key(cell: Cell) -> None:
    cell("import numpy as np\nclass Base:\n    def scale(self): return TABLE[0]\nTABLE = np.arange(3)")
    cell(HALF.replace("class Half:", "class Half(Base):"))
    first = half()
    cell("TABLE = np.arange(4)")
    second = half()
    cell("TABLE = np.arange(3)")
    assert half() == first != second


def test_it_is_not_launched(cell: Cell) -> None:
    cell(HALF)
    line = (
        "plugins: Half is defined in a notebook or script, which agents cannot import; move it to a file, and name the "
        f"file in ${loading.VARIABLE}"
    )
    with pytest.raises(UserError) as error:
        ddsweep.launch("ablation-alpha", profile="demo", method="half")
    assert str(error.value) == line
    assert not Path("runs").exists()


def test_a_name_of_a_listed_plugin_is_not_taken(cell: Cell, plug: Plug) -> None:
    plug(mine=HALF)
    assert "half" in METHODS
    with pytest.raises(UserError, match=r"__main__:Half: method 'half' is already registered by mine \(.*mine\.py\)"):
        cell(HALF)


def test_a_function_in_a_function_has_a_name_that_can_be_parsed(cell: Cell) -> None:
    cell("def make(rate):\n" + "\n".join(f"    {line}" for line in HALF.replace("rate=0.5", "rate=rate").splitlines()))
    cell("make(0.5)")
    first = half()
    assert first.plugins.startswith("__main__.make__locals__Half@")
    cell("make(0.25)")
    assert half().key() != first.key()


def test_the_same_values_have_the_same_text_in_every_process() -> None:
    assert notebook._plain({"a", "b"}) == notebook._plain({"b", "a"}) == "set('a', 'b')"
    assert notebook._plain((1, [2.5, {"x": None}])) == "tuple(1, list(2.5, dict('x', None)))"
    assert notebook._plain(object()) == ""

"""The tutorial notebook runs from top to bottom, as Jupyter would run it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def outputs(cell: nbformat.NotebookNode) -> str:
    """Everything a cell printed or showed as text."""
    parts = [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(parts)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own libraries: ddsweep runs in the kernel, a process of its own
def test_every_cell_runs_and_shows_what_the_text_promises(isolated: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": isolated}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    by_start = {cell.source.splitlines()[0]: cell for cell in code}
    launched = outputs(by_start["table = ddsweep.launch("])
    assert "done 6/6" in launched
    assert "difference" in launched
    per_cell = outputs(by_start['cells = ddsweep.results("three-alphas@demo", per_cell=True)'])
    assert len(per_cell.strip().splitlines()) == 1 + 6
    shown = by_start['synthetic = ddsweep.load_set("three-alphas@demo:alpha=100,seed=0")']
    assert any("image/png" in output.get("data", {}) for output in shown.outputs)
    assert "torch.Size([4, 10])" in outputs(code[-1])


def test_the_notebook_is_stored_with_its_outputs() -> None:
    code = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    silent = {cell.source for cell in code if not cell.outputs}
    assert silent == {"import ddsweep"}
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)

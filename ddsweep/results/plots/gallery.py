"""The figures of a sweep by kind, as ``launch`` draws them at the end and ``plot`` on request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ddsweep import files
from ddsweep.results.plots import accuracy, classes, images, tsne
from ddsweep.results.plots.style import Output
from ddsweep.results.plots.tsne import Say
from ddsweep.sweep import Picture, Sweep

RECORD = ".figures.json"  # the figures that were drawn last, by kind
DRAWN = {"accuracy": accuracy.along_axis, "grid": images.along_axis, "classes": classes.class_accuracy}


def kinds(sweep: Sweep) -> list[Picture]:
    """The kinds that ``plot`` draws by default: accuracy, then the ``pictures`` of the sweep file.

    A sweep without an image grid reproduces one figure of the paper, which its file names.
    """
    own = list(sweep.pictures)
    return ["accuracy", *own] if "grid" in own and "accuracy" not in own else own


def write(
    kind: Picture,
    sweep: Sweep,
    runs: Path,
    output: Output | None = None,
    device: str = "cpu",
    say: Say = lambda line: None,
) -> list[Path]:
    """Draw one kind of figure of the finished cells; returns no path if there are none.

    Args:
        kind: ``accuracy`` (``accuracy.along_axis``), ``grid`` (``images.along_axis``), ``classes``
            (``classes.class_accuracy``), ``tsne`` (``tsne.feature_maps``).
        sweep: the sweep.
        runs: the folder of all runs.
        output: folder and format; default: PNG in ``runs/NAME@PROFILE``.
        device: for computing features.
        say: called with a line before a slow step.
    """
    paths = tsne.feature_maps(sweep, runs, output, device, say) if kind == "tsne" else DRAWN[kind](sweep, runs, output)
    if paths and output is None:
        _remove_stale(kind, runs / sweep.full_name, paths)
    return paths


def _remove_stale(kind: Picture, folder: Path, paths: Sequence[Path]) -> None:
    """Remove the figures that were drawn before and have not been drawn again: the table has other rows now."""
    record = folder / RECORD
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        before = [str(name) for name in known.get(kind, [])]
    except (OSError, ValueError, AttributeError, TypeError):
        known, before = {}, []
    names = [path.name for path in paths]
    for name in before:
        if name not in names and Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
    files.write_json(record, {**known, kind: names})

"""The pictures of a sweep, by kind: what ``launch`` draws at its end and ``plot`` again."""

from __future__ import annotations

from pathlib import Path

from ddsweep.results import figures, tsne
from ddsweep.results.tsne import Say
from ddsweep.sweep import Picture, Sweep


def write(
    kind: Picture,
    sweep: Sweep,
    runs: Path,
    folder: Path | None = None,
    device: str = "cpu",
    say: Say = lambda line: None,
) -> list[Path]:
    """Draw one kind of picture of what is finished; without a finished cell there is none.

    Args:
        kind: ``grid`` (``figures.along_axis``), ``classes`` (``figures.class_accuracy``), ``tsne``
            (``tsne.feature_maps``).
        sweep: whose.
        runs: the folder of all runs.
        folder: where to; default: ``runs/NAME@PROFILE``.
        device: for what has to be computed.
        say: is told before something takes long.
    """
    if kind == "tsne":
        return tsne.feature_maps(sweep, runs, folder, device, say)
    return {"grid": figures.along_axis, "classes": figures.class_accuracy}[kind](sweep, runs, folder)

"""The pictures of a sweep, by kind: what ``launch`` draws at its end and ``plot`` again."""

from __future__ import annotations

from pathlib import Path

from ddsweep.results.plots import accuracy, classes, images, tsne
from ddsweep.results.plots.style import Output
from ddsweep.results.plots.tsne import Say
from ddsweep.sweep import Picture, Sweep

DRAWN = {"accuracy": accuracy.along_axis, "grid": images.along_axis, "classes": classes.class_accuracy}


def kinds(sweep: Sweep) -> list[Picture]:
    """What ``plot`` draws of a sweep without being told: the pictures of its file, the one of its numbers first.

    A sweep that has no image grid is itself a figure of the paper, and says in its file which one.
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
    """Draw one kind of picture of what is finished; without a finished cell there is none.

    Args:
        kind: ``accuracy`` (``accuracy.along_axis``), ``grid`` (``images.along_axis``), ``classes``
            (``classes.class_accuracy``), ``tsne`` (``tsne.feature_maps``).
        sweep: whose.
        runs: the folder of all runs.
        output: where to, and in which format; default: PNG in ``runs/NAME@PROFILE``.
        device: for what has to be computed.
        say: is told before something takes long.
    """
    if kind == "tsne":
        return tsne.feature_maps(sweep, runs, output, device, say)
    return DRAWN[kind](sweep, runs, output)

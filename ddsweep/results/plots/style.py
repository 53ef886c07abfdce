"""Pages for figures: one look, for print and for readers who do not see every colour; PNG, PDF or SVG.

Sizes are those of a two-column page in inches, so that a figure is included as it is and its text is as large as it
says: 8 points, and 7 for what is written small. Lines differ in colour, marker and dash, bars in colour and hatch:
either alone is enough.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
COLUMN, PAGE = 3.35, 6.9  # inches: the width of one column, and of both
TEXT, SMALL = 8, 7  # points
DPI = 300
KEY, LETTER = 0.5, 0.062  # inches: of a key of the legend with its gaps; of a small letter, about
INK, FAINT = "#282828", "#d5d5d5"
# Okabe and Ito's colours, without the yellow that paper swallows
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (7, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 1)))
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----")

STYLE: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine, and has α and ×
    "font.size": TEXT, "axes.labelsize": TEXT, "axes.titlesize": TEXT, "figure.labelsize": TEXT,
    "legend.fontsize": SMALL, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "hatch.linewidth": 0.5,
    "lines.linewidth": 1.2, "lines.markersize": 4,
    "pdf.fonttype": 42,       # TrueType, embedded as it is: what publishers' checks ask for
    "svg.fonttype": "path",   # letters as outlines: no font is needed where the file is opened
    "svg.hashsalt": "ddsweep", "text.usetex": False,
}  # fmt: skip


@contextlib.contextmanager
def page(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of ``width`` × ``height`` inches; it is written to ``path`` when it is done, by the path's ending.

    The same content gives the same bytes: no date goes into the file. Matplotlib reads its settings from a global;
    here they are its own defaults and ``STYLE``, whatever the user's ``matplotlibrc`` says, and what was there before
    is put back. pyplot, with its list of open figures, is not used.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
        with files.atomic(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=dates.get(path.suffix))


def look(index: int) -> dict[str, Any]:
    """Colour, marker and dash of a line."""
    turn = index % len(COLORS)
    return {"color": COLORS[turn], "marker": MARKERS[turn], "linestyle": DASHES[turn]}


def fill(index: int) -> dict[str, Any]:
    """Colour and hatch of a bar."""
    turn = index % len(COLORS)
    return {"facecolor": COLORS[turn], "hatch": HATCHES[turn], "edgecolor": "white", "linewidth": 0.4}


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend above all panels, in as many columns as there is room for."""
    longest = max(map(len, labels), default=0)
    room = int(figure.get_figwidth() / (KEY + LETTER * longest))
    figure.legend(
        handles, labels, loc="outside upper center", ncols=max(1, min(len(labels), room)), handlelength=2.6,
        columnspacing=1.2, borderpad=0.1, handletextpad=0.5,
    )  # fmt: skip


@dataclass(frozen=True)
class Output:
    """A folder for pictures under their own names, or a name for them.

    Attributes:
        folder: where to.
        stem: what they are called; empty: by what they show.
        suffix: the ending, which is the format: one of ``drawing.SUFFIXES``.
    """

    folder: Path
    stem: str = ""
    suffix: str = ".png"

    @classmethod
    def of(cls, path: Path) -> Output:
        """What ``--output`` means: a file if it ends as a picture does, else a folder.

        Raises:
            UserError: it ends like a file of another kind.
        """
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            return cls(path.parent, path.stem, suffix)
        if suffix in (".jpg", ".jpeg", ".gif", ".eps", ".ps", ".tif", ".tiff", ".webp", ".html", ".pgf"):
            raise UserError(f"--output {path}: no such format (allowed: {', '.join(SUFFIXES)}; or a folder)")
        return cls(path)

    def path(self, name: str, label: str = "") -> Path:
        """Where the picture ``name`` of the setting ``label`` goes: ``NAME-LABEL.png``, or ``STEM-LABEL.pdf``."""
        return self.folder / (file_name([self.stem or name, label]) + self.suffix)


def file_name(parts: Iterable[str]) -> str:
    """The words of ``parts`` as the name of a file, without its ending."""
    return "-".join(filter(None, (re.sub(r"[^\w-]+", "-", part) for part in parts)))

"""The common style of printed figures, as PNG, PDF or SVG, also for readers who do not see every color.

Sizes are those of a two-column page in inches, so that a figure is included without scaling and its text has the size
it says: 8 points, and 7 points for small text. Lines differ in color, marker and dash, bars in color and hatch; either
alone is enough to distinguish them.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import files, fonts
from ddsweep.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
COLUMN, PAGE = 3.35, 6.9  # inches: the width of one column, and of both
TEXT, SMALL = 8, 7  # points
DPI = 300
LONGEST_FILE = 180  # bytes of a file's name; of a longer one, a digest replaces the end
KEY, LETTER = 0.5, 0.062  # inches: width of a key of the legend with its gaps; approximate width of a small letter
INK, FAINT = "#282828", "#d5d5d5"
# Okabe and Ito's colors, without yellow, which is hard to see on paper
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (7, 2)), (0, (4, 1, 1, 1, 1, 1)), (0, (2, 1)))
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----")

STYLE: Mapping[str, Any] = {
    "font.family": fonts.FAMILY, "text.parse_math": False,  # a name is never a formula
    "font.size": TEXT, "axes.labelsize": TEXT, "axes.titlesize": TEXT, "figure.labelsize": TEXT,
    "legend.fontsize": SMALL, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "hatch.linewidth": 0.5,
    "lines.linewidth": 1.2, "lines.markersize": 4,
    "pdf.fonttype": 42,       # TrueType, embedded unchanged: what publishers' checks ask for
    "svg.fonttype": "path",   # letters as outlines: viewers need no font
    "svg.hashsalt": "ddsweep", "text.usetex": False,
}  # fmt: skip


@contextlib.contextmanager
def page(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Provide a figure of ``width`` × ``height`` inches and write it to ``path``, in the format of its suffix.

    The same content gives the same bytes: no date is written to the file. Matplotlib reads its settings from a global;
    within this context they are its own defaults and ``STYLE``, whatever the user's ``matplotlibrc`` says, and they are
    restored afterwards. pyplot, with its list of open figures, is not used.

    Texts are shown as they are: a dollar sign in a name begins no formula.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", dict(STYLE)]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        _make_drawable(figure)
        dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
        with files.atomic(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=DPI, metadata=dates.get(path.suffix))


def _make_drawable(figure: Figure) -> None:
    """Write what the font lacks by its number, in every text of the figure, also in the labels of ticks."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(fonts.drawable(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FixedFormatter):
            formatter.seq = [fonts.drawable(label) for label in formatter.seq]


def turns(index: int) -> tuple[int, int, int]:
    """Return which color, marker and dash line ``index`` has.

    The first six lines differ in each of them. With every six more, the markers move on by one: color and marker
    together, and marker and dash together, are different for 48 lines, and all three for 288.
    """
    color, again = index % len(COLORS), index // len(COLORS)
    return color, (color + again) % len(MARKERS), (color + again // len(MARKERS)) % len(DASHES)


def look(index: int) -> dict[str, Any]:
    """Return color, marker and dash of a line."""
    color, marker, dash = turns(index)
    return {"color": COLORS[color], "marker": MARKERS[marker], "linestyle": DASHES[dash]}


def fill(index: int) -> dict[str, Any]:
    """Return color and hatch of a bar, which together are different for 36 bars."""
    color, again = index % len(COLORS), index // len(COLORS)
    hatch = HATCHES[(color + again) % len(HATCHES)]
    return {"facecolor": COLORS[color], "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Add a legend above all panels, in as many columns as fit."""
    labels = fonts.names(labels, fonts.TITLE)
    longest = max(map(len, labels), default=0)
    fitting = int(figure.get_figwidth() / (KEY + LETTER * longest))
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=max(1, min(len(labels), fitting)),
        handlelength=2.6,
        columnspacing=1.2,
        borderpad=0.1,
        handletextpad=0.5,
    )


@dataclass(frozen=True)
class Output:
    """Where figures are written: a folder, and optionally a file name.

    Attributes:
        folder: the folder.
        stem: the file name without suffix; empty: named after what the figure shows.
        suffix: the format, one of ``SUFFIXES``.
    """

    folder: Path
    stem: str = ""
    suffix: str = ".png"

    @classmethod
    def of(cls, path: Path) -> Output:
        """Parse ``--output``: a file if it has the suffix of a figure, else a folder.

        Raises:
            UserError: it has the suffix of another kind of file.
        """
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            return cls(path.parent, path.stem, suffix)
        if suffix in (".jpg", ".jpeg", ".gif", ".eps", ".ps", ".tif", ".tiff", ".webp", ".html", ".pgf"):
            raise UserError(f"--output {path}: unknown format {suffix}; choose {', '.join(SUFFIXES)} or a folder")
        return cls(path)

    def path(self, name: str, label: str = "") -> Path:
        """The path of figure ``name`` for setting ``label``: ``NAME-LABEL.png``, or ``STEM-LABEL.pdf``."""
        return self.folder / (file_name([self.stem or name, label]) + self.suffix)


def file_name(parts: Iterable[str]) -> str:
    """Join ``parts`` to a file name without suffix, at most ``LONGEST_FILE`` bytes long, for any file system."""
    name = "-".join(filter(None, (re.sub(r"[^\w-]+", "-", part) for part in parts)))
    if len(name.encode(errors="replace")) <= LONGEST_FILE:
        return name
    short = name.encode(errors="replace")[: LONGEST_FILE - 9].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"

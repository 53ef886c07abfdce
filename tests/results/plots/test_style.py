"""Pages: the same bytes each time, letters inside the file, and nothing left behind in Matplotlib."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image

from ddsweep.errors import UserError
from ddsweep.results.plots import style
from ddsweep.results.plots.style import Output


def page(path: Path) -> Path:
    with style.page(path, 3.0, 2.0) as figure:
        axes = figure.subplots()
        axes.plot([1, 2, 3], [3, 1, 2], label="α × β", **style.look(1))
        axes.set_title("N$_m$ – α")
        axes.bar([1, 2], [1, 2], **style.fill(2))
    return path


@pytest.mark.parametrize("suffix", style.SUFFIXES)
def test_the_same_content_is_the_same_file(suffix: str) -> None:
    assert page(Path(f"a{suffix}")).read_bytes() == page(Path(f"b{suffix}")).read_bytes()


def test_a_png_has_the_dots_of_print() -> None:
    with Image.open(page(Path("a.png"))) as picture:
        assert picture.size == (900, 600)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_pdf_carries_its_fonts_as_truetype() -> None:
    content = page(Path("a.pdf")).read_bytes()
    streams = [
        zlib.decompress(part)
        for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
        if part[:1] == b"x"
    ]
    everything = content + b"".join(streams)
    assert b"/FontFile2" in everything
    assert b"/Type3" not in everything
    assert b"CreationDate" not in everything
    (box,) = re.findall(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", everything)
    assert [float(side) for side in box] == [3.0 * 72, 2.0 * 72]


def test_an_svg_needs_no_font_and_no_net() -> None:
    text = page(Path("a.svg")).read_text()
    assert "<text" not in text
    assert "<dc:date>" not in text
    assert not re.search(r'(href|src)="(?!#|data:)', text)


def test_settings_of_others_have_no_say_and_are_put_back() -> None:
    before = page(Path("a.svg")).read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "none"}):
        settings = dict(mpl.rcParams)
        assert page(Path("b.svg")).read_bytes() == before
        assert dict(mpl.rcParams) == settings


def test_pyplot_and_its_figures_are_never_loaded() -> None:
    code = (
        "import sys; from pathlib import Path; from ddsweep.results.plots import style\n"
        "assert 'matplotlib' not in sys.modules\n"
        "with style.page(Path('a.pdf'), 2, 1) as figure: figure.subplots()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_left_where_drawing_fails() -> None:
    with pytest.raises(ZeroDivisionError), style.page(Path("a.png"), 2, 1):
        _ = 1 / 0
    assert list(Path().iterdir()) == []


def test_every_line_and_every_bar_has_a_look_of_its_own() -> None:
    lines, bars = [style.look(index) for index in range(288)], [style.fill(index) for index in range(36)]
    assert len({str(one) for one in lines}) == 288
    for pair in (("color", "marker"), ("marker", "linestyle")):  # dots have no dash, and print has no color
        assert len({str([one[field] for field in pair]) for one in lines[:48]}) == 48
    assert len({str(one) for one in bars}) == 36


def test_either_color_or_form_is_enough() -> None:
    for kind in (style.look, style.fill):
        for field in kind(0):
            if field not in ("edgecolor", "linewidth"):
                assert len({str(kind(index)[field]) for index in range(6)}) == 6


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("out", ["out/tsne.png", "out/tsne-dm.png"]),
        ("out/fig1.pdf", ["out/fig1.pdf", "out/fig1-dm.pdf"]),
        ("Fig.SVG", ["Fig.svg", "Fig-dm.svg"]),
        ("runs/v1.2", ["runs/v1.2/tsne.png", "runs/v1.2/tsne-dm.png"]),
    ],
)
def test_where_pictures_go(path: str, files: list[str]) -> None:
    output = Output.of(Path(path))
    assert [str(output.path("tsne", label)) for label in ("", "dm")] == files


def test_an_ending_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(UserError, match=r"--output fig.eps: unknown format .eps; choose .png, .pdf, .svg or a folder"):
        Output.of(Path("fig.eps"))

"""Characters that a screen obeys are shown; characters that an encoding or a font lacks are spelled."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import characters, fonts
from tests import hostile

NAMES = [*hostile.CLASSES, hostile.FOLDER, hostile.TITLE, hostile.REASON, "a\nb\r\nc\x85d\u2028e", "\udcff\ud800"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_that_a_terminal_obeys(name: str) -> None:
    assert not hostile.CONTROL.search(characters.printable(name))
    assert "\n" not in characters.one_line(name)
    characters.printable(name).encode()  # no byte of a file name that is not UTF-8


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_no_text_controls_a_terminal(name: str) -> None:
    shown = characters.printable(name)
    assert not hostile.CONTROL.search(shown)
    assert characters.printable(shown) == shown
    assert len(characters.one_line(name).splitlines()) <= 1
    for encoding in ("ascii", "latin-1", "cp1252", "utf-8"):
        characters.encodable(name, encoding).encode(encoding)


def test_what_is_shown_instead() -> None:
    assert characters.printable("\x1b[31m \u202e \x00 \x9b \udcff \t|") == "\\x1b[31m \\u202e \\x00 \\x9b \\xff  |"
    assert characters.printable("α é 中 שלום 😀 ÿ") == "α é 中 שלום 😀 ÿ"
    assert characters.one_line(" a \n\n b\tc ") == "a b c"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "alpha Omega e ss \\u4e2d \\U0001f600 -- | ... x +- -> -"),
        ("latin-1", "alpha Omega é ß \\u4e2d \\U0001f600 -- | ... × ± -> -"),
        ("cp1252", "alpha Omega é ß \\u4e2d \\U0001f600 -- | … × ± -> –"),
        ("utf-8", "α Ω é ß 中 😀 ── │ … × ± → –"),
    ],
)
def test_an_encoding_degrades_characters(encoding: str, shown: str) -> None:
    assert characters.encodable("α Ω é ß 中 😀 ── │ … × ± → –", encoding) == shown


def test_corners_of_tables() -> None:
    assert characters.encodable("┌┬┐├┼┤└┴┘━┃", "ascii") == "+++++++++-|"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_streams_do_not_fail(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # a stream without an encoding, as in a notebook
    characters.tolerate_encodings()
    sys.stdout.write("α 中 \udcff ✓")
    sys.stdout.flush()
    expected = "α 中 \\xff ✓" if encoding == "utf-8" else "alpha \\u4e2d \\xff ok"
    assert raw.getvalue().decode(encoding) == expected


def test_different_names_stay_different_in_pictures() -> None:
    shown = fonts.names([*hostile.CLASSES, "中", "文", "x" * 300, "x" * 299, "é", "a\u202eb", "a\nb"])
    assert len(set(shown)) == len(shown)
    assert all(len(name) <= fonts.LONGEST + 6 for name in shown)
    assert shown[8:10] == ["\\u4e2d", "\\u6587"]
    assert shown[12] == "é"
    assert shown[10] != shown[11]
    assert "…" in shown[6]
    assert all(ord(character) in fonts.glyphs() for name in shown for character in name)


def test_a_letter_with_a_combining_accent_is_one_letter() -> None:
    assert {*map(chr, fonts.glyphs()), "\n"} >= fonts.COMMON
    assert fonts.drawable("e\u0301 α × – ü") == "é α × – ü"


def test_a_shortened_name_keeps_its_end() -> None:
    assert characters.shortened("photographs-of-the-first-garden-17", 20) == "photographs-o…den-17"
    assert characters.shortened("short", 20) == "short"


def test_the_table_of_the_example_is_readable_in_ascii() -> None:
    code = "from ddsweep.cli import main; main()"
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, env=environment, check=True, encoding="ascii"
    )
    assert "Run and track sweeps" in done.stdout
    assert "+-" in done.stdout

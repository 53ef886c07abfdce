"""YAML that could mean two things is refused, with the lines and with how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.sweep import yaml_file

SWEEP = """\
method: grid
parameters:
  ipc: {value: 1}
  alpha: {values: [0, 10]}
x-ddsweep:
  title: mine
  axis: [alpha]
"""


def read(text: str) -> object:
    path = Path("mine.yaml")
    path.write_text(text, encoding="utf-8")
    return yaml_file.read(path)


def refused(text: str) -> str:
    with pytest.raises(UserError) as error:
        read(text)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "mine.yaml, lines 1 and 3: a is given twice; remove one"),
        ("x:\n  a: 1\n  'a': 1\n", "mine.yaml, lines 2 and 3: a is given twice; remove one"),
        ("x: [{b: 1}, {a: 1, c: 2, a: 1}]\n", "mine.yaml, line 1: a is given twice; remove one"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n  d: 1\n  d: 2\n",
            "mine.yaml, lines 4 and 5: d is given twice; remove one",
        ),
    ],
)
def test_a_key_that_is_given_twice(text: str, line: str) -> None:
    assert refused(text) == line


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("010", "010 is 8 in YAML 1.1, where a leading 0 means octal; write 10, or 8"),
        ("-0017", "-0017 is -15 in YAML 1.1, where a leading 0 means octal; write -17, or -15"),
        ("08", "08 is not the same number to every reader of YAML; write 8"),
        ("00", "00 is not the same number to every reader of YAML; write 0"),
        ("0o10", "0o10 is a number only in YAML 1.2; write 8, or '0o10' for the text"),
        ("1_000", "1_000 is a number only in YAML 1.1; write 1000"),
        ("1_0.5", "1_0.5 is a number only in YAML 1.1; write 10.5"),
        ("1:30", "1:30 is 90 in YAML 1.1, in base 60; write 90, or '1:30' for the text"),
        ("1:00:00", "1:00:00 is 3600 in YAML 1.1, in base 60; write 3600, or '1:00:00' for the text"),
        ("no", "no is false in YAML 1.1 and a word in YAML 1.2; write false, or 'no' for the word"),
        ("On", "On is true in YAML 1.1 and a word in YAML 1.2; write true, or 'On' for the word"),
    ],
)
def test_a_value_that_readers_understand_differently(value: str, advice: str) -> None:
    assert refused(f"a: 1\nb: {{values: [1, {value}]}}\n") == f"mine.yaml, line 2: {advice}"
    assert read(f"b: ['{value}', \"{value}\"]\n") == {"b": [value, value]}
    assert refused(f"{value}: 1\n").startswith(f"mine.yaml, line 1: {value} is ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10), ("0", 0), ("-5", -5), ("0.5", 0.5), ("0.05", 0.05), ("1.0e-3", 0.001), (".5", 0.5), ("0x1F", 31),
        ("true", True), ("False", False), ("alexnet:100", "alexnet:100"), ("1e-3", "1e-3"), ("dm", "dm"),
        ("null", None), ("12:99", "12:99"), ("a_b", "a_b"),
    ],
)  # fmt: skip
def test_what_is_clear_is_read(text: str, value: object) -> None:
    found = read(f"a: {text}\n")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_anchors_and_merges() -> None:
    text = "base: &b {a: 1, c: 2}\none: {<<: *b, c: 3}\ntwo: {<<: [*b, {d: 4}]}\nlist: &l [1, 2]\nagain: *l\n"
    assert read(text) == {
        "base": {"a": 1, "c": 2}, "one": {"a": 1, "c": 3}, "two": {"a": 1, "c": 2, "d": 4}, "list": [1, 2],
        "again": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"title: caf\xe9\n", "mine.yaml: cannot be read: it is not UTF-8 (invalid continuation byte at byte 10)"),
        ("a: 1\n".encode("utf-16"), "mine.yaml: cannot be read: it is not UTF-8 (invalid start byte at byte 0)"),
        (b"a:\n\tb: 1\n", "mine.yaml, line 2: is not valid YAML (found character '\\t' that cannot start any token; "
         "indent with spaces instead of tabs)"),
        (b"a: 1\n---\nb: 2\n", "mine.yaml, line 2: is not valid YAML (but found another document)"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read(content: bytes, line: str) -> None:
    Path("mine.yaml").write_bytes(content)
    with pytest.raises(UserError) as error:
        yaml_file.read(Path("mine.yaml"))
    assert str(error.value) == line


def test_a_byte_order_mark_and_windows_line_breaks() -> None:
    Path("mine.yaml").write_bytes(b"\xef\xbb\xbf" + SWEEP.replace("\n", "\r\n").encode())
    assert sweep.load("mine.yaml").size == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "mine.yaml: is empty"),
        ("# only a comment\n", "mine.yaml: is empty"),
        ("- method: grid\n", "with the keys method, parameters, x-ddsweep, not a list"),
        ("grid\n", "mine.yaml: the file: must be a mapping with the keys method, parameters, x-ddsweep, not a str"),
        (SWEEP.replace("grid", "Grid"), "did you mean grid?"),
        (SWEEP.replace("value:", "Value:"), "mine.yaml: parameters.ipc.Value: no such key; did you mean value?"),
        (SWEEP.replace("alpha:", "Alpha:"), "mine.yaml: Alpha: unknown parameter; did you mean alpha?"),
        (SWEEP.replace("axis: [alpha]", "axis: [alpha]\n  pictures: [TSNE]"), "did you mean tsne?"),
        (SWEEP.replace("ipc: {value: 1}", "ipc: {value: 010}"), "mine.yaml, line 3: 010 is 8 in YAML 1.1"),
        (SWEEP.replace("ipc:", "alpha:"), "mine.yaml, lines 3 and 4: alpha is given twice; remove one"),
    ],
)  # fmt: skip
def test_a_sweep_file_with_a_mistake_is_one_line(text: str, line: str) -> None:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        sweep.load("mine.yaml")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_shipped_files_are_clear() -> None:
    for name in sweep.names():
        yaml_file.read(sweep.find(name))

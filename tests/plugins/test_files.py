"""Files that a plugin reads are in the key by their content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import declared, pins
from ddsweep.recipe import Recipe, make, verify
from ddsweep.registry.methods import METHODS
from tests.cli.conftest import Run, ddsweep
from tests.plugins.plugged import HALF, Plug, forget, half, plug

__all__ = ["ddsweep", "plug"]
READS = HALF.replace("alpha=7.0", 'files=("table.csv",), alpha=7.0')
OPTION = HALF.replace("alpha=7.0", 'files=["option:kind"], alpha=7.0').replace('kind="plain"', 'kind="a.txt"')


def put(plug: Plug, **contents: str) -> Path:
    """Write files beside the plugins."""
    folder = plug(placeholder="").parent
    for name, text in contents.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_the_content_of_a_declared_file_is_in_the_key(plug: Plug) -> None:
    keys = []
    for text in ("1", "2", "1"):
        put(plug, table__csv=text)
        plug(mine=READS)
        keys.append(half().key())
        code = METHODS.code("half")
        assert code is not None
        assert code.files == ("table.csv",)
        forget("mine")
    assert keys[0] == keys[2] != keys[1]


def test_a_file_that_changes_while_an_agent_runs_is_noticed(plug: Plug) -> None:
    folder = put(plug, table__csv="1")
    plug(mine=READS)
    recipe = half()
    verify([recipe])
    put(plug, table__csv="22")
    with pytest.raises(UserError, match=rf"mine\.py is mine@\w+ on this host, but the cell needs {recipe.plugins}"):
        verify([recipe])
    (folder / "table.csv").unlink()
    with pytest.raises(UserError, match=r"files: table\.csv: no such file or folder"):
        verify([recipe])


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ('"table.csv"', r"method 'half': files: table\.csv: no such file or folder \(.*plugins/table\.csv\)$"),
        ("(1,)", "method 'half': files: 1 is not the path of a file, as text"),
        ('"option:wieghts"', r"files: option:wieghts: has no option 'wieghts' \(options: rate, steps, exact, kind\)"),
    ],
)
def test_a_declaration_that_cannot_be_met_is_one_line(files: str, line: str, plug: Plug) -> None:
    plug(mine=HALF.replace("alpha=7.0", f"files={files}, alpha=7.0"))
    with pytest.raises(UserError, match=line):
        list(METHODS)


def test_a_folder_counts_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.pt").write_bytes(b"1")
    first = declared.digest(tmp_path)
    (tmp_path / "inner" / "b.pt").write_bytes(b"2")
    second = declared.digest(tmp_path)
    (tmp_path / "inner" / "b.pt").rename(tmp_path / "inner" / "c.pt")
    assert len({first, second, declared.digest(tmp_path)}) == 3


def with_file(name: str, **choices: Any) -> Recipe:
    return half(options=f"kind:{name}", **choices)


def test_a_file_that_an_option_names_has_a_pin_of_its_own(plug: Plug) -> None:
    folder = put(plug, a__txt="1", b__txt="2")
    plug(mine=OPTION)
    default, other = half(), with_file("b.txt")
    assert [pin.partition("@")[0] for pin in default.plugins.split("+")] == ["mine", "mine:a.txt"]
    assert [pin.partition("@")[0] for pin in other.plugins.split("+")] == ["mine", "mine:b.txt"]
    verify([default, other])
    both = pins.union([default.plugins, other.plugins])
    assert [half(plugins=both), with_file("b.txt", plugins=both)] == [default, other], "as the cells of a sweep"
    (folder / "b.txt").write_text("3")
    changed = with_file("b.txt")
    assert changed.key() != other.key()
    assert half().key() == default.key()
    with pytest.raises(UserError, match=r"b\.txt is mine:b\.txt@\w+ on this host, but the cell needs mine:b\.txt@"):
        verify([other])
    (folder / "b.txt").unlink()
    assert make(other.model_dump()).key() == other.key(), "an old result stays readable"
    with pytest.raises(UserError, match=r"^plugins: mine: an option names the file .*b\.txt, which does not exist$"):
        with_file("b.txt")


def test_the_name_of_a_pin_can_be_parsed() -> None:
    for value in ("a.txt", "x/y-1.pt", "~/w.pt", "a b.pt", "a_b.pt", "ä,=@.pt"):
        text = pins.spell({pins.name_of_file("mine", value): "0123456789ab", "lab.inner": "0123456789ab"})
        assert len(pins.parse(text)) == 2
    assert pins.name_of_file("mine", "a b.pt") != pins.name_of_file("mine", "a_b.pt")


def test_the_plugins_command_lists_what_the_digest_covers(plug: Plug, ddsweep: Run) -> None:
    put(plug, table__csv="1", helper__py="X = 1")
    plug(mine=f"import helper\n{READS}")
    (one,) = json.loads(ddsweep("plugins", "--json").stdout)
    assert (one["modules"], one["files"]) == (["helper", "mine"], ["table.csv"])
    line = "mine: the digest covers 2 modules: helper, mine; 1 file: table.csv\n"
    assert line in ddsweep("plugins").stdout

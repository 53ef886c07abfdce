"""A table: its order, who may have which name, and the code that a part comes from."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from ddsweep import nn
from ddsweep.errors import UserError
from ddsweep.plugins import code
from ddsweep.plugins.registry import Registry
from ddsweep.registry import networks
from ddsweep.registry.networks import TABLE, join
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
NETWORK = 'import ddsweep\n@ddsweep.network("{name}", paper="{name}!")\ndef body(channels, size, width): ...\n'


def of(module: str) -> str:
    """A source of a plugin that is not imported: a module of the standard library stands for it."""
    return f"{module}:name"


@pytest.mark.parametrize("order", list(itertools.permutations(["zebra", "ant", "moth"])))
def test_the_order_does_not_depend_on_who_was_found_first(order: tuple[str, ...]) -> None:
    table: Registry[int] = Registry("thing")
    for name in ("own2", "own1"):
        table.add(name, 0, of("ddsweep.nn"))
    for name in order:
        table.add(name, 0, of("json"))
    assert list(table) == ["own2", "own1", "ant", "moth", "zebra"]


def test_a_set_of_networks_has_one_spelling(plug: Plug) -> None:
    plug(b=NETWORK.format(name="aaa"), a=NETWORK.format(name="zzz"))
    assert join(["zzz", "resnet18", "aaa", "convnet3"]) == "convnet3+resnet18+aaa+zzz"
    assert nn.names()[-2:] == ["aaa", "zzz"]
    assert networks.paper_name("zzz") == "zzz!"


def test_the_same_source_may_register_again_and_another_may_not() -> None:
    table: Registry[int] = Registry("thing")
    table.add("one", 1, of("json"))
    table.add("one", 2, of("json"))
    assert table["one"] == 2
    with pytest.raises(UserError, match="the thing 'one' of csv:name is that of json already"):
        table.add("one", 3, of("csv"))


def test_an_unknown_name_names_the_closest() -> None:
    table: Registry[int] = Registry("thing")
    table.add("convnet", 1, of("ddsweep.nn"))
    with pytest.raises(UserError, match=r"^no thing 'convnt'; did you mean convnet\? \(allowed: convnet, other\)"):
        table.take("convnt", also=["other"])


def test_the_digest_is_that_of_the_bytes_of_the_file(plug: Plug) -> None:
    path = plug(mine=NETWORK.format(name="mine"))
    assert "mine" in TABLE
    found = TABLE.code("mine")
    content = path.read_bytes()
    expected = hashlib.blake2b(f". {len(content)}\n".encode() + content, digest_size=6).hexdigest()
    assert found == code.Code("mine", expected, path)
    assert found.pin == f"mine@{expected}"


def test_the_digest_of_a_package_is_that_of_every_file_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    monkeypatch.syspath_prepend(tmp_path)
    for number, helper in enumerate(("x = 1", "x = 2", "x = 1")):
        package = tmp_path / f"lab{number}"
        (package / "inner").mkdir(parents=True)
        for name, text in {"__init__.py": "", "inner/__init__.py": helper, "losses.py": "def f(): ..."}.items():
            (package / name).write_text(text)
        (package / "notes.txt").write_text(str(number))
        found = code.of(f"lab{number}.losses:f")
        assert found is not None
        assert (found.name, found.path) == (f"lab{number}", package)
        digests.append(found.digest)
    assert digests[0] == digests[2] != digests[1]


def test_ddsweeps_own_parts_have_no_code_of_others() -> None:
    assert all(TABLE.code(name) is None for name in ("convnet3", "resnet18-bn"))
    assert code.of("ddsweep.nn.convnet:body") is None


def test_a_part_of_a_script_is_refused() -> None:
    namespace = {"__name__": "__main__"}
    exec("def body(): ...", namespace)
    with pytest.raises(UserError, match="plugins: __main__:body is defined in a script; put it into a file"):
        code.of(namespace["body"])


def test_a_name_that_leads_nowhere() -> None:
    for name in ("json:lods", "jsn:loads"):
        with pytest.raises(UserError, match=f"^plugins: {name}: cannot be imported"):
            code.resolve(name)

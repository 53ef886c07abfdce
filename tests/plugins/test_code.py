"""The code that a part comes from, and the digest of its source."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import code
from ddsweep.registry.networks import TABLE
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]

NETWORK = 'import ddsweep\n@ddsweep.network("{name}", paper="{name}!")\ndef body(channels, size, width): ...\n'


def test_the_digest_of_a_file_is_the_hash_of_its_bytes(plug: Plug) -> None:
    path = plug(mine=NETWORK.format(name="mine"))
    assert "mine" in TABLE
    found = TABLE.code("mine")
    content = path.read_bytes()
    expected = hashlib.blake2b(f". {len(content)}\n".encode() + content, digest_size=6).hexdigest()
    assert found == code.Code("mine", expected, path)
    assert found.pin == f"mine@{expected}"


def test_the_digest_of_a_package_covers_every_python_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_parts_of_ddsweep_come_from_no_plugin() -> None:
    assert all(TABLE.code(name) is None for name in ("convnet3", "resnet18-bn"))
    assert code.of("ddsweep.nn.convnet:body") is None


def test_a_part_of_a_script_is_refused() -> None:
    namespace = {"__name__": "__main__"}
    exec("def body(): ...", namespace)
    with pytest.raises(UserError, match="plugins: __main__:body is defined in a script or notebook; move it to a file"):
        code.of(namespace["body"])


def test_a_name_that_cannot_be_imported() -> None:
    for name in ("json:lods", "jsn:loads"):
        with pytest.raises(UserError, match=f"^plugins: {name}: cannot be imported"):
            code.resolve(name)

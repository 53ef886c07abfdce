"""The code that a part comes from, and the digest of its source."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import code, loading
from ddsweep.registry.networks import TABLE
from tests.plugins.plugged import Plug, forget, plug

__all__ = ["plug"]

NETWORK = 'import ddsweep\n@ddsweep.network("{name}", paper="{name}!")\ndef body(channels, size, width): ...\n'


def digest_of(**sources: str) -> str:
    """The digest that a plugin with these modules should have."""
    hashed = {name: hashlib.blake2b(source.encode(), digest_size=16).hexdigest() for name, source in sources.items()}
    lines = "\n".join(f"module {name.replace('__', '.')} {hashed[name]}" for name in sorted(hashed))
    return hashlib.blake2b(lines.encode(), digest_size=6).hexdigest()


def test_the_digest_of_a_file_is_the_hash_of_its_bytes(plug: Plug) -> None:
    source = NETWORK.format(name="mine")
    path = plug(mine=source)
    assert "mine" in TABLE
    found = TABLE.code("mine")
    assert found == code.Code("mine", digest_of(mine=source), path)
    assert found.pin == f"mine@{found.digest}"
    assert found.modules == ("mine",)


def test_the_digest_of_a_package_covers_every_python_file(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "lab"
    found = []
    for helper in ("x = 1", "x = 2", "x = 1"):
        (package / "inner").mkdir(parents=True, exist_ok=True)
        files = {"__init__.py": "", "inner/__init__.py": helper, "losses.py": NETWORK.format(name="lab-net")}
        for name, text in files.items():
            (package / name).write_text(text)
        (package / "notes.txt").write_text(helper)
        monkeypatch.setenv(loading.VARIABLE, "lab.losses")
        assert "lab-net" in TABLE
        found.append(TABLE.code("lab-net"))
        forget("lab", "lab.losses")
    assert found[0] == found[2] == code.Code(
        "lab", digest_of(lab="", lab__inner="x = 1", lab__losses=NETWORK.format(name="lab-net")), package
    )  # fmt: skip
    assert found[0] != found[1]


def test_parts_of_ddsweep_come_from_no_plugin() -> None:
    assert all(TABLE.code(name) is None for name in ("convnet3", "resnet18-bn"))
    assert code.origin("ddsweep.nn.convnet:body") is None


def test_a_name_that_cannot_be_imported() -> None:
    for name in ("json:lods", "jsn:loads"):
        with pytest.raises(UserError, match=f"^plugins: {name}: cannot be imported"):
            code.resolve(name)

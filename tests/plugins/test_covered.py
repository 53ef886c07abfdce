"""What the digest of a plugin covers: what was executed, and every module and file of the user's own that it needs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ddsweep.errors import UserError
from ddsweep.plugins import Code, importing, imports, loading
from ddsweep.registry.methods import METHODS
from ddsweep.registry.networks import TABLE as NETWORKS
from tests.plugins.plugged import HALF, Plug, forget, half, plug

__all__ = ["plug"]
Put = Callable[[str, str], Path]


@pytest.fixture
def put(plug: Plug) -> Put:
    """``put(name, text)`` writes a file beside the plugins."""
    folder = plug(placeholder="").parent

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def code() -> Code:
    """The code of the method ``half``."""
    assert "half" in METHODS
    found = METHODS.code("half")
    assert found is not None
    return found


IMPORTS = {
    "import helper": "helper.py",
    "from helper import SCALE": "helper.py",
    "def later():\n    import helper": "helper.py",
    "try:\n    import helper\nexcept ImportError: ...": "helper.py",
    "import importlib\nhelper = importlib.import_module('helper')": "helper.py",
    "helper = __import__('helper')": "helper.py",
    "import lab.inner.helper": "lab/inner/helper.py",
    "from lab.inner import helper": "lab/inner/helper.py",
    "from lab import inner": "lab/inner/__init__.py",
    "from lab import *": "lab/helper.py",
    "import lab": "lab/__init__.py",
    "import outer": "helper.py",
}


@pytest.mark.parametrize(("line", "changed"), IMPORTS.items(), ids=IMPORTS)
def test_a_helper_beside_or_below_the_plugin_is_in_the_key(line: str, changed: str, plug: Plug, put: Put) -> None:
    keys = []
    for scale in (1, 50, 1):
        for name in ("helper.py", "lab/__init__.py", "lab/helper.py", "lab/inner/__init__.py", "lab/inner/helper.py"):
            put(name, f"SCALE = {scale if name == changed else 0}")
        put("outer.py", "def later():\n    from helper import SCALE")
        plug(mine=f"{line}\n{HALF}")
        keys.append((half().key(), code().digest))
        forget("mine", *(name for name in sys.modules if name.partition(".")[0] in ("helper", "lab", "outer")))
    assert keys[0] == keys[2]
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_modules_of_python_and_of_packages_are_not_covered(plug: Plug, put: Put) -> None:
    put("unused.py", "x = 1")
    plug(mine=f"import json, numpy, ddsweep.nn\n{HALF}")
    assert code().modules == ("mine",)
    assert code().libraries == ("numpy",)


def test_a_folder_without_init_counts_with_the_modules_that_are_imported(
    plug: Plug, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for other, sibling in (("x = 1", "y = 1"), ("x = 2", "y = 1"), ("x = 1", "y = 2")):
        put("space/methods.py", f"from . import other\n{HALF}")
        put("space/other.py", other)
        put("space/sibling.py", sibling)
        monkeypatch.syspath_prepend(put("space/sibling.py", sibling).parents[1])
        monkeypatch.setenv(loading.VARIABLE, "space.methods")
        assert code().name == "space.methods"
        assert code().modules == ("space.methods", "space.other")
        digests.append(code().digest)
        forget("space.methods", "space.other", "space")
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_what_was_executed_counts_not_a_later_edit(plug: Plug, put: Put) -> None:
    put("helper.py", "SCALE = 1")
    path = plug(mine=f"import helper\n{HALF}")
    assert "half" in METHODS
    put("helper.py", "SCALE = 50")
    path.write_text(HALF + "# edited")
    first = code()
    forget("mine", "helper")
    put("helper.py", "SCALE = 1")
    plug(mine=f"import helper\n{HALF}")
    assert code() == first


def test_a_file_that_is_edited_while_it_is_imported(plug: Plug) -> None:
    edits = "from pathlib import Path\nPath(__file__).write_text('# edited')\n"
    path = plug(mine=edits + HALF)
    first = code()
    assert path.read_text() == "# edited"
    forget("mine")
    plug(mine=edits + HALF)
    assert code() == first, "the digest is that of the source that ran"


def test_a_module_that_is_imported_later_must_be_the_one_of_the_digest(plug: Plug, put: Put) -> None:
    put("helper.py", "SCALE = 1")
    plug(mine=f"def later():\n    import helper\n    return helper.SCALE\n{HALF}")
    assert code().modules == ("helper", "mine")
    path = put("helper.py", "SCALE = 50")
    with pytest.raises(UserError) as error:
        sys.modules["mine"].later()
    assert str(error.value) == f"plugins: {path} has changed since the plugins were loaded; start again"
    put("helper.py", "SCALE = 1")
    assert sys.modules["mine"].later() == 1


def test_stale_bytecode_does_not_run(plug: Plug, put: Put) -> None:
    helper = put("helper.py", "SCALE = 11")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(helper)], check=True)
    stat = helper.stat()
    put("helper.py", "SCALE = 22")
    os.utime(helper, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    plug(mine=f"import helper\n{HALF}")
    assert code()
    assert sys.modules["helper"].SCALE == 22


def test_names_count_and_paths_do_not(plug: Plug, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {}
    for folder, helper in (("one", "helper"), ("two", "helper"), ("one", "other")):
        put(f"{folder}/{helper}.py", "SCALE = 1")
        path = put(f"{folder}/mine.py", f"import {helper} as h\n{HALF}")
        monkeypatch.setenv(loading.VARIABLE, str(path))
        digests[folder, helper] = code().digest
        forget("mine", helper)
    assert digests["one", "helper"] == digests["two", "helper"] != digests["one", "other"]


def test_the_settings_of_a_function_that_a_helper_makes_are_in_the_key(plug: Plug, put: Put) -> None:
    """The class is the helper's, but the plugin says with which numbers."""
    put("factory.py", "def make(rate):\n" + "\n".join(f"    {line}" for line in HALF.splitlines()))
    keys = []
    for rate in (1, 50):
        plug(mine=f"import factory\nfactory.make({rate})")
        keys.append(half().plugins)
        assert code().modules == ("factory", "mine")
        forget("mine", "factory")
    assert keys[0] != keys[1]
    assert all(key.startswith("mine@") for key in keys)


def test_a_variant_of_a_part_of_ddsweep_is_the_plugins(plug: Plug) -> None:
    deep = 'ddsweep.network("deep", options={"depth": 4})(convnet.body)'
    plug(mine=f"import ddsweep\nfrom ddsweep.nn import convnet\n{deep}")
    assert "deep" in NETWORKS
    found = NETWORKS.code("deep")
    assert found is not None
    assert found.name == "mine"


def test_a_reloaded_plugin_replaces_its_parts(plug: Plug) -> None:
    plug(mine=HALF)
    first = code()
    plug(mine=HALF.replace("Half", "Other").replace("0.5", "0.25"))
    importlib.reload(sys.modules["mine"])
    assert METHODS["half"].options["rate"] == 0.25
    assert code().digest != first.digest


def test_two_plugins_may_have_helpers_of_one_name_only_if_they_are_the_same(
    plug: Plug, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = put("one/first.py", "import helper\n")
    put("one/helper.py", "SCALE = 1")
    two = put("two/second.py", "def later():\n    import helper\n")
    helper = put("two/helper.py", "SCALE = 1")
    monkeypatch.setenv(loading.VARIABLE, f"{one}{os.pathsep}{two}")
    assert "dm" in METHODS
    list(METHODS)
    loading._loaded.clear()
    sys.modules.pop("second")
    helper.write_text("SCALE = 50")
    with pytest.raises(UserError, match=r"second\.py: imports helper \(.*two/helper.py\), but .*one/helper.py has"):
        list(METHODS)


def test_the_names_in_a_source() -> None:
    source = b"import a.b\nfrom .c import d\nfrom .. import e\nfrom ... import f\nimport_module('.g', __package__)"
    assert imports.names(source, "p.q") == ("a.b", "p.q.c", "p.q.c.d", "p", "p.e", "p.q.g")
    assert imports.names(b"def broken(:", "") == ()


def test_other_imports_are_as_without_plugins(plug: Plug) -> None:
    plug(mine=HALF)
    assert "half" in METHODS
    assert importing.FINDER in sys.meta_path
    import colorsys

    assert not isinstance(colorsys.__loader__, importing.Loader)

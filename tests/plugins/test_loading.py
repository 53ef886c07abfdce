"""Where plugins are found, when they are imported, and the one-line error of each mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddsweep import data, nn
from ddsweep.errors import UserError
from ddsweep.plugins import loading
from ddsweep.registry.methods import METHODS
from tests.plugins.plugged import METHOD, Plug, plug

__all__ = ["plug"]
EPISODE = "    def episode(self, synthetic, dataset, streams, done=0): ..."
RESERVED = "stands for something else in recipes; choose another name"
MISTAKES = {
    '@ddsweep.dataset("target", classes=("a", "b"), size=16, smallest_class=1)\ndef d(row, paths): ...': (
        f"dataset 'target': {RESERVED}"
    ),
    '@ddsweep.network("clip-rn50")\ndef body(channels, size, width): ...': f"network 'clip-rn50': {RESERVED}",
    '@ddsweep.network("n", options={"w": "x"}, files="option:w")\ndef body(channels, size, width, *, w): ...': (
        "network 'n': files: option:w: has no option 'w' (options: none)"
    ),
    "import nowhere": "cannot be imported (ModuleNotFoundError: No module named 'nowhere', mine.py line 2)",
    "def broken(:": "cannot be imported (SyntaxError: invalid syntax (mine.py, line 2))",
    f'@ddsweep.method("dm")\nclass A:\n    def __init__(self, net): ...\n{EPISODE}': (
        "mine:A: method 'dm' is ddsweep's own; choose another name"
    ),
    '@ddsweep.method("x")\nclass A:\n    def __init__(self, net): ...': "method 'x': mine:A has no episode(synthetic,",
    f'@ddsweep.method("x")\nclass A:\n    def __init__(self): ...\n{EPISODE}': "must take the network first",
    f'@ddsweep.method("x")\nclass A:\n    def __init__(self, net, batchreal): ...\n{EPISODE}': (
        "method 'x': takes batchreal, which has no default and is not a field; did you mean batch_real?"
    ),
    f'@ddsweep.method("x")\nclass A:\n    def __init__(self, net, sizes=(1, 2)): ...\n{EPISODE}': (
        "method 'x': the default of sizes is not a number, string or boolean"
    ),
    f'@ddsweep.method("x", iteratons=3)\nclass A:\n    def __init__(self, net): ...\n{EPISODE}': (
        "method 'x': has a default for iteratons; did you mean iterations?"
    ),
    f'@ddsweep.method("a+b")\nclass A:\n    def __init__(self, net): ...\n{EPISODE}': (
        "invalid name; spaces and + @ : , are not allowed"
    ),
    '@ddsweep.dataset("d", classes=("a", "b"), size=16, smallest_class=1, color=3)\ndef d(row, paths): ...': (
        "dataset 'd': got an unexpected keyword argument 'color'"
    ),
    '@ddsweep.dataset("d", classes=("a",), size=2, smallest_class=1, channels=2)\ndef d(row, paths): ...': (
        "dataset 'd': needs 1 or 3 channels, at least 4 pixels and 2 classes; it has 2, 2 and 1"
    ),
    '@ddsweep.network("vgg11")\ndef body(channels, size, width): ...': (
        "mine:body: network 'vgg11' is ddsweep's own; choose another name"
    ),
}


@pytest.mark.parametrize(("source", "line"), MISTAKES.items(), ids=[line[:40] for line in MISTAKES.values()])
def test_a_mistake_is_one_line_that_names_the_plugin(plug: Plug, source: str, line: str) -> None:
    path = plug(mine=f"import ddsweep\n{source}\n")
    with pytest.raises(UserError) as error:
        nn.names()
    assert str(error.value).startswith(f"plugins: {path}: ")
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert "mine" not in sys.modules


def test_two_plugins_with_one_name(plug: Plug) -> None:
    plug(one=METHOD.format(name="half"), two=METHOD.format(name="half"))
    with pytest.raises(
        UserError, match=r"two\.py: two:Half: method 'half' is already registered by one \(.*one\.py\); choose"
    ):
        list(METHODS)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nowhere.py", "no such file"),
        ("json.py", "another module is named json"),
        ("my-method.py", "'my-method' is not a valid module name; rename the file"),
        ("no_such_module", "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
    ],
)
def test_a_file_that_cannot_be_a_plugin(name: str, line: str, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    if "nowhere" not in name and name.endswith(".py"):
        Path(name).touch()
    monkeypatch.setenv(loading.VARIABLE, name)
    with pytest.raises(UserError) as error:
        data.names()
    assert line in str(error.value)


def test_names_of_ddsweep_import_no_plugin(plug: Plug) -> None:
    plug(mine="raise RuntimeError('not needed')")
    assert nn.info("vgg11").paper == "VGG-11"
    assert data.info("digits").channels == 1
    assert METHODS["dsa"].paper == "DSA"
    with pytest.raises(UserError, match=r"mine\.py: cannot be imported \(RuntimeError: not needed, mine\.py"):
        nn.info("vgg12")


def test_the_variable_gets_absolute_paths_for_agents(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.py").write_text(METHOD.format(name="half"))
    monkeypatch.setenv(loading.VARIABLE, f"mine.py{os.pathsep} json ")
    assert "half" in METHODS
    assert os.environ[loading.VARIABLE] == f"{Path('mine.py').absolute()}{os.pathsep}json"


def test_a_plugin_may_look_up_names_while_it_is_imported(plug: Plug) -> None:
    plug(mine="from ddsweep import nn\nassert 'mine' not in nn.names()\n" + METHOD.format(name="half"))
    assert "half" in METHODS


INSTALLED = """
import sys
from ddsweep import plugins
from ddsweep.recipe import make

assert "lab" not in sys.modules
assert make({"method": "dm"}).plugins == ""
assert "lab" not in sys.modules, "a name of ddsweep loads no entry point"
one = make({"method": "lab-dm", "target": "digits", "ipc": 1})
assert one.method == "lab-dm" and one.plugins.startswith("lab@"), one.plugins
print(plugins.versions(one.plugins))
"""


def test_an_installed_package_needs_no_variable(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for folder in ("lab", "lab_plugin-1.5.dist-info"):
        (site / folder).mkdir(parents=True)
    (site / "lab" / "__init__.py").write_text("")
    (site / "lab" / "losses.py").write_text(METHOD.format(name="lab-dm"))
    about = site / "lab_plugin-1.5.dist-info"
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-plugin\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text("[ddsweep.plugins]\nlab = lab.losses\n")
    (about / "top_level.txt").write_text("lab\n")
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{'plugin lab': '1.5 ")


def test_the_variable_is_the_documented_one() -> None:
    assert loading.VARIABLE == "DDSWEEP_PLUGINS"

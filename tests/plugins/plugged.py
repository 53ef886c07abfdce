"""Plugins for a test: written to files, listed in the variable, and unregistered at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddsweep.plugins import code, importing, loading, own
from ddsweep.recipe import Recipe, make
from ddsweep.recipe.parts import EVERY

Plug = Callable[..., Path]

METHOD = '''
import ddsweep

@ddsweep.method("{name}", alpha=7.0, lr_img=2.0)
class Half:
    """DM's loss on half of the features."""

    def __init__(self, net, *, batch_real=6, rate=0.5, steps=2, exact=False, kind="plain"):
        self.net, self.batch_real, self.rate = net.requires_grad_(False), batch_real, rate

    def episode(self, synthetic, dataset, streams, done=0):
        if done:
            return
        total = 0
        for label in range(synthetic.classes):
            real = dataset.sample(label, self.batch_real, streams.batch)
            ours = synthetic.images[synthetic.labels == label]
            apart = self.net.embed(real).mean(0) - self.net.embed(ours).mean(0)
            total = total + self.rate * apart[::2].square().sum()
        yield total
'''
HALF = METHOD.format(name="half")


def half(**choices: Any) -> Recipe:
    """A recipe with the method of ``HALF``."""
    return make({"method": "half", "ipc": 1, "target": "digits", **choices})


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """``plug(name="source", …)`` writes ``name.py`` files and lists them in the variable; returns the last path."""
    rows = [(table, dict(table.rows), dict(table._origin), dict(table._source)) for table in EVERY]
    parts = {plugin: dict(known) for plugin, known in code._parts.items()}
    folders, claimed = set(importing._beside), set(own._plugins)
    loaded, modules = set(loading._loaded), set(sys.modules)
    folder = tmp_path / "plugins"

    def write(**sources: str) -> Path:
        folder.mkdir(exist_ok=True)
        for name, source in sources.items():
            path = folder / f"{name}.py"
            path.write_text(source, encoding="utf-8")
            known = os.environ.get(loading.VARIABLE, "").split(os.pathsep)
            if str(path) not in known:
                monkeypatch.setenv(loading.VARIABLE, os.pathsep.join([*filter(None, known), str(path)]))
        return path

    monkeypatch.setenv(loading.VARIABLE, "")
    yield write
    for table, *before in rows:
        table.rows, table._origin, table._source = before
    code._parts.clear()
    code._parts.update(parts)
    code._codes.clear()
    importing._executed.clear()
    importing._read.clear()
    importing._beside.intersection_update(folders)
    own._plugins.intersection_update(claimed)
    loading._loaded.clear()
    loading._loaded.update(loaded)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def forget(plugin: str, *modules: str) -> None:
    """Unload a plugin, so that it is imported anew on the next lookup, as in another process."""
    for name in (plugin, *modules):
        sys.modules.pop(name)
    loading._loaded.clear()
    code._parts.pop(plugin)
    for table in EVERY:
        for name in [name for name, origin in table._origin.items() if origin and origin.plugin == plugin]:
            del table.rows[name], table._origin[name]

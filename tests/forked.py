"""``python -m …`` and ``python -c …`` in processes that have imported torch already.

Each is forked from a server that has imported ddsweep and torch and done nothing else: what a command finds is what it
finds in an interpreter of its own, without the two or three seconds of imports.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.havoc.points import MODULES

PRELOADED = [*MODULES, "ddsweep.cli", "tests.forked", "tests.backends.agents"]


def start(
    *words: str, environment: Mapping[str, str] | None = None, out: Path | None = None, err: Path | None = None
) -> ForkServerProcess:
    """``python WORDS`` in this folder, beginning with ``-m`` or ``-c``; what it prints goes to two files."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_become, args=(words, dict(os.environ if environment is None else environment),
                                                    out, err))  # fmt: skip
    process.start()
    return process


def run(
    *words: str, environment: Mapping[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """The same, and wait for its end."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(*words, environment=environment, out=out, err=err)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout, out.read_text("utf-8"), err.read_text("utf-8"))
        return subprocess.CompletedProcess(words, process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))


def _become(words: tuple[str, ...], environment: dict[str, str], *files: Path | None) -> None:
    import torch

    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(files, 1):
        if path is not None:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", 1)))  # which torch read when it was imported
    sys.path.insert(0, str(Path.cwd()))
    how, what, *rest = words
    sys.argv = [what if how == "-m" else how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})

"""Settings of the process that a plugin must not change for others: they are restored, and a line says what changed.

A plugin that sets torch's default type at import, for example, would change the numbers of every other method.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ddsweep import characters

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
PROTECTED = ("DDSWEEP_", "CUDA_", "CUBLAS_", "SLURM_", "PYTHON")
THREADS = "_NUM_THREADS"


@dataclass(frozen=True)
class _Setting:
    """A setting of the process.

    Attributes:
        name: what a line calls it.
        read: returns its value.
        write: sets it.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


@contextmanager
def kept(who: str) -> Iterator[None]:
    """Restore what code of a plugin changes in the process, and print a line about it on standard error.

    Args:
        who: the plugin, for the line.
    """
    before = {one.name: one.read() for one in _settings()}
    try:
        yield
    finally:
        if changed := _restore(before):
            line = f"{who}: changed {', '.join(changed)}; restored, because other methods would compute otherwise"
            print(characters.one_line(f"plugins: {line}"), file=sys.stderr)  # noqa: T201


@contextmanager
def calling(who: str) -> Iterator[None]:
    """Guard a call into a plugin: ``kept``, and what it prints goes to standard error, not into our tables and JSON."""
    with kept(who), redirect_stdout(sys.stderr):
        yield


@contextmanager
def importing(who: str) -> Iterator[None]:
    """Guard the import of a plugin: ``kept``, and what it prints goes to standard error."""
    out, err, here = sys.stdout, sys.stderr, Path.cwd()
    path, environment = list(sys.path), dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in _signals()}
    filters, disabled = list(warnings.filters), logging.root.manager.disable
    try:
        with kept(who), redirect_stdout(err):
            yield
    finally:
        sys.stdout, sys.stderr = out, err
        changed = [*_restore_folder(here), *_restore_path(path), *_restore_environment(environment)]
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
                changed.append(f"the handler of {signal.Signals(number).name}")
        if added := [one for one in warnings.filters if one[0] == "error" and one not in filters]:
            warnings.filters[:] = [one for one in warnings.filters if one not in added]  # type: ignore[index]
            changed.append("warnings (to errors)")
        if logging.root.manager.disable != disabled:
            logging.root.manager.disable = disabled
            changed.append("logging (disabled)")
        if changed:
            print(characters.one_line(f"plugins: {who}: changed {', '.join(changed)}; restored"), file=err)


def keeps_settings(run: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Decorate a function that runs a recipe, its first argument: ``kept``, if the recipe uses plugins."""

    @functools.wraps(run)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        recipe: Any = args[0] if args else kwargs["recipe"]
        if not recipe.plugins:
            return run(*args, **kwargs)
        with kept(recipe.plugins.replace("+", ", ")):
            return run(*args, **kwargs)

    return guarded


def _settings() -> list[_Setting]:
    """The settings of the libraries that are imported, in the order in which they can be restored."""
    settings: list[_Setting] = []
    if torch := sys.modules.get("torch"):
        settings += [
            _Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
            _Setting("torch's default device", torch.get_default_device, _set_default_device),
            _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
            _Setting(
                "torch's deterministic algorithms",
                torch.get_deterministic_debug_mode,
                torch.set_deterministic_debug_mode,
            ),
            _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
            _Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
            _Setting("torch's flush of denormals", _flushes_denormals, torch.set_flush_denormal),
            *(
                _Setting(f"torch.backends.cudnn.{name}", functools.partial(getattr, torch.backends.cudnn, name),
                         functools.partial(setattr, torch.backends.cudnn, name))
                for name in ("enabled", "benchmark", "deterministic")
            ),
        ]  # fmt: skip
    if numpy := sys.modules.get("numpy"):
        settings.append(_Setting("NumPy's errors", numpy.geterr, lambda value: numpy.seterr(**value)))
    return settings


def _flushes_denormals() -> bool:
    torch: Any = sys.modules["torch"]
    return bool(torch.tensor(1e-310, dtype=torch.float64, device="cpu") == 0)


def _set_default_device(device: Any) -> None:
    torch: Any = sys.modules["torch"]
    torch.set_default_device(None if device.type == "cpu" else device)  # None has no cost per call, "cpu" has


def _restore(before: Mapping[str, Any]) -> list[str]:
    changed = []
    for one in _settings():
        if one.name in before and (now := one.read()) != before[one.name]:
            one.write(before[one.name])
            changed.append(one.name if isinstance(now, dict) else f"{one.name} ({now})")
    return changed


def _signals() -> list[int]:
    """The signals by which agents are asked to stop, whose handlers belong to the main thread."""
    on_main = threading.current_thread() is threading.main_thread()
    return [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2] if on_main else []


def _restore_folder(before: Path) -> list[str]:
    if Path.cwd() == before:
        return []
    os.chdir(before)
    return ["the working folder"]


def _restore_path(before: list[str]) -> list[str]:
    """Entries that were there are where they were; those that a plugin adds come after them, and shadow no module."""
    now = list(sys.path)
    sys.path[:] = [*before, *(entry for entry in now if entry not in before)]
    return ["sys.path (by removing entries)"] if set(before) - set(now) else []


def _restore_environment(before: Mapping[str, str]) -> list[str]:
    """Variables that were there, and those on which agents and numbers depend; others may be added."""
    changed = [name for name, value in before.items() if os.environ.get(name) != value]
    changed += [
        name for name in os.environ if name not in before and (name.startswith(PROTECTED) or name.endswith(THREADS))
    ]
    for name in changed:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    return [f"${name}" for name in sorted(changed)]

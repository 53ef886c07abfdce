"""``ddsweep doctor``: ``examine(place)`` runs every check in ``CHECKS`` and yields its findings, with suggested fixes.

A check has two halves. ``inspect`` collects facts about the machine, and may be slow, hang or raise. Each of its
``judges`` is a pure function from these facts to findings, so that tests can judge facts of machines that they do not
run on. To add a check, write an ``inspect`` and a judge, and add a row to ``CHECKS``.

The doctor is read-only: it creates no folder, file or schema. It shows no password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ddsweep.doctor import cache, disk, libraries, storage, torch, wandb
from ddsweep.doctor.check import Check as Check
from ddsweep.doctor.check import Finding as Finding
from ddsweep.doctor.check import Place as Place
from ddsweep.doctor.check import State as State
from ddsweep.doctor.check import run, start

CHECKS: tuple[Check, ...] = (
    Check("libraries", libraries.inspect, (libraries.python, libraries.versions, libraries.extras)),
    Check(
        "torch",
        torch.inspect,
        (torch.torch, torch.gpus, torch.threads, torch.instructions, torch.compiler),
        seconds=60.0,
        vital=True,
        ahead=True,
    ),
    Check("disk", disk.inspect, (disk.judge,)),
    Check("storage", storage.inspect, (storage.reachable, storage.leases), seconds=25.0, vital=True),
    Check("cache", cache.inspect, (cache.sizes, cache.ptms, cache.locks, cache.leftovers)),
    Check("W&B", wandb.inspect, (wandb.login, wandb.unsynced)),
)


def examine(
    place: Place, announce: Callable[[str], None] = lambda name: None, checks: Sequence[Check] = CHECKS
) -> Iterator[Finding]:
    """Yield the findings of all checks in order, each as soon as it and those before it are available.

    Importing torch, in a process of its own, takes as long as everything else, which therefore runs meanwhile.

    Args:
        place: what to inspect.
        announce: called with the name of each check before it starts.
        checks: the checks to run.
    """
    ahead = [check for check in checks if check.ahead]
    started = {check.name: start(check, place) for check in ahead}
    first = checks.index(ahead[0]) if ahead else len(checks)
    found: dict[str, list[Finding]] = {}
    for check in (*checks[:first], *(one for one in checks[first:] if not one.ahead), *ahead):
        announce(check.name)
        found[check.name] = started[check.name]() if check.ahead else run(check, place)
        if check in checks[:first]:
            yield from found[check.name]
    for check in checks[first:]:
        yield from found[check.name]

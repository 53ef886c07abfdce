"""What works here and what will not: ``examine(place)`` asks every check in ``CHECKS`` and gives its findings.

A check has two halves. Its *look* asks the machine, and may be slow, hang or break; its *judges* take what it saw and
say in findings what that means, and do nothing else. So a judge is tested with facts that no machine here has. The
next check is a look, a judge, and a row in ``CHECKS``.

Nothing is changed by looking: no folder, file or schema is made; no password is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ddsweep.doctor import account, caches, computing, libraries, queue, room
from ddsweep.doctor.check import Check as Check
from ddsweep.doctor.check import Place as Place
from ddsweep.doctor.check import conduct
from ddsweep.doctor.finding import Finding as Finding
from ddsweep.doctor.finding import State as State

CHECKS: tuple[Check, ...] = (
    Check("libraries", libraries.look, (libraries.python, libraries.versions, libraries.extras)),
    Check("torch", computing.look, (computing.torch, computing.gpus, computing.threads, computing.compiler),
          seconds=60.0, vital=True),
    Check("disk", room.look, (room.judge,)),
    Check("storage", queue.look, (queue.reachable, queue.leases), seconds=25.0, vital=True),
    Check("cache", caches.look, (caches.sizes, caches.ptms, caches.locks, caches.leftovers)),
    Check("W&B", account.look, (account.login, account.waiting)),
)  # fmt: skip


def examine(
    place: Place, tell: Callable[[str], None] = lambda name: None, checks: Sequence[Check] = CHECKS
) -> Iterator[Finding]:
    """The findings of all checks, in their order, each as soon as it is there.

    Args:
        place: what to look at.
        tell: told the name of each check before it begins.
        checks: those to ask.
    """
    for check in checks:
        tell(check.name)
        yield from conduct(check, place)

"""What works here and what will not: ``examine(place)`` asks every check in ``CHECKS`` and gives its findings.

A check has two halves. Its *look* asks the machine, and may be slow, hang or break; its *judges* take what it saw and
say in findings what that means, and do nothing else. So a judge is tested with facts that no machine here has. The
next check is a look, a judge, and a row in ``CHECKS``.

Nothing is changed by looking: no folder, file or schema is made; no password is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ddsweep.doctor import cache, disk, libraries, storage, torch, wandb
from ddsweep.doctor.check import Check as Check
from ddsweep.doctor.check import Finding as Finding
from ddsweep.doctor.check import Place as Place
from ddsweep.doctor.check import State as State
from ddsweep.doctor.check import conduct

CHECKS: tuple[Check, ...] = (
    Check("libraries", libraries.look, (libraries.python, libraries.versions, libraries.extras)),
    Check("torch", torch.look, (torch.torch, torch.gpus, torch.threads, torch.compiler),
          seconds=60.0, vital=True),
    Check("disk", disk.look, (disk.judge,)),
    Check("storage", storage.look, (storage.reachable, storage.leases), seconds=25.0, vital=True),
    Check("cache", cache.look, (cache.sizes, cache.ptms, cache.locks, cache.leftovers)),
    Check("W&B", wandb.look, (wandb.login, wandb.waiting)),
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

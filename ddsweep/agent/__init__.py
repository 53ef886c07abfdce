"""An agent takes points from a backend and runs them on one device until the queue is drained.

The only package that sees both a backend and ``trial``. What becomes of a trial that does not end well:

- an exception spends one of the point's attempts, and its reason is kept;
- a loss that is no longer a number is a finding: the point is ended with its reason, and not tried again;
- when the GPU's memory was too small, the point goes back unspent, once, and is retried while no other trial is on its
  GPU (``turns``); this process is replaced, as after every device error;
- when the disk was full, the point goes back unspent, and the agent pauses until there is room again;
- when three different points in a row failed here, it is the slot that is bad: it is closed (``streak``).
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ddsweep import device
from ddsweep.agent.failures import Streak
from ddsweep.agent.failures import is_device_error as is_device_error
from ddsweep.agent.gpu_lock import Turns
from ddsweep.agent.shutdown import Leaving as Leaving
from ddsweep.agent.shutdown import Stopped as Stopped
from ddsweep.agent.shutdown import name as name
from ddsweep.agent.shutdown import pulse
from ddsweep.agent.worker import Agent as Agent
from ddsweep.agent.worker import BadSlot as BadSlot
from ddsweep.agent.worker import Poisoned as Poisoned
from ddsweep.backends import connect
from ddsweep.recipe import verify
from ddsweep.sweep import Sweep
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.status import AgentStatus, StatusTracker, clear
from ddsweep.trackers.status import folder as status_folder

logger = logging.getLogger(__name__)
PULSES = 3  # reports to the storage during one beat of a lease: who stops a sweep does not wait long
POISONED = 75  # exit status: this process can no longer be trusted, start a fresh one
BAD_SLOT = 76  # exit status: different points keep failing here, start no other one


@dataclass(frozen=True)
class Post:
    """Where an agent works.

    Attributes:
        on: the device, as torch spells it in this process.
        slot: the device for people (``gpu 3 · 2``); empty: ``on``.
        threads: CPU threads; 0: torch's own choice.
        streak: file of what failed on this slot before; None: nobody keeps it.
    """

    on: str
    slot: str = ""
    threads: int = 0
    streak: Path | None = None


def main(sweep_name: str, storage: str, runs: Path, post: Post, further: Sequence[Tracker] = ()) -> int:
    """The body of ``ddsweep agent``.

    Returns:
        0: the queue is drained, or the agent was asked to leave; ``POISONED``: start a fresh process on this slot;
        ``BAD_SLOT``: do not.

    Raises:
        UserError: no such storage or sweep; or this host lacks the plugins that the sweep was launched with.
    """
    store = connect(storage, artifacts=runs / "artifacts", patient=True)
    backend, sweep = store.sweep(sweep_name), Sweep.from_definition(store.load_definition(sweep_name).definition)
    verify(sweep.recipes)
    clear(status_folder(runs, sweep_name))
    status = StatusTracker(status_folder(runs, sweep_name), AgentStatus(name(), post.slot or post.on, sweep_name))
    status.idle()
    if post.threads:
        import torch

        torch.set_num_threads(post.threads)
    one = Agent(
        backend, sweep, runs, post.on, status, turns=Turns(device.identity(post.on)), streak=Streak.read(post.streak),
        shelf=None if store.lies_in(runs) else store, further=FanOut(*further),
    )  # fmt: skip
    before = signal.signal(signal.SIGTERM, one.leaving.hear)
    try:
        with pulse(backend, status.status, one.leaving, store.lease.beat / PULSES):
            one.work()
    except Poisoned:
        return POISONED
    except BadSlot as reason:
        logger.error("different cells fail here one after the other; this slot takes no more: %s", reason)
        return BAD_SLOT
    finally:
        signal.signal(signal.SIGTERM, before)
        status.close()
        store.close()
    return 0

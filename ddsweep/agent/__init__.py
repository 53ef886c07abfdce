"""An agent claims cells from a queue and runs them on one device until the queue is drained.

The only package that imports both a backend and ``trial``. What happens to a trial that ends without a result:

- an exception spends one of the cell's attempts, and its reason is recorded;
- a diverged loss is a finding: the cell fails with its reason and is not retried;
- if the GPU ran out of memory, the cell is released, once, and retried while no other trial uses the GPU
  (``gpu_lock``); the agent's process is replaced, as after every device error;
- if a step of a group of cells failed, all of them are released, once, and retried each on its own (``group``);
- if the images on this host are not those of the sweep, the cell is released, and the agent ends;
- if the disk was full, the cell is released, and the agent waits for free disk space;
- if three different cells failed one after the other, the device is bad, and its agent ends (``failures``).

``outcomes.classify`` has the table.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import device
from ddsweep.agent.failures import ConsecutiveFailures
from ddsweep.agent.failures import is_device_error as is_device_error
from ddsweep.agent.gpu_lock import GpuLock
from ddsweep.agent.group import Limits as Limits
from ddsweep.agent.shutdown import SIGNALS as SIGNALS
from ddsweep.agent.shutdown import Shutdown as Shutdown
from ddsweep.agent.shutdown import Stopped as Stopped
from ddsweep.agent.shutdown import name as name
from ddsweep.agent.shutdown import reporting
from ddsweep.backends import connect
from ddsweep.recipe import verify
from ddsweep.sweep import Sweep
from ddsweep.trackers import FanOut, Tracker
from ddsweep.trackers.status import AgentStatus, StatusTracker, clear
from ddsweep.trackers.status import folder as status_folder

if TYPE_CHECKING:
    from ddsweep.agent.outcomes import BadDevice as BadDevice
    from ddsweep.agent.outcomes import OtherImages as OtherImages
    from ddsweep.agent.outcomes import RestartNeeded as RestartNeeded
    from ddsweep.agent.worker import Agent as Agent

logger = logging.getLogger(__name__)
REPORTS = 3  # status reports per heartbeat interval: whoever stops a sweep should not have to wait long
RESTART_NEEDED = 75  # exit status: this process can no longer be trusted, start another one
STOPPED = tuple(128 + number for number in SIGNALS)  # exit status after a signal, as in a shell
OTHER_IMAGES = 77  # exit status: the images on this host are not those of the sweep, start no other agent
BAD_DEVICE = 76  # exit status: different cells keep failing here, start no other agent


def __getattr__(name: str) -> Any:
    """Import ``worker``, and with it torch, when one of its names is used: launchers need only the exit statuses."""
    if name not in ("Agent", "BadDevice", "OtherImages", "RestartNeeded"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ddsweep.agent import outcomes, worker

    return getattr(worker if name == "Agent" else outcomes, name)


@dataclass(frozen=True)
class Placement:
    """Where an agent runs.

    Attributes:
        device: the device, as torch spells it in this process.
        device_label: the device as people read it (``gpu 3 · 2``); empty: ``device``.
        threads: CPU threads; 0: torch's default.
        failures: file of the consecutive failures on this device; None: they are not kept across processes.
        limits: how many cells it runs as a group.
    """

    device: str
    device_label: str = ""
    threads: int = 0
    failures: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def label(self) -> str:
        """The device as people read it."""
        return self.device_label or self.device


def main(sweep_name: str, storage: str, runs: Path, placement: Placement, trackers: Sequence[Tracker] = ()) -> int:
    """Run an agent (``ddsweep agent``).

    Returns:
        0: the queue is drained, or the storage has asked the agent to stop; one of ``STOPPED``: a signal has;
        ``RESTART_NEEDED``: start another process on this device; ``BAD_DEVICE``, ``OTHER_IMAGES``: do not.

    Raises:
        UserError: the storage or the sweep does not exist, or this host lacks the plugins that the sweep needs.
    """
    from ddsweep.agent.outcomes import BadDevice, OtherImages, RestartNeeded
    from ddsweep.agent.worker import Agent

    store = connect(storage, artifacts=runs / "artifacts", patient=True)

    def registered() -> Sweep:
        return Sweep.from_definition(store.load_definition(sweep_name).definition)

    backend, sweep = store.sweep(sweep_name), registered()
    verify(sweep.launched.recipes)
    clear(status_folder(runs, sweep_name))
    status = StatusTracker(status_folder(runs, sweep_name), AgentStatus(name(), placement.label, sweep_name))
    status.idle()
    if placement.threads:
        import torch

        torch.set_num_threads(placement.threads)
    agent = Agent(
        backend,
        sweep,
        runs,
        placement.device,
        status,
        gpu_lock=GpuLock(device.identity(placement.device)),
        failures=ConsecutiveFailures.read(placement.failures),
        store=None if store.lies_in(runs) else store,
        tracker=FanOut(*trackers),
        reload=registered,
        limits=replace(placement.limits, most=1) if trackers else placement.limits,  # they follow one trial at a time
    )
    try:
        with agent.shutdown.handling(), reporting(backend, status.status, agent.shutdown, store.lease.beat / REPORTS):
            agent.work()
    except RestartNeeded:
        return RESTART_NEEDED
    except OtherImages as reason:
        logger.error("this agent ends: %s", reason)
        return OTHER_IMAGES
    except BadDevice as reason:
        logger.error("different cells failed one after the other; this agent ends: %s", reason)
        return BAD_DEVICE
    finally:
        status.close()
        store.close()
    return agent.shutdown.exit_status

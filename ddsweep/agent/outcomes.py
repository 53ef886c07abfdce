"""What follows from the end of a trial: the table of outcomes, for the queue, the device, and the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ddsweep import device, files
from ddsweep.agent.failures import is_device_error, out_of_memory
from ddsweep.agent.group import ALONE as ALONE
from ddsweep.agent.group import RestartNeeded as RestartNeeded
from ddsweep.agent.shutdown import Stopped
from ddsweep.backends import Claim
from ddsweep.errors import PluginError, SharedStepFailed, UserError
from ddsweep.pruning import Pruned
from ddsweep.results import image_checksums

if TYPE_CHECKING:
    from ddsweep.results.result import Result

MEMORY = "out of memory"  # key in a claim's note: the GPU ran out of memory in this attempt before


class BadDevice(BaseException):
    """Different cells failed one after the other on this device."""


class OtherImages(UserError):
    """The images on this host are not those of the registered sweep."""


class InvalidRecipe(Exception):
    """A search has drawn choices that contradict each other."""


@dataclass(frozen=True)
class Outcome:
    """What follows from an attempt that ended without a result.

    Attributes:
        record: records the outcome in the queue.
        reason: why, for the trackers; None: the trial had not started.
        failure: the reason that counts against the device; None: nothing does.
        ended: whether the cell has come to an end, so that the count of consecutive failures starts again.
        error: what the agent raises after that; None: it claims the next cell.
    """

    record: Callable[[], object]
    reason: str | None = None
    failure: str | None = None
    ended: bool = False
    error: BaseException | None = None


def classify(claim: Claim, error: BaseException, on_device: str) -> Outcome:
    """What to do about a trial that raised ``error``.

    =====================================  =====================  ==================================
    outcome                                recorded as            and then the agent
    =====================================  =====================  ==================================
    result (see ``record_result``)         complete               claims the next cell
    loss diverged (see ``record_result``)  failed, final          claims the next cell
    pruned                                 pruned                 claims the next cell
    contradictory choices of a search      failed, final          claims the next cell
    a plugin breaks its contract           failed, final          claims the next cell
    an exception in a plugin's code        failed                 claims the next cell
    asked to stop                          released               ends
    images of this host are others         released               ends for good (``OtherImages``)
    disk full                              released               waits for free disk space
    GPU out of memory, in a group          released, with a note  is replaced; each cell is retried outside of a group
    GPU out of memory beside other trials  released, with a note  is replaced; the cell is retried alone
    GPU out of memory alone, CUDA error    failed                 is replaced
    a step of a group failed, or the       released, with a note  is replaced if the device failed; each cell is
    device did in another of its cells                            retried outside of a group
    computed by another process, in a      released, with a note  continues with the group; the cell is retried outside
    group                                                         of a group, where it waits for the other process
    lease lost, in a group                 (not recorded)         continues with the group
    any other exception                    failed                 claims the next cell
    =====================================  =====================  ==================================

    A failure spends one of the cell's attempts; a final one is not retried, because it would fail the same way again.
    After ``MAX_FAILURES`` different cells that failed one after the other, the agent ends for good (``BadDevice``).
    Failures of plugins do not count: they say nothing about the device.
    """
    if isinstance(error, Stopped):
        return Outcome(partial(claim.release, claim.note), reason="")
    if isinstance(error, Pruned):
        return Outcome(partial(claim.prune, error.step, error.accuracy), reason=str(error), ended=True)
    if isinstance(error, InvalidRecipe):
        return Outcome(partial(claim.fail, str(error), final=True))
    named = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, OtherImages):
        return Outcome(partial(claim.release, claim.note), reason=str(error), failure=str(error), error=error)
    if isinstance(error, SharedStepFailed | files.Locked):
        restart = RestartNeeded(named) if is_device_error(error.__cause__ or error) else None
        return Outcome(partial(claim.release, {**claim.note, ALONE: named}), reason=named, error=restart)
    if files.is_full(error):
        return Outcome(partial(claim.release, claim.note), reason=named, error=error)
    failure = (isinstance(error, UserError) and str(error)) or named
    if out_of_memory(error):
        if MEMORY not in claim.note:
            note = {**claim.note, MEMORY: failure}
            return Outcome(partial(claim.release, note), reason=named, error=RestartNeeded(failure))
        failure = f"out of GPU memory alone on {device.describe(on_device)}: {error}"
    restart = RestartNeeded(failure) if is_device_error(error) else None
    if isinstance(error, PluginError) and restart is None:
        return Outcome(partial(claim.fail, failure, final=error.final), reason=failure)
    return Outcome(partial(claim.fail, failure), reason=named, failure=failure, error=restart)


def record_result(claim: Claim, result: Result) -> None:
    """Record a trial that returned. A diverged trial is not retried: every attempt would diverge."""
    if result.accuracy is None:
        claim.fail(result.reason or "no accuracy", final=True)
    else:
        images = image_checksums.labeled(result.recipe, result.data)
        used = {"images": images} if images else {}
        claim.complete(result.accuracy, {**result.attributes, **used})

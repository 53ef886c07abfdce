"""Where a claim on Optuna's storages is answered."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.artifacts import upload_artifact
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import artifacts, books, queue, sampler, storage
from ddsweep.backends.sampler import Space

if TYPE_CHECKING:
    from ddsweep.backends.optuna import OptunaStore


@dataclass(frozen=True)
class OptunaDesk:
    """Where one claim is answered (protocol ``lease.Desk``)."""

    store: OptunaStore
    trial: int
    token: str

    def beat(self) -> bool:
        """Note that the holder lives."""
        return self.store.database.run(lambda session: queue.beat(session, self.trial, self.token))

    def complete(self, value: float, attributes: Mapping[str, Any]) -> bool:
        """Running → complete."""
        return self._answer(partial(queue.complete, value=value, attributes=attributes), TrialState.COMPLETE)

    def fail(self, reason: str, final: bool) -> bool:
        """Running → failed."""
        return self._answer(partial(queue.fail, reason=reason, final=final), TrialState.FAIL)

    def look(self, step: int, accuracy: float) -> bool:
        """Keep an accuracy on the way; False if the trial is to be pruned."""

        def work(session: orm.Session) -> bool:
            if not queue.look(session, self.trial, self.token, step, accuracy):
                return True
            study = books.study_of(session, self.trial)
            books.lock(session, study)  # one band at a time: two trials that come to it together see each other
            early = Space.of(books.load_definition(session, study).definition).search.early
            attempts = books.attempts(session, study, details=False)
            return early is None or sampler.goes_on(early, attempts, self.trial, step)

        return self.store.database.run(work)

    def prune(self, step: int, accuracy: float) -> bool:
        """Running → pruned."""
        return self._answer(partial(queue.prune, step=step, accuracy=accuracy), TrialState.PRUNED)

    def release(self, note: Mapping[str, Any]) -> bool:
        """Running → waiting."""
        return self._answer(partial(queue.release, note=note), TrialState.WAITING)

    def _answer(self, tell: Callable[[orm.Session, int, str], bool], state: TrialState) -> bool:
        again = itertools.count()

        def work(session: orm.Session) -> bool:
            told_before = next(again) > 0 and queue.answered(session, self.trial, self.token, state)
            return told_before or tell(session, self.trial, self.token)

        return self.store.database.run(work)

    def attach(self, path: Path, name: str) -> None:
        """Keep a copy of a file and tie it to the trial; before the claim is answered."""
        rdb = self.store.database.rdb
        # Optuna keeps the name of the file that it is given
        with storage.one_line(self.store.database.url), tempfile.TemporaryDirectory() as folder:
            upload_artifact(
                artifact_store=self.store.pictures,
                file_path=str(shutil.copy(path, Path(folder, name))),
                study_or_trial=rdb.get_trial(self.trial),
                storage=rdb,
            )

    def keep(self, key: str, contents: Mapping[str, bytes]) -> bool:
        """Keep the files of a result."""

        def work(session: orm.Session) -> bool:
            ours = queue.hold(session, self.trial, self.token)
            if ours:
                artifacts.keep(session, key, contents)
            return ours

        return self.store.database.run(work)

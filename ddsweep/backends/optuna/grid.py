"""The grid of a sweep in Optuna's tables: registering it, and reading its attempts.

Every function takes the session of a transaction that the caller opened (``database.Database``), so that registering
100,000 points is a single transaction; Optuna's API needs several per point. Callers that add attempts hold ``lock``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from optuna import distributions
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages._rdb import models as m
from optuna.trial import TrialState
from sqlalchemy import orm

from ddsweep.backends import Definition, Point, Scalar
from ddsweep.backends.optuna import attributes, tables
from ddsweep.backends.rules import Attempt
from ddsweep.backends.space import Space, contains, is_search
from ddsweep.errors import UserError
from ddsweep.results.plots.axis import is_logarithmic


def names(session: orm.Session) -> list[str]:
    """The names of the registered sweeps, sorted."""
    query = sa.select(m.StudyModel.study_name).join(m.StudySystemAttributeModel)
    return list(
        session.scalars(query.where(m.StudySystemAttributeModel.key == tables.DEFINITION).order_by("study_name"))
    )


def find(session: orm.Session, name: str) -> int | None:
    """The id of a sweep's study; None if the sweep is not registered."""
    query = sa.select(m.StudyModel.study_id).join(m.StudySystemAttributeModel)
    return session.scalar(
        query.where(m.StudyModel.study_name == name, m.StudySystemAttributeModel.key == tables.DEFINITION)
    )


def load_definition(session: orm.Session, study: int) -> Definition:
    """Load the definition of a registered sweep.

    Raises:
        UserError: the definition was stored by an incompatible version.
    """
    table = m.StudySystemAttributeModel
    text = session.scalar(sa.select(table.value_json).where(table.study_id == study, table.key == tables.DEFINITION))
    return Definition.from_json(json.loads(text or "{}"))


def stored(session: orm.Session, study: int) -> Definition | None:
    """The definition of a study; None if it is not registered yet or was stored by an incompatible version."""
    try:
        return load_definition(session, study)
    except UserError:
        return None


def store_definition(session: orm.Session, study: int, definition: Definition) -> None:
    """Store the definition with the study, and a mark for idle agents if a search has points left to draw."""
    table, kept = m.StudySystemAttributeModel, {tables.DEFINITION: definition.to_json()}
    if definition.to_draw:
        kept[tables.SEARCH] = {"to_draw": definition.to_draw}
    names = (tables.DEFINITION, tables.SEARCH)
    session.execute(sa.delete(table).where(table.study_id == study, table.key.in_(names)))
    session.add_all([table(study_id=study, key=key, value_json=json.dumps(value)) for key, value in kept.items()])


def to_draw(session: orm.Session, study: int) -> bool:
    """Whether a search has points left to draw; an index lookup, because idle agents poll it often."""
    table = m.StudySystemAttributeModel
    query = sa.select(table.study_id).where(table.study_id == study, table.key == tables.SEARCH)
    return session.scalar(query) is not None


def lock(session: orm.Session, study: int) -> None:
    """Lock the study until the transaction ends, so that no other agent can add attempts to it."""
    session.execute(sa.select(m.StudyModel.study_id).where(m.StudyModel.study_id == study).with_for_update())


def attempts(session: orm.Session, study: int, *, details: bool = True) -> list[Attempt]:
    """All attempts of a study. Without ``details``, only the fields that ``rules`` needs, in a third of the time."""
    trial, value = m.TrialModel, m.TrialValueModel
    point = orm.aliased(m.TrialSystemAttributeModel)
    query = (
        sa.select(
            point.value_json,
            trial.trial_id,
            trial.number,
            trial.state,
            trial._datetime_start_utc,
            trial._datetime_complete_utc,
            value.value,
        )
        .join(point, (point.trial_id == trial.trial_id) & (point.key == tables.POINT))
        .outerjoin(value, (value.trial_id == trial.trial_id) & (value.objective == 0))
        .where(trial.study_id == study)
    )
    rows = session.execute(query).all()
    points = tables.loads(row[0] for row in rows)
    user = _user_attributes(session, study) if details else {}
    reported = intermediate_values(session, study)
    return [
        attributes.attempt(
            attributes.Trial(one, number, state.name, *rest), point, user.get(one, {}), reported.get(one, {})
        )
        for point, (_, one, number, state, *rest) in zip(points, rows, strict=True)
    ]


def intermediate_values(session: orm.Session, study: int) -> dict[int, dict[int, float]]:
    """The intermediate accuracies that trials reported, by trial id and step."""
    table = m.TrialIntermediateValueModel
    query = sa.select(table.trial_id, table.step, table.intermediate_value).join(m.TrialModel)
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for trial, step, value in session.execute(query.where(m.TrialModel.study_id == study)):
        found[trial][step] = value
    return found


def _user_attributes(session: orm.Session, study: int) -> dict[int, dict[str, Any]]:
    table = m.TrialUserAttributeModel
    query = sa.select(table.trial_id, table.key, table.value_json).join(m.TrialModel)
    # excludes attributes that repeat the point, a third of the rows
    rows = session.execute(query.where(m.TrialModel.study_id == study, table.key.not_in(tables.REPEATED))).all()
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for (trial, key, _), value in zip(rows, tables.loads(row[2] for row in rows), strict=True):
        found[trial][key] = value
    return found


def enqueue(session: orm.Session, study: int, wanted: Sequence[tuple[Point, int]], definition: Definition) -> None:
    """Add waiting attempts to a sweep. The caller holds ``lock``, which keeps the trial numbers unique."""
    searched = Space.of(definition.definition).ranges if is_search(definition) else {}
    trial, kinds = m.TrialModel, retype(session, study, definition.points, searched)
    spelled = {name: distributions.distribution_to_json(kind) for name, kind in kinds.items()}
    first = session.scalar(sa.select(sa.func.count()).where(trial.study_id == study)) or 0
    numbers = range(first, first + len(wanted))
    tables.insert(
        session, trial, [{"study_id": study, "number": number, "state": TrialState.WAITING} for number in numbers]
    )
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.number >= first).order_by(trial.number)
    params, shown, whole = [], [], []
    for identifier, (point, attempt) in zip(session.scalars(query).all(), wanted, strict=True):
        words = {"point": point.id, "key": point.key, "title": point.title, "attempt": attempt}
        shown += [{"trial_id": identifier, "key": key, "value_json": json.dumps(word)} for key, word in words.items()]
        travels = {"id": point.id, "params": point.params, "key": point.key, "title": point.title}
        travels |= {"fields": point.fields} if point.fields else {}
        whole.append({"trial_id": identifier, "key": tables.POINT, "value_json": json.dumps(travels)})
        params += [
            {
                "trial_id": identifier, "param_name": name, "param_value": kinds[name].to_internal_repr(value),
                "distribution_json": spelled[name],
            }
            for name, value in point.params.items()
            if name not in searched or contains(kinds[name], value)
        ]  # fmt: skip
    tables.insert(session, m.TrialParamModel, params)
    tables.insert(session, m.TrialUserAttributeModel, shown)
    tables.insert(session, m.TrialSystemAttributeModel, whole)
    if len(wanted) >= tables.CHUNK:
        tables.analyze(session)


def retype(
    session: orm.Session,
    study: int,
    points: Iterable[Point],
    searched: Mapping[str, distributions.BaseDistribution] | None = None,
) -> dict[str, distributions.BaseDistribution]:
    """Return the distribution of every axis over all its values, stored and new, and rewrite stored rows that differ.

    The number in a row encodes a choice only together with its distribution, so both change in one statement.
    ``searched`` has the distributions of a search's ranges.
    """
    table = m.TrialParamModel
    query = sa.select(table.param_name, table.distribution_json, table.param_value).distinct().join(m.TrialModel)
    stored: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, text, internal in session.execute(query.where(m.TrialModel.study_id == study)):
        stored[name, text].append(internal)
    old = {text: distributions.json_to_distribution(text) for _, text in stored}
    values: dict[str, list[Any]] = defaultdict(list)
    for point in points:
        for name, value in point.params.items():
            values[name].append(value)
    for (name, text), numbers in stored.items():
        values[name] += [old[text].to_external_repr(number) for number in numbers]
    kinds = {name: distribution(taken) for name, taken in values.items()} | dict(searched or {})
    for (name, text), numbers in stored.items():
        if distributions.distribution_to_json(kinds[name]) != text:
            _rewrite(session, study, name, text, translation(numbers, old[text], kinds[name]), kinds[name])
    return kinds


def _rewrite(
    session: orm.Session,
    study: int,
    name: str,
    text: str,
    changed: Mapping[float, float],
    kind: distributions.BaseDistribution,
) -> None:
    """Change the distribution of one axis's rows: a statement per changed number, then one for all other rows."""
    table, new = m.TrialParamModel, distributions.distribution_to_json(kind)
    ours = sa.select(m.TrialModel.trial_id).where(m.TrialModel.study_id == study)
    rows = sa.update(table).where(table.param_name == name, table.distribution_json == text, table.trial_id.in_(ours))
    rows = rows.execution_options(synchronize_session=False)
    for before, after in changed.items():
        session.execute(rows.where(table.param_value == before).values(distribution_json=new, param_value=after))
    session.execute(rows.values(distribution_json=new))


def withdraw(
    session: orm.Session,
    attempts: Iterable[int],
    reason: str,
    states: Sequence[TrialState] = (TrialState.WAITING,),
) -> int:
    """Withdraw attempts in one of ``states`` (Optuna's PRUNED; they may have changed meanwhile); return how many."""
    trial, user, count = m.TrialModel, m.TrialUserAttributeModel, 0
    for some in tables.chunks(attempts):
        query = sa.select(trial.trial_id).where(trial.trial_id.in_(some), trial.state.in_(states))
        found = session.scalars(query.with_for_update()).all()
        ended = {"state": TrialState.PRUNED, "_datetime_complete_utc": tables.now()}
        session.execute(sa.update(trial).where(trial.trial_id.in_(found)).values(ended))
        session.execute(sa.delete(user).where(user.trial_id.in_(found), user.key == "reason"))
        text = tables.dumps(reason)
        tables.insert(session, user, [{"trial_id": one, "key": "reason", "value_json": text} for one in found])
        count += len(found)
    return count


def mark(session: orm.Session, trials: Iterable[int], *marks: str) -> None:
    """Add marks to the points of attempts (``tables.MARKS``)."""
    table = m.TrialSystemAttributeModel
    for some in tables.chunks(trials):
        query = sa.select(table.trial_id, table.value_json).where(table.key == tables.POINT, table.trial_id.in_(some))
        for trial, text in session.execute(query).all():
            tables.put(session, table, trial, {tables.POINT: json.loads(text) | dict.fromkeys(marks, True)})


def mark_lost(session: orm.Session, study: int) -> None:
    """Mark lost attempts as such that an earlier version counted as failures, which it shows by their reason only."""
    trial, user, point = m.TrialModel, m.TrialUserAttributeModel, m.TrialSystemAttributeModel
    query = (
        sa.select(trial.trial_id)
        .join(user, (user.trial_id == trial.trial_id) & (user.key == "reason"))
        .join(point, (point.trial_id == trial.trial_id) & (point.key == tables.POINT))
        .where(trial.study_id == study, trial.state == TrialState.FAIL)
        .where(
            user.value_json.startswith('"lost: no heartbeat from '), ~point.value_json.contains(f'"{tables.LOST}": ')
        )
    )
    mark(session, session.scalars(query).all(), tables.LOST)


def settle(session: orm.Session, study: int, identifiers: Iterable[int]) -> None:
    """Mark exactly these attempts as settled: the sweep does not wait for them. The caller holds ``lock``."""
    table = m.TrialSystemAttributeModel
    ours = sa.select(m.TrialModel.trial_id).where(m.TrialModel.study_id == study)
    marks = sa.delete(table).where(table.key == tables.SETTLED, table.trial_id.in_(ours))
    session.execute(marks.execution_options(synchronize_session=False))
    tables.insert(
        session, table, [{"trial_id": one, "key": tables.SETTLED, "value_json": "true"} for one in identifiers]
    )


def awaited(session: orm.Session, study: int, *states: TrialState) -> bool:
    """Whether the sweep waits for an attempt in one of ``states``; an index lookup at any size of the sweep."""
    trial, mark = m.TrialModel, m.TrialSystemAttributeModel
    settled = sa.exists().where(mark.trial_id == trial.trial_id, mark.key == tables.SETTLED)
    query = sa.select(trial.trial_id).where(trial.study_id == study, trial.state.in_(states), ~settled)
    return session.scalar(query.limit(1)) is not None


def distribution(values: Iterable[Scalar]) -> BaseDistribution:
    """The distribution of an axis with these values: integer, float, or categorical in order of appearance."""
    seen = list(dict.fromkeys((type(value), value) for value in values))  # 1, 1.0 and True are distinct
    plain = [value for _, value in seen]
    numbers = [value for value in plain if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(plain):
        return CategoricalDistribution(plain)
    low, high = min(numbers), max(numbers)
    log = low > 0 and is_logarithmic(numbers)
    if all(isinstance(value, int) for value in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def translation(numbers: Iterable[float], old: BaseDistribution, new: BaseDistribution) -> dict[float, float]:
    """Map each stored number that encodes a different choice under ``new`` than under ``old`` to its new number.

    Numeric distributions encode numbers as themselves, so extending a numeric axis changes none.
    """
    meant: dict[float, Any] = {number: old.to_external_repr(number) for number in numbers}
    translated = {number: float(new.to_internal_repr(value)) for number, value in meant.items()}
    return {before: after for before, after in translated.items() if before != after}

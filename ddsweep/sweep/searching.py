"""From a sweep file's words about a search to a ``Search``; one line for each that makes no sense."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe
from ddsweep.sweep.document import EarlyTerminate, Parameter, SweepFile
from ddsweep.sweep.search import ACCURACY, Early, Range, Search

DISTRIBUTIONS = ("uniform", "q_uniform", "int_uniform", "log_uniform_values")
EXPONENTS = ("log_uniform", "q_log_uniform")  # W&B's: min and max are powers of e there
PLAIN = ("constant", "categorical")  # W&B's words for value and values, which may be left out
RANGE = ("distribution", "min", "max", "q")


def ranges(document: SweepFile, path: Path) -> dict[str, Range]:
    """The parameters of a file that have a range.

    Raises:
        UserError: a grid has one, or a range is none.
    """
    found = {}
    for name, parameter in document.parameters.items():
        written = [word for word in RANGE if getattr(parameter, word) is not None]
        if (written and written != ["distribution"]) or (written and parameter.distribution not in PLAIN):
            found[name] = _range(name, parameter, document.method, path)
    return found


def _range(name: str, written: Parameter, method: str, path: Path) -> Range:
    where, kind = f"{path}: parameters.{name}", written.distribution
    if method == "grid":
        raise UserError(f"{where}: a range needs method: random or bayes; a grid needs values")
    if written.value is not None or written.values is not None:
        raise UserError(f"{where}: needs either value, or values, or min and max")
    if kind in EXPONENTS:
        raise UserError(f"{where}.distribution: {kind} takes exponents; use log_uniform_values with the values")
    if kind is not None and kind not in DISTRIBUTIONS:
        raise UserError(f"{where}.distribution: unknown distribution {kind!r}; {closest(kind, DISTRIBUTIONS)}")
    low, high = written.min, written.max
    if low is None or high is None:
        raise UserError(f"{where}: a range needs both min and max")
    kind = kind or ("int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform")
    one = Range(kind, low, high, (written.q or 1) if kind == "q_uniform" else written.q)
    _check(one, where)
    return one


def _check(one: Range, where: str) -> None:
    if not one.min < one.max:
        raise UserError(f"{where}: min must be below max, but {one.min:g} is not below {one.max:g}")
    if one.log and one.min <= 0:
        raise UserError(f"{where}.min: {one.min:g} has no logarithm; log_uniform_values needs min above 0")
    if one.whole and not (isinstance(one.min, int) and isinstance(one.max, int)):
        raise UserError(f"{where}: int_uniform needs whole numbers, not {one.min} and {one.max}")
    if one.q is not None and one.distribution != "q_uniform":
        raise UserError(f"{where}.q: only q_uniform has a q, {one.distribution} has none")
    if one.q is not None and not 0 < one.q <= one.max - one.min:
        raise UserError(f"{where}.q: must be above 0 and at most max - min, is {one.q:g}")


def search(document: SweepFile, left: Mapping[str, Range], path: Path) -> Search | None:
    """The search of a file whose ranges are ``left`` after profile and ``--set``; None for a grid.

    Raises:
        UserError: it lacks ``run_cap``, or says something that only a grid, or only a search, can have.
    """
    extra = document.extra
    if document.method == "grid":
        for word, said in (("run_cap", document.run_cap), ("early_terminate", document.early_terminate)):
            if said is not None:
                raise UserError(f"{path}: {word}: needs method: random or bayes; a grid runs every cell to its end")
        if extra.objectives:
            raise UserError(f"{path}: x-ddsweep.objectives: needs method: random or bayes")
        return None
    if document.run_cap is None:
        raise UserError(f"{path}: run_cap: method {document.method} needs to know how many points to draw: run_cap: 20")
    if extra.exclude:
        raise UserError(f"{path}: x-ddsweep.exclude: a search has no cells to leave out; narrow min, max and values")
    _check_axis(extra.axis, left, document)
    if document.metric.get("name", ACCURACY) != ACCURACY or document.metric.get("goal", "maximize") != "maximize":
        raise UserError(f"{path}: metric: is always accuracy, maximised; for several see x-ddsweep.objectives")
    early = _early(document.early_terminate, path)
    if early and len(extra.objectives) > 1:
        raise UserError(f"{path}: early_terminate: goes by one accuracy, and x-ddsweep.objectives names several")
    return Search(document.method, document.run_cap, dict(left), early, _objectives(extra.objectives, path))


def _check_axis(axis: Iterable[str], left: Collection[str], document: SweepFile) -> None:
    for name in axis:
        if name not in left and name not in document.parameters:
            raise UserError(f"x-ddsweep.axis: {name} is not searched; {closest(name, document.parameters)}")


def _early(written: EarlyTerminate | None, path: Path) -> Early | None:
    if written is None:
        return None
    where = f"{path}: early_terminate"
    if (written.min_iter is None) == (written.max_iter is None):
        raise UserError(f"{where}: needs exactly one of min_iter and max_iter")
    if (written.max_iter is None) != (written.s is None):
        raise UserError(f"{where}: s is how many bands there are below max_iter; give both or neither")
    one = Early(written.eta, written.min_iter, written.max_iter, written.s)
    if not one.bands:
        raise UserError(f"{where}: leaves no band between the first and the last of {one.iterations} iterations")
    return one


def _objectives(written: list[str], path: Path) -> tuple[str, ...]:
    where = f"{path}: x-ddsweep.objectives"
    if len(set(written)) < len(written):
        raise UserError(f"{where}: names one of them twice")
    for name in written:
        if name != ACCURACY and not name.startswith(f"{ACCURACY}/"):
            raise UserError(f"{where}: {name!r} is no accuracy; write accuracy, or accuracy/NETWORK")
    return tuple(written) or (ACCURACY,)


def check_objectives(search: Search, recipes: Collection[Recipe]) -> None:
    """Every trial must be able to tell each objective.

    Raises:
        UserError: a network is not evaluated in every cell.
    """
    for name in search.objectives:
        arch = name.partition("/")[2]
        for recipe in recipes:
            evaluated = recipe.eval_archs.split("+")
            if arch and arch not in evaluated:
                raise UserError(f"x-ddsweep.objectives: {name}: not evaluated; {closest(arch, evaluated)}")

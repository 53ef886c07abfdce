"""A sweep and its cells, as plain values."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, absent, make, stored
from ddsweep.sweep import made as registered
from ddsweep.sweep.document import Picture, Rule, Scalar
from ddsweep.sweep.expression import Expression
from ddsweep.sweep.made import Made
from ddsweep.sweep.origin import Origin
from ddsweep.sweep.search import Search


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep.

    Attributes:
        point: the swept parameters and their values in the recipe, as a backend stores them; None for an option that
            its method does not have.
        recipe: the recipe.
        key: the recipe's key, which names the run folder.
    """

    point: dict[str, Any]
    recipe: Recipe
    key: str


@dataclass(frozen=True)
class QueueState:
    """What the queue says about a cell.

    Attributes:
        state: ``waiting``, ``running``, ``complete``, ``failed`` or ``pruned``.
        reason: why it failed or was pruned; else empty.
    """

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep at one scale; ``from_definition`` restores it on another machine.

    Attributes:
        name: its name: the file's, with the settings that ask another question (``naming``), or one that a user chose.
        profile: the profile that it was merged with.
        title: the question that it answers.
        paper: its table or figure in the paper.
        axis: the parameters that the sweep compares along: the columns of its table.
        baseline: the choices of the cells that others in the same row are compared with.
        exclude: partial points and conditions (``expression``); a cell that matches one of them is excluded.
        max_attempts: the number of attempts at a failing cell.
        parameters: the recipe fields that the sweep sets, each with its values; a single value is fixed.
        pictures: the kinds of pictures to draw when the sweep is finished.
        search: how points are sampled; None: the sweep is the grid of its parameters.
        sampled: the points that a search has sampled so far.
        kept: cells that are no combination of the parameters, each as all choices that were made for it: those of
            earlier launches under this name that stay in the table, and the trials of a confirmation.
        data: the checksums of the images that its launch registered (``results.image_checksums``); empty before.
        source: its file and the settings of its question (``Origin.source``); empty: not recorded by earlier versions.
        made: the recipes with plugins as they were made at its launch; empty if it was not launched.
        progress: what the queue says about the cells at present, by key; not part of the definition.
        origin: where the values come from; None: the sweep was restored, not loaded from a file.
    """

    name: str
    profile: str
    title: str
    paper: str
    axis: tuple[str, ...]
    baseline: dict[str, Scalar]
    exclude: tuple[Rule, ...]
    max_attempts: int
    parameters: dict[str, tuple[Scalar, ...]]
    pictures: tuple[Picture, ...] = ("grid",)
    search: Search | None = None
    sampled: tuple[dict[str, Scalar], ...] = ()
    kept: tuple[dict[str, Scalar], ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict, compare=False)
    made: Made = field(default_factory=dict, compare=False, repr=False)
    progress: Mapping[str, QueueState] = field(default_factory=dict, compare=False)
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def full_name(self) -> str:
        """``NAME@PROFILE``, the name of a launched sweep and of its study."""
        return f"{self.name}@{self.profile}"

    @property
    def launched(self) -> Sweep:
        """Without the cells of earlier launches, whose images and plugins may not exist any more."""
        return replace(self, kept=()) if self.kept else self

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The parameters that this launch varies, in the order of the file; those of the axis even with one value."""
        varied = (name for name, values in self.parameters.items() if len(values) > 1 or name in self.axis)
        return (*varied, *(self.search.ranges if self.search else ()))

    @cached_property
    def swept(self) -> tuple[str, ...]:
        """The parameters that differ among the cells: those that vary, and those in which kept cells differ."""
        if not self.kept:
            return self.varied
        written = [name for name in self._named if any(one.get(name) != self.fixed.get(name) for one in self.kept)]
        recipes = [recipe for _, recipe, _ in self._expanded]
        differ = {name for name in written if len({recipe.value(name) for recipe in recipes}) > 1}
        return tuple(name for name in self._named if name in differ or name in self.varied)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The methods and guidances that its cells may have: an option of one of them has no effect on the others."""
        choices = (*({name: one} for name, values in self.parameters.items() for one in values), self.baseline)
        values = (one.get(name) for one in (*choices, *self.kept) for name in ("method", "regularizer"))
        return tuple(dict.fromkeys(["dm", *(value for value in values if isinstance(value, str))]))

    def make(self, choices: Mapping[str, Scalar | None]) -> Recipe:
        """The recipe of these choices: as it was registered, or else with the defaults and options of today.

        Raises:
            UserError: they contradict each other, or a plugin is not available.
        """
        return registered.found(self.made, choices) or make(choices, self.parts)

    @property
    def _named(self) -> dict[str, None]:
        """Every parameter that is set here or in a kept cell, in this order."""
        ranges = self.search.ranges if self.search else ()
        return dict.fromkeys((*self.parameters, *ranges, *(name for one in self.kept for name in one)))

    @property
    def seeds(self) -> tuple[Scalar, ...]:
        """The seeds with each of which a search runs every point; empty if there is one, or if it is sampled."""
        values = self.parameters.get("seed", ())
        return values if self.search and self.search.replicates and len(values) > 1 else ()

    @property
    def fixed(self) -> dict[str, Scalar]:
        """One value of every parameter without a range; the only one, if it does not vary."""
        return {name: values[0] for name, values in self.parameters.items()}

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells. Points with the same recipe (the baseline at each N_m) are one cell.

        The cells of a search are its baselines and, in the order of the axis, the points sampled so far. Cells of
        earlier launches come last.

        Raises:
            UserError: a cell is not a valid recipe; the line names the field.
        """
        cells: dict[str, Cell] = {}
        for choices, recipe, key in self._expanded:
            if key not in cells:
                cells[key] = Cell(self._point(choices, recipe, key), recipe, key)
        if not cells and not self.search:
            raise UserError(f"exclude: excludes every cell of {self.name}")
        return tuple(cells.values())

    def _point(self, choices: Mapping[str, Scalar], recipe: Recipe, key: str) -> dict[str, Any]:
        """The point of a cell: the values of its recipe, unless these, with what is fixed, are of another recipe."""
        pinned = self.baseline if self.search and self.is_baseline(recipe) else {}  # they may be fixed in the search
        resolved: dict[str, Any] = {name: recipe.value(name) for name in self.swept} | pinned
        whole = self.fixed | resolved
        if self.made or whole == choices or self.key(whole) == key:
            return resolved
        # a swept choice was resolved into a fixed field: alpha_by_arch that covers all PTMs becomes alpha
        return {name: choices.get(name, recipe.value(name)) for name in self.swept} | pinned

    @cached_property
    def _expanded(self) -> list[tuple[dict[str, Scalar], Recipe, str]]:
        """All choices with their recipes and keys; several choices can lead to the same recipe."""
        recipes = ((one, self.make(one)) for one in (*self._chosen(), *self.kept))
        return [(one, recipe, recipe.key()) for one, recipe in recipes]

    def _chosen(self) -> Iterator[dict[str, Scalar]]:
        """All choices of this launch."""
        return self._product(self.parameters) if self.search is None else self._search_choices()

    @cached_property
    def baselines(self) -> dict[str, str]:
        """By key of a cell, the key of its baseline; a baseline is its own.

        The baseline of a cell is the cell that results when the values of ``baseline`` replace the cell's own choices.
        A cell has none if that is no cell of the sweep, or if its choices lead to several.
        """
        if not self.baseline:
            return {}
        keys = {key for _, _, key in self._expanded}
        found: dict[str, set[str]] = defaultdict(set)
        known: dict[frozenset[tuple[str, Scalar]], str] = {}
        for choices, recipe, key in self._expanded:
            replaced = choices | self.baseline
            items = frozenset(replaced.items())
            if items not in known:
                known[items] = self._key_of(replaced, recipe, self.baseline)
            found[key].add(known[items])
        single = {key: next(iter(several)) for key, several in found.items() if len(several) == 1}
        return {key: baseline for key, baseline in single.items() if baseline in keys}

    def key(self, choices: Mapping[str, Scalar | None]) -> str:
        """The key of the recipe with these choices; empty if they contradict each other."""
        try:
            return self.make(choices).key()
        except UserError:
            return ""

    def key_with(self, recipe: Recipe, changes: Mapping[str, Any]) -> str:
        """The key of the recipe of a cell with other values; empty if they contradict each other."""
        return self._key_of(recipe.model_dump() | dict(changes), recipe, changes)

    def _key_of(self, choices: Mapping[str, Any], recipe: Recipe, changes: Mapping[str, Any]) -> str:
        """The key of ``choices``, which are those of ``recipe`` but for ``changes``."""
        if not (self.made or recipe.plugins) or registered.found(self.made, choices):
            return self.key(choices)
        as_today = self.key(recipe.model_dump()) == recipe.key()  # its plugins are here and declare the same
        return (self.key(choices) if as_today else "") or registered.changed(recipe, changes)

    def _product(self, parameters: Mapping[str, Iterable[Scalar]]) -> Iterator[dict[str, Scalar]]:
        """The choices of a grid, without the excluded ones."""
        rules = [self._condition(rule) for rule in self.exclude]
        for values in itertools.product(*parameters.values()):
            choices = dict(zip(parameters, values, strict=True))
            if not any(excludes(choices) for excludes in rules):
                yield choices

    def unused(self) -> Iterator[tuple[str, Scalar]]:
        """The values of parameters, each with its field, that no cell has because ``exclude`` removes all of them."""
        if not self.exclude:
            return
        kept = [*self._product(self.parameters)]
        for name, values in self.parameters.items():
            used = {choices[name] for choices in kept}
            yield from ((name, value) for value in values if value not in used)

    def _search_choices(self) -> Iterator[dict[str, Scalar]]:
        """The choices of a search: a baseline for each value of other parameters, then the points along the axis."""
        pinned: dict[str, tuple[Scalar, ...]] = {name: (value,) for name, value in self.baseline.items()}
        if self.baseline:
            yield from self._product(self.parameters | pinned)
        yield from (self.fixed | point for point in sorted(self.sampled, key=self._along_axis))

    def _along_axis(self, point: Mapping[str, Scalar]) -> list[tuple[bool, float, str]]:
        """The sort key of a point: numbers by size, then words."""
        values = [point.get(name) for name in (*self.axis, *self.varied)]
        return [
            (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value)) for value in values
        ]

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """Recipes that together need every PTM and dataset of any cell: the cells', and those at the ends of ranges."""
        ends = [recipe for _, recipe in self._corners() if isinstance(recipe, Recipe)] if self.search else []
        return (*(cell.recipe for cell in self.cells), *ends)

    def check(self) -> None:
        """Check that every cell is a valid recipe, and that each end of each range of a search can be part of one.

        Raises:
            UserError: a cell is not; the line names the field.
        """
        _ = self.cells
        corners = list(self._corners()) if self.search else []
        for name, value in dict.fromkeys((name, value) for point, _ in corners for name, value in point.items()):
            outcomes = [outcome for point, outcome in corners if point.get(name) == value]
            errors = [outcome for outcome in outcomes if isinstance(outcome, UserError)]
            if len(errors) == len(outcomes):
                raise errors[0]

    def _corners(self) -> Iterator[tuple[dict[str, Scalar], Recipe | UserError]]:
        """All combinations at the ends of the ranges, and at every epoch in a range of ``ptm_epoch``."""
        assert self.search is not None
        ends: dict[str, Iterable[Scalar]] = {
            name: range(int(interval.min), int(interval.max) + 1)
            if name == "ptm_epoch" and interval.whole
            else (interval.min, interval.max)
            for name, interval in self.search.ranges.items()
        }
        for choices in self._product(self.parameters | ends):
            try:
                yield choices, self.make(choices)
            except UserError as error:
                yield choices, error

    def with_points(self, points: Iterable[Mapping[str, Scalar | None]]) -> Sweep:
        """The search with these sampled points as cells, except cells that it has already and invalid recipes."""
        if self.search is None:
            return self
        known = {cell.key for cell in replace(self, sampled=()).cells}
        valid = [
            {name: value for name, value in point.items() if value is not None}
            for point in points
            if self._key_at(point) not in (*known, "")
        ]
        return replace(self, sampled=tuple(valid)) if valid else self

    def knowing(self, points: Iterable[Any]) -> Sweep:
        """The sweep with the recipes of points that a search has drawn (``backends.Point``), as they were drawn."""
        drawn = {
            registered.identity(self.fixed | point.params): stored(point.fields) for point in points if point.fields
        }
        return replace(self, made={**self.made, **drawn}) if drawn else self

    def drawn_fields(self, recipe: Recipe) -> dict[str, Any]:
        """The fields of a recipe that a search has drawn, for its point; none are needed if the sweep has no plugin."""
        return recipe.written() if recipe.plugins or self._has_plugins else {}

    def _key_at(self, point: Mapping[str, Scalar | None]) -> str:
        """The key of the recipe at ``point``; empty if it is not valid."""
        return self.key(self.fixed | dict(point))

    def _condition(self, rule: Rule) -> Callable[[Mapping[str, Any]], bool]:
        """An entry of ``exclude`` as a function of the choices as written, before their defaults are resolved."""
        if isinstance(rule, dict):
            return lambda choices: agrees(choices, rule)
        try:
            condition = Expression.parse(rule, self.parameters)
            condition.holds(self.fixed)
        except UserError as error:
            raise UserError(f"exclude: {error}") from None
        return condition.holds

    def recipe(self, point: Mapping[str, Scalar | None]) -> Recipe:
        """The recipe at ``point``: the swept values and the fixed ones."""
        return self.make(self.fixed | dict(point))

    def choices_of(self, point: Mapping[str, Scalar | None], key: str) -> dict[str, Any] | None:
        """All choices of a registered point, whichever launch added it; None if no launch that is known here did.

        Args:
            point: the swept values, as they were registered.
            key: the key of its recipe.
        """
        choices = self.fixed | dict(point)
        if self.key(choices) == key:
            return choices
        return self.kept_choices.get(key) or (self._choices.get(key) if self.made else None)

    @cached_property
    def _choices(self) -> dict[str, dict[str, Scalar]]:
        """The first choices of each cell."""
        return {key: choices for choices, _, key in reversed(self._expanded)}

    @cached_property
    def kept_choices(self) -> dict[str, dict[str, Scalar]]:
        """All choices of the cells of earlier launches, by key."""
        return {self.key(choices): choices for choices in self.kept}

    def is_baseline(self, recipe: Recipe) -> bool:
        """Whether a recipe has the values of ``baseline``, which makes it one that others are compared with."""
        if not self.baseline:
            return False
        pairs = self.baseline.items()
        return all(recipe.value(name) == value or self._spelled(recipe, name, value) for name, value in pairs)

    def _spelled(self, recipe: Recipe, name: str, value: Scalar) -> bool:
        """Whether a text is another spelling of a recipe's: ``vgg11+convnet3``, or the target's name as a source."""
        # a recipe without guidance has α 0, with which any loss means no guidance
        written = isinstance(value, str) and name != "regularizer" and bool(recipe.value(name))
        return written and self.key_with(recipe, {name: value}) == recipe.key()

    def cell_title(self, recipe: Recipe) -> str:
        """The title of a cell of this sweep: with every value that varies, and ``baseline`` if it is one."""
        return recipe.title(self.swept, self.is_baseline(recipe))

    @property
    def size(self) -> int:
        """The number of cells; for a search, the number after all points are sampled."""
        if self.search is None:
            return len(self.cells)
        return len(self.cells) + max(0, self.search.run_cap * max(1, len(self.seeds)) - len(self.sampled))

    def describe(self, name: str) -> str:
        """The values or the range of a swept parameter, as text: ``0, 1, 10`` or ``1 … 10000 (log)``."""
        if self.search and name in self.search.ranges:
            return str(self.search.ranges[name])
        return ", ".join(map(str, self._values(name)))

    def _values(self, name: str) -> tuple[Scalar, ...]:
        """The values of a parameter without a range: those of this launch, then those of kept cells."""
        own = self.parameters.get(name, ())
        kept = [cell.point[name] for cell in self.cells if cell.key in self.kept_choices] if self.kept else []
        present: list[Any] = (
            [self.recipe({}).value(name)] if not own else []
        )  # the default, from which kept cells differ
        return (*own, *dict.fromkeys(value for value in (*present, *kept) if value not in own))

    def example(self, name: str) -> Scalar:
        """One possible value of a swept parameter."""
        return self.search.ranges[name].max if self.search and name in self.search.ranges else self._values(name)[-1]

    def definition(self) -> dict[str, Any]:
        """The sweep as JSON for a backend to store, so that agents need no file."""
        search = {"search": self.search.definition()} if self.search else {}
        kept = {"kept": list(self.kept)} if self.kept else {}
        data = {"data": dict(self.data)} if self.data else {}
        source = {"source": dict(self.source)} if self.source else {}
        return {
            "name": self.name,
            "profile": self.profile,
            "title": self.title,
            "paper": self.paper,
            "axis": list(self.axis),
            "baseline": self.baseline,
            "exclude": list(self.exclude),
            "max_attempts": self.max_attempts,
            "parameters": {name: list(values) for name, values in self.parameters.items()},
            "pictures": list(self.pictures),
            **search,
            **kept,
            **data,
            **source,
            **self._recipes(),
        }

    def _recipes(self) -> dict[str, Any]:
        """The recipes with plugins, and the names of their parts in tables, for who does not have the plugins."""
        expanded = (replace(self, sampled=()) if self.sampled else self)._expanded
        if not (self.made or self._has_plugins or any(recipe.plugins for _, recipe, _ in expanded)):
            return {}
        names = absent.paper_names(self.recipes)
        return registered.written([recipe for _, recipe, _ in expanded]) | ({"names": names} if names else {})

    @property
    def _has_plugins(self) -> bool:
        return any(self.parameters.get("plugins", ()))

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Sweep:
        """The sweep that ``definition()`` described.

        Raises:
            UserError: another version of ddsweep wrote the definition.
        """
        try:
            values = {name: tuple(values) for name, values in definition["parameters"].items()}
            lists = ("axis", "exclude", "pictures", "kept")
            tuples = {field: tuple(definition[field]) for field in lists if field in definition}
            search = Search.from_definition(definition["search"]) if "search" in definition else None
            own = {name: one for name, one in definition.items() if name not in ("recipes", "names")}
            sweep = cls(**{**own, **tuples, "parameters": values, "search": search})
            absent.remember(definition.get("names", {}))
            if not (recipes := definition.get("recipes")):
                return sweep
            return replace(sweep, made=registered.read(recipes, (*sweep._chosen(), *sweep.kept)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"the registered sweep was written by another version of ddsweep ({error})") from None


def agrees(choices: Mapping[str, Any], rule: Mapping[str, Scalar]) -> bool:
    """Whether ``choices`` contains every value of ``rule``."""
    return all(name in choices and choices[name] == value for name, value in rule.items())

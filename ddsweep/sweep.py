"""Sweep: one YAML file, read, joined with a profile, expanded to cells; every cell is a Recipe before anything runs.

A sweep file is a W&B sweep configuration with one block more, ``x-ddsweep``, for what W&B has no word for. A profile is
a file of overrides that applies to every sweep: ``fields`` are Recipe fields for whatever the sweep does not vary,
``axes`` replace the ``values`` of what it does vary (a list of one pins it). Where that does not suit one sweep, the
``profiles`` of its own ``x-ddsweep`` replace what the profile says. ``--set`` comes last and wins.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe, make

Scalar = bool | int | float | str
Model = TypeVar("Model", bound=BaseModel)
DEFAULT_PROFILE = "paper"
Picture = Literal["grid", "classes", "tsne"]
PICTURES: tuple[Picture, ...] = get_args(Picture)


class Parameter(BaseModel):
    """One entry of ``parameters``: a fixed ``value`` or the ``values`` of an axis."""

    model_config = ConfigDict(extra="forbid", strict=True)
    value: Scalar | None = None
    values: list[Scalar] | None = Field(default=None, min_length=1)


class Extra(BaseModel):
    """The ``x-ddsweep`` block."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = ""
    paper: str = ""
    axis: list[str] = Field(min_length=1)
    baseline: dict[str, Scalar] = Field(default_factory=dict)
    exclude: list[dict[str, Scalar]] = Field(default_factory=list)
    profiles: dict[str, dict[str, Annotated[list[Scalar], Field(min_length=1)]]] = Field(default_factory=dict)
    max_attempts: int = Field(default=3, ge=1)
    pictures: list[Picture] = Field(default=["grid"], min_length=1)


class SweepFile(BaseModel):
    """A sweep file as it is written."""

    model_config = ConfigDict(extra="forbid", strict=True)
    method: Literal["grid"]
    metric: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Parameter]
    command: list[str] = Field(default_factory=list)
    name: str = ""
    description: str = ""
    extra: Extra = Field(alias="x-ddsweep")


class Profile(BaseModel):
    """A profile file: the same study at another scale."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str
    fields: dict[str, Scalar] = Field(default_factory=dict)
    axes: dict[str, list[Scalar]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep.

    Attributes:
        point: the swept parameters with the values they have in the recipe: what travels through a backend.
        recipe: the experiment.
        key: its identity, and the name of its run folder.
    """

    point: dict[str, Scalar]
    recipe: Recipe
    key: str


@dataclass(frozen=True)
class Sweep:
    """A sweep at one scale, as plain values: ``Sweep(**sweep.definition())`` is the same sweep on another machine.

    Attributes:
        name: the file's name.
        profile: the profile it was joined with.
        title: what it asks.
        paper: the table or figure of the paper that it belongs to.
        axis: the parameters that the ablation is about: the columns of its table.
        baseline: choices that make a cell the one to compare with, within the same row.
        exclude: partial points; a cell that agrees with one of them is left out.
        max_attempts: how often a failing cell is tried.
        parameters: every chosen Recipe field with its values; one value: fixed.
        pictures: the kinds of pictures that are drawn when it is done (``results.gallery``).
    """

    name: str
    profile: str
    title: str
    paper: str
    axis: tuple[str, ...]
    baseline: dict[str, Scalar]
    exclude: tuple[dict[str, Scalar], ...]
    max_attempts: int
    parameters: dict[str, tuple[Scalar, ...]]
    pictures: tuple[Picture, ...] = ("grid",)

    @property
    def full_name(self) -> str:
        """``NAME@PROFILE``: what a launched sweep is known by."""
        return f"{self.name}@{self.profile}"

    @property
    def swept(self) -> tuple[str, ...]:
        """The parameters that vary, in the order of the file; those of the axis even where one value is left."""
        return tuple(name for name, values in self.parameters.items() if len(values) > 1 or name in self.axis)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct experiment. Points that are the same experiment (the baseline at each N_m) are one cell.

        Raises:
            UserError: a cell is no valid recipe; the line names the field.
        """
        found: dict[str, Cell] = {}
        for values in itertools.product(*self.parameters.values()):
            choices = dict(zip(self.parameters, values, strict=True))
            if any(agrees(choices, rule) for rule in self.exclude):
                continue
            recipe = make(choices)
            key = recipe.key()
            if key not in found:
                point = {name: getattr(recipe, name) for name in self.swept}
                if self.recipe(point).key() != key:  # a swept choice went over into a fixed one: one α for every PTM
                    point = {name: choices[name] for name in self.swept}
                found[key] = Cell(point, recipe, key)
        if not found:
            raise UserError(f"exclude: leaves no cell of {self.name}")
        return tuple(found.values())

    def recipe(self, point: Mapping[str, Scalar | None]) -> Recipe:
        """The experiment at ``point``: the swept values joined with the fixed ones."""
        fixed = {name: values[0] for name, values in self.parameters.items()}
        return make(fixed | dict(point))

    def is_baseline(self, recipe: Recipe) -> bool:
        """Whether the cell is the one that others are compared with."""
        return bool(self.baseline) and agrees(recipe.model_dump(), self.baseline)

    def definition(self) -> dict[str, Any]:
        """The sweep as JSON, for a backend to keep: agents need no file."""
        return {
            "name": self.name, "profile": self.profile, "title": self.title, "paper": self.paper,
            "axis": list(self.axis), "baseline": self.baseline, "exclude": list(self.exclude),
            "max_attempts": self.max_attempts,
            "parameters": {name: list(values) for name, values in self.parameters.items()},
            "pictures": list(self.pictures),
        }  # fmt: skip

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> Sweep:
        """The sweep that ``definition()`` described.

        Raises:
            UserError: it was written by another version of ddsweep.
        """
        try:
            values = {name: tuple(values) for name, values in definition["parameters"].items()}
            tuples = {
                field: tuple(definition[field]) for field in ("axis", "exclude", "pictures") if field in definition
            }
            return cls(**{**definition, **tuples, "parameters": values})
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the registered sweep was written by another version of ddsweep ({error})") from None


def agrees(choices: Mapping[str, Any], rule: Mapping[str, Scalar]) -> bool:
    """Whether ``choices`` has every value of ``rule``."""
    return all(name in choices and choices[name] == value for name, value in rule.items())


def load(reference: str, profile: str | None = None, settings: Mapping[str, Any] | None = None) -> Sweep:
    """Read a sweep by ``NAME``, ``NAME@PROFILE`` or path of a file; check every cell.

    Args:
        reference: the sweep.
        profile: the profile, if not in the reference; default ``paper``.
        settings: overrides of Recipe fields; a list replaces an axis, a scalar pins it.

    Raises:
        UserError: no such sweep or profile, or a file or cell that is wrong; the line names the field.
    """
    name, profile = split(reference, profile)
    path = find(name)
    document = _validate(SweepFile, _read(path), path)
    chosen = _validate(Profile, _read(find_profile(profile)), find_profile(profile))
    parameters = {field: _values(field, parameter, path) for field, parameter in document.parameters.items()}
    own = _own_values(document.extra, profile, path)
    for field in (*parameters, *chosen.fields, *chosen.axes, *own, *(settings or {}), *document.extra.axis):
        _known(field, path)
    for rule in (document.extra.baseline, *document.extra.exclude):
        for field in rule:
            _known(field, path)
    axes = {field for field, parameter in document.parameters.items() if parameter.values is not None}
    parameters |= {field: (value,) for field, value in chosen.fields.items() if field not in axes}
    parameters |= {field: tuple(values) for field, values in chosen.axes.items() if field in axes}
    parameters |= own
    for field, value in (settings or {}).items():
        parameters[field] = tuple(value) if isinstance(value, list) else (value,)
    extra = document.extra
    sweep = Sweep(
        path.stem, profile, extra.title, extra.paper, tuple(extra.axis), extra.baseline,
        tuple(extra.exclude), extra.max_attempts, parameters, tuple(extra.pictures),
    )  # fmt: skip
    _ = sweep.cells  # a typo fails here, not on GPU 3 at midnight
    return sweep


def split(reference: str, profile: str | None = None) -> tuple[str, str]:
    """``NAME@PROFILE`` into its parts.

    Raises:
        UserError: two profiles that differ.
    """
    name, _, written = reference.partition("@") if not Path(reference).is_file() else (reference, "", "")
    if written and profile and written != profile:
        raise UserError(f"profile: {reference} and --profile {profile} name two profiles")
    return name, written or profile or DEFAULT_PROFILE


def folders() -> list[Path]:
    """Where sweep files are looked for: ``sweeps/`` here first, then those that ship with ddsweep."""
    package = Path(__file__).parent
    shipped = package / "_sweeps" if (package / "_sweeps").is_dir() else package.parent / "sweeps"
    here = Path("sweeps")
    return [folder for folder in (here, shipped) if folder.is_dir()]


def names() -> list[str]:
    """Every sweep that can be launched by name: the directory is the registry."""
    return _stems("")


def profiles() -> list[str]:
    """Every profile."""
    return _stems("profiles")


def _stems(part: str) -> list[str]:
    return sorted({path.stem for folder in folders() for path in (folder / part).glob("*.yaml")})


def find(name: str) -> Path:
    """The file of a sweep: a path to one, or the first ``NAME.yaml`` of ``folders()``, or the paper's name for one."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"no sweep file {name}")
        return Path(name)
    known = names()
    return _find("sweep", "", name if name in known else in_paper().get(name, name), known)


def in_paper() -> dict[str, str]:
    """Sweeps by the table or figure of the paper that they are: ``table5`` is ``ablation-n-archs``.

    The other name is for typing only: sweep, study and cells are the same, under the name of the file.
    """
    found: dict[str, str] = {}
    for name in names():
        try:
            paper = re.sub(r"\W", "", str(_read(find(name))["x-ddsweep"]["paper"])).lower()
        except (UserError, KeyError, TypeError):  # a file with an error is nobody's table; loading it names the error
            continue
        if paper:
            found.setdefault(re.sub("^fig(ure)?", "figure", paper), name)
    return found


def find_profile(name: str) -> Path:
    """The file of a profile."""
    return _find("profile", "profiles", name, profiles())


def _find(kind: str, part: str, name: str, known: list[str]) -> Path:
    for folder in folders():
        path = folder / part / f"{name}.yaml"
        if name in known and path.is_file():
            return path
    raise UserError(f"no {kind} {name!r}; {closest(name, known)}")


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date like 2026-13-01
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}{where}: is not YAML ({getattr(error, 'problem', None) or 'cannot be parsed'})"
        ) from None


def _validate(model: type[Model], document: Any, path: Path) -> Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("bool", "int", "float", "str"))
        if first["type"] == "extra_forbidden":
            fields = [field.alias or name for name, field in model.model_fields.items()]
            hint = f"; {closest(where, fields)}" if len(first["loc"]) == 1 else ""
            raise UserError(f"{path}: {where}: no such key{hint}") from None
        raise UserError(f"{path}: {where or 'the file'}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _own_values(extra: Extra, profile: str, path: Path) -> dict[str, tuple[Scalar, ...]]:
    """What the sweep file itself says about this profile."""
    for name in extra.profiles:
        if name not in profiles():
            raise UserError(f"{path}: x-ddsweep.profiles: no profile {name!r}; {closest(name, profiles())}")
    return {field: tuple(values) for field, values in extra.profiles.get(profile, {}).items()}


def _values(field: str, parameter: Parameter, path: Path) -> tuple[Scalar, ...]:
    if (parameter.value is None) == (parameter.values is None):
        raise UserError(f"{path}: parameters.{field}: needs exactly one of value and values")
    return (parameter.value,) if parameter.value is not None else tuple(parameter.values or ())


def _known(field: str, path: Path) -> None:
    if field not in Recipe.model_fields:
        raise UserError(f"{path}: {field}: no such parameter; {closest(field, Recipe.model_fields)}")

"""The schema of sweep files and profiles, and one-line errors for files that do not match it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ddsweep.errors import UserError, closest

Scalar = bool | int | float | str
Rule = dict[str, Scalar] | str
Model = TypeVar("Model", bound=BaseModel)
Picture = Literal["grid", "classes", "tsne", "accuracy"]
PICTURES: tuple[Picture, ...] = get_args(Picture)


class Parameter(BaseModel):
    """One entry of ``parameters``: a fixed ``value``, the ``values`` of an axis, or the range of a search."""

    model_config = ConfigDict(extra="forbid", strict=True)
    value: Scalar | None = None
    values: list[Scalar] | None = Field(default=None, min_length=1)
    distribution: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    q: int | float | None = None


class EarlyTerminate(BaseModel):
    """``early_terminate``: which trials of a search are terminated early, in W&B's terms."""

    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["hyperband"]
    min_iter: int | None = Field(default=None, ge=1)
    max_iter: int | None = Field(default=None, ge=2)
    s: int | None = Field(default=None, ge=1)
    eta: int = Field(default=3, ge=2)


class Extra(BaseModel):
    """The ``x-ddsweep`` block."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = ""
    paper: str = ""
    axis: list[str] = Field(min_length=1)
    baseline: dict[str, Scalar] = Field(default_factory=dict)
    exclude: list[Rule] = Field(default_factory=list)
    profiles: dict[str, dict[str, Annotated[list[Scalar], Field(min_length=1)]]] = Field(default_factory=dict)
    max_attempts: int = Field(default=3, ge=1)
    pictures: list[Picture] = Field(default=["grid"], min_length=1)
    objectives: list[str] = Field(default_factory=list)


class SweepFile(BaseModel):
    """A sweep file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    method: Literal["grid", "random", "bayes"]
    metric: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Parameter]
    run_cap: int | None = Field(default=None, ge=1)
    early_terminate: EarlyTerminate | None = None
    command: list[str] = Field(default_factory=list)
    name: str = ""
    description: str = ""
    extra: Extra = Field(alias="x-ddsweep")


class Profile(BaseModel):
    """A profile file: the scale that any sweep can run at."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str
    fields: dict[str, Scalar] = Field(default_factory=dict)
    axes: dict[str, list[Scalar]] = Field(default_factory=dict)


MAX_VALUES = 1_000_000  # with aliases expanded: nine lines of aliases of aliases can expand to a billion values


def read(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        UserError: the file cannot be read, is not YAML, or expands to too many values; the line names file and line.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}) > MAX_VALUES:
            raise UserError(f"{path}: has more than {MAX_VALUES} values with its aliases expanded")
        return loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date like 2026-13-01
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}{where}: is not valid YAML ({getattr(error, 'problem', None) or 'cannot be parsed'})"
        ) from None


def _expanded_size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """The number of values in ``node`` with aliases expanded; infinite if it contains itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        items = node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else ()
        children = [child for item in items for child in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in children)
    return sizes[id(node)]


def validate(model: type[Model], document: Any, path: Path) -> Model:
    """Check a document against a schema.

    Raises:
        UserError: it does not match; the line names file and key.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not _is_type(part))
        if first["type"] == "extra_forbidden":
            *above, key = first["loc"]
            kind = Extra if above == ["x-ddsweep"] else model
            fields = [field.alias or name for name, field in kind.model_fields.items()]
            hint = f"; {closest(str(key), fields)}" if above in ([], ["x-ddsweep"]) else ""
            raise UserError(f"{path}: {where}: no such key{hint}") from None
        raise UserError(f"{path}: {where or 'the file'}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def _is_type(part: str | int) -> bool:
    """Whether a part of pydantic's location names a member of a union instead of a key."""
    return part in ("bool", "int", "float", "str") or str(part).startswith("dict[")

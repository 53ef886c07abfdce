"""The schema of sweep files and profiles, and one-line errors for files that do not match it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ddsweep.errors import UserError, closest, near
from ddsweep.sweep.yaml_file import read as read

Scalar = bool | int | float | str
Rule = dict[str, Scalar] | str
Model = TypeVar("Model", bound=BaseModel)
Picture = Literal["grid", "classes", "tsne", "accuracy"]
PICTURES: tuple[Picture, ...] = get_args(Picture)


def _listed(value: Any) -> Any:
    """A single value as a list of one."""
    return value if isinstance(value, list) or not isinstance(value, Scalar) else [value]


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
    profiles: dict[str, dict[str, Annotated[list[Scalar], Field(min_length=1), BeforeValidator(_listed)]]] = Field(
        default_factory=dict
    )
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


def validate(model: type[Model], document: Any, path: Path) -> Model:
    """Check a document against a schema.

    Raises:
        UserError: it does not match; the line names file and key.
    """
    if document is None:
        raise UserError(f"{path}: is empty")
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else f"a {type(document).__name__}"
        keys = ", ".join(name for name, field in _fields(model).items() if field.is_required())
        raise UserError(f"{path}: the file: must be a mapping with the keys {keys}, not {kind}")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not _is_type(part))
        if first["type"] == "extra_forbidden":
            *above, key = first["loc"]
            within = _model_at(model, above)
            hint = f"; {closest(str(key), _fields(within))}" if within else ""
            raise UserError(f"{path}: {where}: no such key{hint}") from None
        hint = ""
        if first["type"] == "literal_error":
            found = near(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
            hint = f"; did you mean {found}?" if found else ""
        raise UserError(f"{path}: {where or 'the file'}: {first['msg'][0].lower()}{first['msg'][1:]}{hint}") from None


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a schema under the names that they have in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel] | None:
    """The schema of the block at a place of the file; None if its keys are free."""
    known: dict[tuple[str, int], type[BaseModel]] = {
        ("x-ddsweep", 1): Extra, ("parameters", 2): Parameter, ("early_terminate", 1): EarlyTerminate,
    }  # fmt: skip
    return known.get((str(place[0]), len(place))) if place else model


def _is_type(part: str | int) -> bool:
    """Whether a part of pydantic's location names a member of a union instead of a key."""
    return part in ("bool", "int", "float", "str") or str(part).startswith("dict[")

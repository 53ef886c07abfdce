"""Sweep files and profiles as they are written: their form, and one line for what does not have it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ddsweep.errors import UserError, closest

Scalar = bool | int | float | str
Model = TypeVar("Model", bound=BaseModel)
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


def read(path: Path) -> Any:
    """What a YAML file says. Raises UserError, naming file and line, when it is not YAML."""
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


def validate(model: type[Model], document: Any, path: Path) -> Model:
    """The document in its form. Raises UserError, naming file and key, when it has another."""
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

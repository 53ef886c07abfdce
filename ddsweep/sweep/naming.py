"""The names of sweeps whose settings ask another question than the file: ``ablation-alpha,ipc=10,n_models=1,2``.

The name consists of the file's name and these settings, in the alphabetical order of the fields. It can be read back
into both, unless it would be too long, or a value contains characters that are not allowed in names: such a value is
shortened to a part of it and a hash (``target=birds-3f2a91``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe
from ddsweep.settings import scalar
from ddsweep.settings import settings as parse_settings
from ddsweep.sweep.document import Scalar

LONGEST = 100  # characters of a name, so that NAME@PROFILE fits everywhere (W&B's groups: 128)
LONGEST_VALUE = 40
ALLOWED = re.compile(r"[A-Za-z0-9_.,=+-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
_SHORTENED = re.compile(r".+-[0-9a-f]{6}")
_SETTING = re.compile(r",(?=[A-Za-z_][\w.-]*=)")


def derived(base: str, settings: Mapping[str, Sequence[Scalar]]) -> str:
    """The name of the sweep of a file ``base`` with settings that ask another question."""
    if not settings:
        return base
    texts = [f"{field}={','.join(_text(field, value) for value in settings[field])}" for field in sorted(settings)]
    name = ",".join([base, *texts])
    return name if len(name) <= LONGEST else f"{base},{_digest([base, sorted(settings.items())])}"


def parsed(name: str) -> tuple[str, dict[str, Any]]:
    """The file's name, and the settings that follow it; no settings: the name is not a derived one.

    Raises:
        UserError: a field is given twice.
    """
    base, *pairs = _SETTING.split(name)
    return base, parse_settings(pairs)


def as_tuple(value: Any) -> tuple[Scalar, ...]:
    """The values of a setting: of a list, each of them."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def is_shortened(name: str) -> bool:
    """Whether a derived name contains a shortened value, which cannot be read back."""
    _, *pairs = _SETTING.split(name)
    return any(_SHORTENED.fullmatch(part) for pair in pairs for part in pair.partition("=")[2].split(","))


def check(name: str) -> str:
    """A name that a user has chosen for a sweep.

    Raises:
        UserError: it is too long, or has characters that names cannot have.
    """
    if not ALLOWED.fullmatch(name):
        raise UserError(
            f"as: {name!r}: a name has only letters, digits, and - _ . , = +; the profile is not part of it"
        )
    if not name[0].isalnum() or name.endswith((".yaml", ".yml")):
        raise UserError(f"as: {name!r}: a name begins with a letter or a digit, and does not end in .yaml")
    if len(name) > LONGEST:
        raise UserError(f"as: {name!r} has {len(name)} characters; at most {LONGEST} are allowed")
    return name


def written(field: str, value: Scalar | None) -> str:
    """A value with the fewest digits that are read back as the same one: ``100`` for 100.0, ``true``, ``1e-5``."""
    if value is None:  # the option of another method
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and not (field in Recipe.model_fields and Recipe.model_fields[field].annotation is float):
        return str(value)
    if isinstance(value, int | float):
        mantissa, e, exponent = repr(float(value)).partition("e")
        return mantissa.removesuffix(".0") + (f"e{int(exponent)}" if e else "")
    return value


def _text(field: str, value: Scalar) -> str:
    """A value as a part of a name."""
    text = written(field, value)
    if not isinstance(value, str):
        return text
    readable = _PLAIN.fullmatch(text) and len(text) <= LONGEST_VALUE and scalar(text) == value
    if readable and not _SHORTENED.fullmatch(text):
        return text
    last = text.rstrip("/").rpartition("/")[2]
    slug = re.sub(r"[^A-Za-z0-9_.+]+", "-", last)[:24].strip("-.") or "value"
    return f"{slug}-{_digest(text)}"


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=3).hexdigest()

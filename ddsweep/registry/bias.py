"""Biased datasets: what their names say, ``cmnist:align=0.95,severity=2``, without importing torch.

Every image of such a dataset has a class and an attribute (a color, or a kind of corruption). In the training set, the
attribute is that of the class in a share ``align`` of the images (Biased-DD, Sec. 3; protocols, section 8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ddsweep.errors import UserError

FIELDS = ("align", "severity")
SEVERITIES = (1, 2, 3, 4)
PHOTOS = "cifar10"  # the base that can also be an image folder: one of MNIST would have RGB images
ATTRIBUTES = 10  # colors, or kinds of corruption: as many as classes


@dataclass(frozen=True)
class Bias:
    """How a biased dataset is made.

    Attributes:
        base: the dataset whose images are colored or corrupted.
        test_align: share of the test images of a class that have its attribute: 0.1 makes every attribute equally
            likely; 0, as in the files of the paper's authors, leaves no such image.
        file: the name of the authors' file is ``{file}_align{align}_severity_{severity}.pth``; empty: there is none.
        align: share of the training images of a class that have its attribute.
        severity: 1 … 4. Colors vary less, and so are easier to learn, at a higher severity; corruptions are stronger.
    """

    base: str
    test_align: float = 1 / ATTRIBUTES
    file: str = ""
    align: float = 0.95
    severity: int = 2

    def given(self, fields: Mapping[str, Any]) -> Bias:
        """Return this bias with the given ``align`` and ``severity``.

        Raises:
            UserError: a value is not allowed.
        """
        align, severity = (fields.get(name, getattr(self, name)) for name in FIELDS)
        if isinstance(align, bool) or not isinstance(align, int | float) or not 0 <= align <= 1:
            raise UserError(f"align: {align!r} is out of range; a share of the training images, from 0 to 1")
        if isinstance(severity, bool) or severity not in SEVERITIES:
            raise UserError(f"severity: {severity!r} is out of range; {', '.join(map(str, SEVERITIES))}")
        return replace(self, align=float(align), severity=int(severity))

    def named(self, name: str) -> str:
        """Return the canonical name of the dataset: the row's name, and the fields with the fewest digits."""
        return f"{name}:align={_digits(self.align)},severity={self.severity}"

    @property
    def authors_file(self) -> str:
        """The name of the file that the paper's authors published."""
        return f"{self.file}_align{self.align}_severity_{self.severity}.pth"


def split(spec: str) -> tuple[str, dict[str, float]]:
    """Return the name of the row and the fields of ``NAME:align=SHARE,severity=NUMBER``, each of which may be missing.

    Raises:
        UserError: what follows the colon is something else.
    """
    name, colon, rest = spec.partition(":")
    fields: dict[str, float] = {}
    for part in rest.split(",") if colon else ():
        field, _, text = part.partition("=")
        if field not in FIELDS:
            raise UserError(f"unknown dataset {spec!r}; a biased dataset is written like cmnist:align=0.95,severity=2")
        if field in fields:
            raise UserError(f"{field}: is given twice in {spec!r}")
        fields[field] = _number(field, text, spec)
    return name, fields


def _number(field: str, text: str, spec: str) -> float:
    try:
        value = int(text) if field == "severity" else float(text)
        if math.isfinite(value):
            return value
    except ValueError:
        pass
    kind = "a whole number" if field == "severity" else "a number"
    raise UserError(f"{field}: {text!r} in {spec!r} is not {kind}")


def _digits(value: float) -> str:
    return repr(value).removesuffix(".0")

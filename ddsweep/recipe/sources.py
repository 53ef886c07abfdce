"""What PTMs were trained on: the target, another dataset, or the data of a published foundation model."""

from __future__ import annotations

from typing import Any

from ddsweep import data
from ddsweep.data.table import FOLDER_PREFIX, TABLE
from ddsweep.nn.table import FOUNDATIONS


def canonical(source: Any, target: str) -> Any:
    """The source under its one name: ``target`` for the dataset being distilled; what is no text is left as it is.

    Raises:
        UserError: neither a dataset nor the source of a foundation model.
    """
    if not source:
        return "target"
    if not isinstance(source, str) or source == "target" or source in FOUNDATIONS:
        return source
    if not source.startswith(FOLDER_PREFIX):
        TABLE.take(source, "source", also=[*FOUNDATIONS, "target", "imagefolder:PATH"])
    name = data.info(source).name
    return "target" if name == target else name

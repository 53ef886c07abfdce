"""The class names that the labels of a run stand for, as they were when it was computed; without importing torch.

An image folder may have other classes today, and the table of datasets has numbers where names come with the archive.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ddsweep import checked_files
from ddsweep.data import paths
from ddsweep.errors import UserError
from ddsweep.registry.datasets import info
from ddsweep.registry.image_folders import FOLDER_PREFIX

SET, RESULT = "synthetic.safetensors", "result.json"


def of_run(folder: Path, target: str) -> tuple[str, ...]:
    """Return the class names of a run in label order.

    They are those that its synthetic set was saved with, or its result, if the set stayed on another host; before it is
    saved, those of the decoded dataset; if that is not on this machine, those of the table or the image folder.

    Args:
        folder: the run folder.
        target: the dataset of its recipe.

    Returns:
        The names; none if an image folder is not on this machine.
    """
    try:
        return of_set(folder / SET) or _recorded(folder / RESULT) or _decoded(target) or info(target).classes
    except UserError:
        return ()


def of_set(path: Path) -> tuple[str, ...]:
    """Return the class names in a file of a synthetic set (``trial.save``); none if it does not exist or has none."""
    text = metadata(path).get("classes", "")
    return tuple(text.split("\n")) if text else ()


def _recorded(path: Path) -> tuple[str, ...]:
    """The names in a result; none if it does not exist, is damaged, or is of an older version."""
    try:
        return tuple(checked_files.read_json(path).get("classes", ())) if path.is_file() else ()
    except UserError:  # it is reported where the result is read
        return ()


def _decoded(target: str) -> tuple[str, ...]:
    """The names in the decoded images of a dataset with a name; an image folder may have changed since."""
    if target.startswith(FOLDER_PREFIX):
        return ()
    for path in paths.all_decoded(info(target)):
        if text := metadata(path).get("classes"):
            return tuple(json.loads(text))
    return ()


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty if it cannot be read, which is reported where its tensors are read."""
    try:
        with safe_open(path, "np") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}

"""Whether cells were computed from the same images.

The key of a recipe names a dataset; for a user's own images (an image folder, or a plugin's dataset) it does not say
which images that dataset has. A launch therefore registers their checksums, each result records the checksums of the
images that it was computed from, and an agent compares its own images before it computes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe
from ddsweep.registry.datasets import TABLE

Checksums = Mapping[str, str]
"""SHA-256 of the decoded images by ``NAME@SIZE``, the dataset and its size in pixels."""


def user_datasets(recipes: Iterable[Recipe]) -> list[tuple[str, int]]:
    """Return the datasets of the recipes, each with its size in pixels, whose images are the user's own."""
    with_own = [one for one in recipes if data.is_user_data(one.dataset) or data.is_user_data(one.source_dataset)]
    found: set[tuple[str, int]] = set()
    for one in dict.fromkeys(recipe.model_copy(update={"seed": 0}) for recipe in with_own):
        with suppress(UserError):  # its PTMs' dataset is that of a plugin that this host lacks
            found.update((name, size) for name, size in spec.datasets([one]) if data.is_user_data(name))
    return sorted(found)


def compute(recipes: Iterable[Recipe]) -> dict[str, str]:
    """Return the checksums of the images that the recipes use; those that are not in the cache are decoded first.

    Raises:
        UserError: images are missing or cannot be read.
    """
    return {_label(name, size): data.checksum(name, size) for name, size in user_datasets(recipes)}


def known(recipes: Iterable[Recipe]) -> dict[str, str]:
    """Return the checksums that are known without decoding images: those of unchanged images in the cache."""
    found = {}
    for name, size in user_datasets(recipes):
        with suppress(UserError):  # the folder is on another host
            if checksum := data.known_checksum(name, size):
                found[_label(name, size)] = checksum
    return found


def changed(recipe: Recipe, used: Mapping[str, str], expected: Checksums) -> str:
    """Return the first dataset whose images differ from the expected ones; empty if none is known to differ.

    Args:
        recipe: the recipe of a result.
        used: the checksums of the images that it was computed from, by dataset (``Result.data``).
        expected: the checksums of the images that count.
    """
    for name, size in user_datasets([recipe]):
        before, now = used.get(name), expected.get(_label(name, size))
        if before and now and before != now:
            return name
    return ""


def labeled(recipe: Recipe, used: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums of the user's own images that a result used (``Result.data``), by ``NAME@SIZE``."""
    return {_label(name, size): used[name] for name, size in user_datasets([recipe]) if name in used}


def agree(used: Checksums, expected: Checksums) -> bool:
    """Return whether no dataset is in both with different checksums."""
    return all(expected.get(label, checksum) == checksum for label, checksum in used.items())


def changes(recipes: Sequence[Recipe], registered: Checksums) -> list[str]:
    """Return, for each dataset whose images are not known to be the registered ones, what has changed.

    Nothing is decoded: a dataset whose files were modified is reported, whether or not its images differ.
    """
    found, present, wanted = [], known(recipes), user_datasets(recipes)
    for name, size in wanted:
        expected, now = registered.get(_label(name, size)), present.get(_label(name, size))
        if expected and now and now != expected:
            found.append(f"{name}: its images have changed")
        elif expected and now is None and _was_decoded(name, size):
            found.append(f"{name}: its files were modified")
    return found


def _was_decoded(name: str, size: int) -> bool:
    """Whether this host has the dataset, and has decoded an earlier state of it."""
    try:
        return data.is_prepared(name, size)
    except UserError:
        return False


def refusal(recipe: Recipe, registered: Checksums) -> str:
    """Return why a recipe must not be computed on this host, in one line; empty if its images are the registered ones.

    Raises:
        UserError: images are missing or cannot be read.
    """
    for name, size in user_datasets([recipe]):
        expected = registered.get(_label(name, size))
        if expected and (own := data.checksum(name, size)) != expected:
            return (
                f"{name}: the images on {socket.gethostname()} are not those of the registered sweep (checksum "
                f"{own[:8]}, registered {expected[:8]}); {_advice(name)}"
            )
    return ""


def _advice(name: str) -> str:
    """What to do about images that differ between two hosts."""
    if TABLE.code(name):
        check = f"from ddsweep.testing import check_dataset; check_dataset({name!r})"
        return f'its function must return the same images on every host; python -c "{check}" tells whether it does'
    return "make the folders equal, or launch the sweep again from here"


def _label(name: str, size: int) -> str:
    return f"{name}@{size}"

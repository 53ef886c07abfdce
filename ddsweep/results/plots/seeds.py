"""Which seed a picture shows: one for all its entries if possible, and never without saying so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)

NONE_IN_COMMON = "no seed has images for every value"


@dataclass(frozen=True)
class Seeds(Generic[Place]):
    """The seed that is shown at each place of a picture.

    Attributes:
        shown: the seed by place; places without images are not in it.
    """

    shown: Mapping[Place, int]

    @classmethod
    def of(cls, available: Mapping[Place, Collection[int]]) -> Seeds[Place]:
        """Choose the lowest seed that every place has; if there is none, the lowest of each place.

        Args:
            available: the seeds of which each place has images. A place without any is no part of the picture.
        """
        some = {place: set(seeds) for place, seeds in available.items() if seeds}
        common = set.intersection(*some.values()) if some else set()
        return cls({place: min(common or seeds) for place, seeds in some.items()})

    @property
    def common(self) -> bool:
        """Whether all places show the same seed."""
        return len(set(self.shown.values())) == 1

    @property
    def caption(self) -> str:
        """``seed 0``, or that the places differ; empty for a picture without images."""
        if not self.shown:
            return ""
        return f"seed {next(iter(self.shown.values()))}" if self.common else NONE_IN_COMMON

    def sentence(self, names: Callable[[Place], str]) -> str:
        """``seed 0``; or that the places differ, with the seed of each: ``…: 0, 1 with seed 2; 10 with seed 1``."""
        if self.common or not self.shown:
            return self.caption
        by_seed = {
            seed: [names(place) for place, own in self.shown.items() if own == seed] for seed in self.shown.values()
        }
        return f"{self.caption}: " + "; ".join(f"{', '.join(some)} with seed {seed}" for seed, some in by_seed.items())

    def note(self, place: Place) -> str:
        """The seed of a place, ``seed 3``, if the caption does not say it."""
        return "" if self.common else f"seed {self.shown[place]}"

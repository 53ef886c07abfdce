"""The evaluation rules by name: the numbers that a recipe needs, without importing torch (``evaluate.named``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleInfo:
    """The defaults of an evaluation rule.

    Attributes:
        epochs: epochs on the synthetic set; 0: they depend on the network.
        batch: images per step.
        lr: initial learning rate; 0: the learned rate of the synthetic set.
        without: the operations of a strategy that the rule leaves out.
        counts: which test accuracy counts, as a phrase.
    """

    epochs: int = 1000
    batch: int = 256
    lr: float = 0.01
    without: tuple[str, ...] = ()
    counts: str = "last epoch"

    def strategy(self, strategy: str) -> str:
        """The operations of a strategy that the rule uses, or ``none``."""
        return "_".join(name for name in strategy.split("_") if name not in self.without) or "none"


OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")
"""What an augmentation strategy may name, joined by ``_``."""
_IDC = RuleInfo(batch=64, without=("cutout",), counts="best of 4 tests")  # CutMix takes the place of cutout
RULES: dict[str, RuleInfo] = {
    "paper": RuleInfo(),
    "best": RuleInfo(counts="best of 20 tests"),
    "evaluate_synset": RuleInfo(),
    "plain300": RuleInfo(epochs=300, without=OPERATIONS),
    "dc": RuleInfo(epochs=0, without=OPERATIONS),
    "idc": _IDC,
    "dream": _IDC,
    "tm": RuleInfo(lr=0.0),
    "dim": RuleInfo(batch=64, without=("cutout", "flip", "scale", "rotate"), counts="best of 5 tests"),
}

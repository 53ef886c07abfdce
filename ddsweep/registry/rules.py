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
        kept: the operations of a strategy that the rule uses; None: all of them.
        counts: which test accuracy counts, as a phrase.
    """

    epochs: int = 1000
    batch: int = 256
    lr: float = 0.01
    kept: tuple[str, ...] | None = None
    counts: str = "last epoch"

    def strategy(self, strategy: str) -> str:
        """The operations of a strategy that the rule uses, or ``none``."""
        if self.kept is None:
            return strategy
        return "_".join(name for name in strategy.split("_") if name in self.kept) or "none"


_IDC = RuleInfo(batch=64, kept=("color", "crop", "flip", "scale", "rotate"), counts="best of 4 tests")
RULES: dict[str, RuleInfo] = {
    "paper": RuleInfo(),
    "best": RuleInfo(counts="best of 20 tests"),
    "evaluate_synset": RuleInfo(),
    "plain300": RuleInfo(epochs=300, kept=()),
    "dc": RuleInfo(epochs=0, kept=()),
    "idc": _IDC,
    "dream": _IDC,
    "tm": RuleInfo(lr=0.0),
    "dim": RuleInfo(batch=64, kept=("color", "crop"), counts="best of 5 tests"),
}

"""Evaluate a synthetic set from any source as a trial evaluates its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.errors import UserError, closest
from ddsweep.registry.rules import RULES

if TYPE_CHECKING:
    from ddsweep.data import Dataset
    from ddsweep.distill.synthetic import Synthetic
    from ddsweep.evaluate import Evaluation, Rule
    from ddsweep.exchange import Facts, ImageSet
    from ddsweep.exchange.prepare import Choices, Prepared
    from ddsweep.exchange.robustness import Score
    from ddsweep.recipe import Recipe
    from ddsweep.trackers import Tracker

PTM = ("width", "ptm_train_epochs")
FIELDS = ("eval_epochs", "eval_batch", "eval_lr", "eval_strategy", "width", "precision", "ptm_train_epochs")
"""Recipe fields that a user may set for an evaluation, besides those that have an option of their own."""
OF_RULE = ("eval_epochs", "eval_batch", "eval_lr", "eval_strategy")
"""Those for which a rule has its own values."""
KEPT = ("eval_rule", "eval_archs", "eval_nets", *FIELDS[:-1], "seed")
"""Recipe fields that determine how a trial evaluates its own set."""


@dataclass(frozen=True)
class Judged:
    """The evaluation of a set with networks of one architecture.

    Attributes:
        arch: the architecture.
        rule: how they were trained.
        evaluation: their accuracies.
        score: the label-robust score (LRS), if it was requested.
    """

    arch: str
    rule: Rule
    evaluation: Evaluation
    score: Score | None

    def record(self) -> dict[str, Any]:
        """Return the values as JSON; accuracies and the score are fractions."""
        found = self.evaluation
        scored = asdict(self.score) | {"value": self.score.value} if self.score else None
        numbers = {"accuracy": found.mean, "accuracy_std": found.std, **asdict(found)}
        return {"arch": self.arch, **numbers, "rule": asdict(self.rule), "lrs": scored}


@dataclass(frozen=True)
class Job:
    """A requested evaluation.

    Attributes:
        dataset: the dataset with the test images.
        choices: fields of a recipe: those of its evaluation, and its seed.
        device: the device.
        scored: whether to compute the label-robust score, too.
    """

    dataset: str
    choices: Mapping[str, Any]
    device: str
    scored: bool

    def recipe(self, size: int, ipc: int = 1) -> Recipe:
        """Return a recipe with this evaluation. Raises UserError: an invalid choice."""
        from ddsweep import data
        from ddsweep.recipe import make

        own = {name: value for name, value in self.choices.items() if name != "ptm_train_epochs"}
        arch = str(own.get("eval_archs", "convnet3")).partition("+")[0]
        most = data.info(self.dataset).smallest_class  # an upper bound of ``ipc``; a file may have more
        return make({"target": self.dataset, "size": size, "ipc": min(ipc, most), "alpha": 0, "arch": arch, **own})

    def prepare(self, found: ImageSet, path: Path, choices: Choices) -> tuple[Prepared, Dataset]:
        """Load the dataset at the size of the set; return both, normalized alike. Raises UserError: see ``prepare``."""
        from ddsweep import data
        from ddsweep.exchange import prepare, space

        size = found.images.shape[-1]
        self.recipe(size)  # reports a mistake before a dataset is downloaded
        dataset = data.load(self.dataset, size, self.device, space.is_whitened(found.facts, choices.space))
        return prepare.prepare(found, dataset, path, choices), dataset

    def judge(self, synthetic: Synthetic, dataset: Dataset, tracker: Tracker) -> list[Judged]:
        """Train and test networks of every architecture, with the random generator of a trial with this seed."""
        from ddsweep import flops, rng, trial
        from ddsweep.evaluate import at_rate, evaluate
        from ddsweep.numerics import Choice

        recipe = self.recipe(dataset.size, synthetic.ipc)
        choice = Choice(recipe.precision, self.device)
        choice.set_up()
        generator, judged = rng.Streams(recipe.seed).evaluation, []
        for arch in recipe.eval_archs.split("+"):
            rule = at_rate(trial.rule_for(recipe, arch), synthetic.lr)
            train = partial(
                evaluate,
                dataset=dataset,
                arch=arch,
                n=recipe.eval_nets,
                width=recipe.width,
                progress=partial(tracker.progress, f"evaluate {arch}"),
                numerics=choice.of(flops.evaluation(recipe, arch, rule, dataset)),
            )
            found = train(synthetic, generator=generator, rule=rule)
            score = self._score(train, found.mean, recipe, tracker) if self.scored else None
            judged.append(Judged(arch, rule, found, score))
        return judged

    def _score(self, train: partial[Evaluation], accuracy: float, recipe: Recipe, tracker: Tracker) -> Score:
        """Compare with random real images, and with all of them; for the latter, the pool of PTMs is used."""
        from ddsweep import rng, trial
        from ddsweep.exchange import robustness
        from ddsweep.pretrained import inventory, spec, training

        arch, dataset = train.keywords["arch"], train.keywords["dataset"]
        own, progress = rng.generator(recipe.seed, "lrs", arch), partial(tracker.progress, f"all images {arch}")
        random = robustness.random_subset(dataset, recipe.ipc, trial.rule_for(recipe, arch), own, train)
        chosen = {name: self.choices[name] for name in PTM if name in self.choices}
        needs = spec.ahead(self.dataset, {"ptm_archs": arch, "size": dataset.size, **chosen}, [])
        ((ptm, wanted),) = needs.items()
        training.ensure(ptm, wanted, dataset, progress)
        full = inventory.read(ptm.folder).accuracy[max(wanted)]
        assert full is not None  # it was trained, or verified, just now
        return robustness.Score(accuracy, random, full)


def checked(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices of a user. Raises UserError: one is not among ``FIELDS``."""
    for name in choices:
        if name not in FIELDS:
            raise UserError(f"{name}: not a setting of an evaluation; {closest(name, FIELDS)}")
    return dict(choices)


def choices_of(facts: Facts, dataset: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices for an evaluation: those that were asked for, and for a set of ddsweep those of its trial.

    A rule other than the trial's brings its own numbers. If the rule trains at the learned rate of the set, the choices
    have that rate.

    Args:
        facts: about the set.
        dataset: the dataset that was asked for; another one than the set's leaves out the choices of its trial.
        asked: what was asked for.

    Raises:
        UserError: an unknown dataset.
    """
    from ddsweep import data

    own = facts.recipe if dataset is None or data.info(dataset).name == facts.dataset else {}
    other_rule = "eval_rule" in asked and asked["eval_rule"] != own.get("eval_rule")
    kept = (name for name in KEPT if name in own and not (other_rule and name in OF_RULE))
    choices = {name: own[name] for name in kept} | dict(asked)
    info = RULES.get(choices.get("eval_rule", "paper"))
    if info and facts.lr is not None and not choices.get("eval_lr", info.lr):
        choices["eval_lr"] = facts.lr
    return choices

"""Defaults that depend on other choices, and the neutral values of choices that have no effect."""

from __future__ import annotations

from typing import Any

from ddsweep import data
from ddsweep.errors import UserError
from ddsweep.recipe import parts, spelling
from ddsweep.registry import bias, datasets, options, ptms
from ddsweep.registry.datasets import DatasetInfo
from ddsweep.registry.guidance import GUIDANCE, NONE, Guidance
from ddsweep.registry.methods import METHODS, TAKEN
from ddsweep.registry.networks import TABLE, join
from ddsweep.registry.rules import RULES

TRAINING = ("ptm_epoch", "ptm_train_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch")
PTM_TEXTS = ("guidance_options", "source", "ptm_archs", "alpha_by_arch")
NEUTRAL: dict[str, Any] = (
    {"regularizer": NONE, "alpha": 0.0, "n_models": 0, "cclom_batch": 0, "ptm_statistics": "target"}
    | dict.fromkeys(PTM_TEXTS, "")
    | dict.fromkeys(TRAINING, 0)
)


def resolve(given: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults that depend on other fields, and neutralize choices that have no effect.

    Values of the wrong type are left to the type check that follows; only values that the defaults need are checked.

    Raises:
        UserError: a dataset, source, method or option is unknown, a plugin is not available, or ``alpha_by_arch``
            cannot be parsed.
    """
    chosen = {"target": "cifar10", "method": "dm", "arch": "convnet3", "ipc": 50, **given}
    if not all(isinstance(chosen[field], kind) for field, kind in (("target", str), ("ipc", int), ("method", str))):
        return chosen
    parts.check(chosen.get("plugins"))
    row, method = _target(chosen), METHODS.take(chosen["method"], "method")
    defaults: dict[str, Any] = {
        "size": row.size,
        "dsa_strategy": row.strategy,
        "eval_archs": chosen["arch"],
        "eval_strategy": row.strategy,
    }
    by_method = (
        (field, method.default(field, chosen["target"], chosen["ipc"]))
        for field in (*TAKEN, "init", "iterations", "lr_img")
    )
    defaults |= {field: value for field, value in by_method if value is not None}
    if method.lr_by_size and isinstance(size := chosen.get("size", row.size), int):
        defaults["lr_img"] *= (size / 32) ** 2
    chosen = defaults | chosen | method.neutral
    if chosen["factor"] == 1 and chosen["init"] == "mix":  # one image per grid
        chosen["init"] = "first"
    if isinstance(chosen.get("options", ""), str):  # options of another method of the sweep have no effect
        text = chosen.get("options", "") if method.options else ""
        chosen["options"] = options.spell(options.parse(text, method.options))
    for field in ("ptm_archs", "eval_archs", "match_archs"):
        chosen[field] = _canonical_archs(chosen.get(field))
    chosen = _resolve_guidance(_resolve_evaluation(chosen))
    if chosen.get("gan_width") == chosen.get("width", 128):
        chosen["gan_width"] = 0
    chosen["plugins"] = parts.pinned(chosen)
    return {name: value for name, value in chosen.items() if value is not None}


def _target(chosen: dict[str, Any]) -> DatasetInfo:
    """Return the row of the target, whose name becomes canonical.

    The share and severity in the name of a biased dataset become fields of the recipe.

    Raises:
        UserError: unknown dataset; a field of biased datasets is out of range, contradicts the name, or is set for
            another dataset.
    """
    spec = chosen["target"]
    given = {name: chosen[name] for name in bias.FIELDS if name in chosen}
    if data.is_biased(spec):
        row = datasets.with_fields(spec, given)
        assert row.bias is not None
        chosen |= {"target": spec.partition(":")[0], "align": row.bias.align, "severity": row.bias.severity}
        return row
    row = data.facts(spec)
    if name := next((name for name, value in given.items() if value), None):
        biased = ", ".join(datasets.biased_names())
        raise UserError(f"{name}: {given[name]} is set, but {spec} is not biased (biased datasets: {biased})")
    chosen["target"] = row.name
    return row


def _canonical_archs(value: Any) -> Any:
    if not isinstance(value, str) or not value:  # an empty text is the neutral value, and loads no plugin
        return value
    names = value.split("+")
    return join(names) if all(part in TABLE for part in names) else value


def _resolve_evaluation(chosen: dict[str, Any]) -> dict[str, Any]:
    """Set the numbers of the rule, leave out operations that it does not use, and merge two names of the same rule."""
    rule, strategy = chosen.get("eval_rule", METHODS[chosen["method"]].eval_rule), chosen["eval_strategy"]
    info = RULES.get(rule, RULES["paper"]) if isinstance(rule, str) else RULES["paper"]  # the checks report it
    if isinstance(strategy, str):
        strategy = info.strategy(strategy)
    if rule == "evaluate_synset" and strategy == "none":
        rule, info = "plain300", RULES["plain300"]
    numbers = {"eval_epochs": info.epochs, "eval_batch": info.batch, "eval_lr": float(info.lr)}
    return numbers | chosen | {"eval_rule": rule, "eval_strategy": strategy} | info.unused


def _resolve_guidance(chosen: dict[str, Any]) -> dict[str, Any]:
    source = spelling.canonical_source(chosen.get("source"), datasets.full_name(chosen["target"], chosen))
    by_arch = spelling.parse_alphas(chosen.get("alpha_by_arch"))
    defaulted = chosen.keys().isdisjoint(("alpha", "alpha_by_arch"))
    # α = 0 and regularizer = none are equivalent: the baseline
    if chosen.get("regularizer") == NONE or (chosen.get("alpha") == 0 and not isinstance(chosen["alpha"], bool)):
        return chosen | NEUTRAL
    foundation = ptms.find(source)
    within = source == "target" or (foundation is not None and foundation.classifies(chosen["target"]))
    regularizer = chosen.get("regularizer", "clom" if within else "cclom")
    if not isinstance(regularizer, str):
        return chosen
    guidance = GUIDANCE.take(regularizer, "regularizer", also=[NONE])
    epochs = chosen.get("ptm_train_epochs") or 150
    defaults = {
        "regularizer": regularizer,
        "alpha": _alpha(guidance, chosen),
        "ptm_archs": foundation.name if foundation else chosen["arch"],
        "n_models": 1,
        "ptm_train_epochs": epochs,
        "ptm_epoch": epochs,
        "ptm_lr": 0.01,
        "ptm_weight_decay": 0.005,
        "ptm_batch": 256,
        "ptm_statistics": "target",
        "cclom_batch": 8196,
    }
    chosen = defaults | {name: value for name, value in chosen.items() if value is not None} | {"source": source}
    if isinstance(chosen.get("guidance_options", ""), str):  # those of another guidance of the sweep have no effect
        text = chosen.get("guidance_options", "") if guidance.options else ""
        chosen["guidance_options"] = options.spell(options.parse(text, guidance.options, "guidance_options"))
    if foundation:  # as it is: one model, trained once, with its own preprocessing
        chosen |= dict.fromkeys(TRAINING, 0) | {"n_models": 1, "ptm_statistics": "source"}
    if source == "target" and chosen["ptm_statistics"] == "source":  # they are the same
        chosen["ptm_statistics"] = "target"
    if not guidance.real:
        chosen["cclom_batch"] = 0
    if guidance.published and defaulted and "+" in str(chosen["ptm_archs"]):
        by_arch = spelling.parse_alphas(_published("alpha_by_arch", chosen))
    return _resolve_alphas(chosen, by_arch) if isinstance(chosen["ptm_archs"], str) else chosen


def _alpha(guidance: Guidance, chosen: dict[str, Any]) -> Any:
    """The default of α; None if there is none, and the recipe has to set it."""
    return (
        _published("alpha", chosen) if guidance.published else guidance.default_alpha(chosen["target"], chosen["ipc"])
    )


def _resolve_alphas(chosen: dict[str, Any], by_arch: dict[str, float] | None) -> dict[str, Any]:
    """Keep in ``alpha_by_arch`` only the architectures of the recipe's PTMs, and only values that differ from α."""
    if by_arch is None:
        return {"alpha_by_arch": ""} | chosen
    archs = chosen["ptm_archs"].split("+")
    used = {arch: by_arch[arch] for arch in archs if arch in by_arch}
    if len(used) == len(archs):
        if not any(used.values()):
            return chosen | NEUTRAL
        chosen = chosen | {"alpha": next(alpha for alpha in used.values() if alpha)}  # the given α has no effect
    different = {arch: alpha for arch, alpha in used.items() if alpha != chosen["alpha"]}
    return chosen | {"alpha_by_arch": spelling.spell_alphas(different)}


def _published(field: str, chosen: dict[str, Any]) -> Any:
    """The published weight of CLoM for this method, ipc and dataset, or those of single architectures in a pool."""
    return METHODS[chosen["method"]].default(field, chosen["target"], chosen["ipc"])

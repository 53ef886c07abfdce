"""A sweep drawn at random: its file, the points of a search, and what became of each cell. Plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng

from ddsweep.errors import UserError
from tests.oracle.expected import STATES, Choices, Trial, product, resolve

POOL: dict[str, list[Any]] = {
    "alpha": [0, 0, 1, 100, 5000, 0.1, 0.1 + 0.2, 0.3, 1234567, 1234568, 1234.54935, 1234.5545, 1e-7, 1e-5, 12345678.5],
    "n_models": [1, 2, 4, 10],
    "regularizer": ["none", "clom", "cclom"],
    "ptm_archs": ["convnet3", "vgg11", "alexnet", "convnet3+vgg11", "convnet3+alexnet+vgg11"],
    "ptm_epoch": [1, 4, 20, 150],
    "alpha_by_arch": ["convnet3:10", "convnet3:10+vgg11:0.5", "vgg11:100"],
    "source": ["digits", "shapes", "target"],
    "ipc": [1, 10, 20, 50],
    "method": ["dm", "dc", "dsa"],
    "init": ["noise", "real"],
    "lr_img": [0.1, 1.0, 0.3, 0.1 + 0.2, 5e-05, 10.0],
    "width": [16, 32, 128],
    "target": ["digits", "shapes"],
    "arch": ["convnet3", "convnet2", "vgg11"],
    "eval_archs": ["convnet3", "convnet3+alexnet", "vgg11", "alexnet+vgg11", "convnet3+vgg11"],
    "eval_nets": [1, 2, 3, 5],
    "eval_rule": ["paper", "best", "plain300"],
    "eval_lr": [0.01, 0.02],
    "precision": ["float32", "bf16"],
    "ptm_statistics": ["target", "source"],
    "ptm_lr": [0.01, 0.1],
}
OFTEN = ["alpha", "alpha", "alpha", "n_models", "n_models", "regularizer", "ptm_archs", "ptm_epoch", "source", "ipc"]
RANGES: dict[str, dict[str, Any]] = {
    "alpha": {"distribution": "log_uniform_values", "min": 0.1, "max": 1e7},
    "lr_img": {"distribution": "uniform", "min": 0.01, "max": 10.0},
    "n_models": {"distribution": "int_uniform", "min": 1, "max": 12},
    "ipc": {"distribution": "int_uniform", "min": 1, "max": 50},
}
MOST = 60  # cells


@dataclass(frozen=True)
class Case:
    """One sweep.

    Attributes:
        seed: of the fates of the cells, which depend on nothing else but their keys.
        document: the sweep file.
        points: those that a search has sampled, without seeds.
        again: values of settings in a second launch, which differ from the file's; empty: there is none.
        fates: how often each state occurs.
        resolution: accuracies are multiples of one over this.
    """

    seed: int
    document: dict[str, Any]
    points: list[Choices] = field(default_factory=list)
    again: dict[str, list[Any]] = field(default_factory=dict)
    fates: dict[str, float] = field(default_factory=lambda: {"done": 1.0})
    resolution: int = 360

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        return cls(**json.loads(text))

    @property
    def block(self) -> dict[str, Any]:
        return self.document["x-ddsweep"]

    @property
    def parameters(self) -> dict[str, list[Any]]:
        entries = self.document["parameters"].items()
        return {name: one.get("values") or [one["value"]] for name, one in entries if "min" not in one}

    @property
    def searched(self) -> bool:
        return self.document["method"] != "grid"

    def trials(self) -> list[Trial]:
        """Every cell with its state and accuracies. Raises UserError: one is not a recipe."""
        trials = self.launch(self._of_search() if self.searched else self._of_grid(self.parameters))
        if not self.again:
            return list(trials.values())
        working = any(trial.state == "running" for trial in trials.values())
        second = self.launch(self._of_grid(self.parameters | self.again))
        for key, trial in list(trials.items()):
            if key not in second and (trial.state != "waiting" or working):  # otherwise the second launch withdraws it
                second[key] = trial
        return list(second.values())

    def launch(self, every: list[Choices]) -> dict[str, Trial]:
        """The cells of one launch, by key; no cell is sampled twice."""
        trials: dict[str, Trial] = {}
        for number, one in enumerate(every):
            recipe, key = resolve(one)
            if key not in trials:
                trials[key] = Trial(key, recipe, recipe.model_dump(), [])
            elif self.searched and number >= len(every) - len(self.sampled()):
                continue
            trials[key].choices.append(one)
        for trial in trials.values():
            self._happen(trial)
        return trials

    def _of_grid(self, parameters: dict[str, list[Any]]) -> list[Choices]:
        rules = self.block.get("exclude", [])
        return [one for one in product(parameters) if not any(_matches(one, rule) for rule in rules)]

    def _of_search(self) -> list[Choices]:
        fixed = self.parameters
        pinned = {name: [value] for name, value in self.block.get("baseline", {}).items()}
        baselines = product(fixed | pinned) if pinned else []
        first = {name: values[0] for name, values in fixed.items()}
        return baselines + [first | point for point in self.sampled()]

    def sampled(self) -> list[Choices]:
        """The points of a search, each with every seed."""
        return [point | {"seed": seed} for point in self.points for seed in self.parameters.get("seed", [0])]

    def _happen(self, trial: Trial) -> None:
        rng = default_rng([self.seed, int(trial.key, 16)])
        share = np.array(list(self.fates.values()))
        trial.state = str(rng.choice(list(self.fates), p=share / share.sum()))
        if trial.state != "done":
            return
        # cells that differ only in their seed have a level in common, so that some differences are significant
        alike = json.dumps({**trial.recipe, "seed": 0}).encode()
        level = default_rng([self.seed, *hashlib.blake2b(alike, digest_size=8).digest()]).uniform(0.3, 0.95)
        for arch in trial.recipe["eval_archs"].split("+"):
            noise = rng.normal(0, 0.02) + rng.normal(0, 0.01, trial.recipe["eval_nets"])
            values = np.clip(level + noise, 0, 1)
            trial.accuracies[arch] = [round(value * self.resolution) / self.resolution for value in values.tolist()]


def _matches(choices: Choices, rule: Any) -> bool:
    if isinstance(rule, str):
        return bool(eval(rule, {"__builtins__": {}}, dict(choices)))
    return all(name in choices and choices[name] == value for name, value in rule.items())


def draw(seed: int) -> Case:
    """The case of a seed: a valid sweep of at most ``MOST`` cells."""
    rng = default_rng(seed)
    while True:
        case = _draw(rng, seed)
        try:
            trials = case.trials()
        except UserError:
            continue
        launches = [case.parameters, case.parameters | case.again] if case.again else [case.parameters]
        if 1 <= len(trials) <= MOST and all(_accepted(case, parameters) for parameters in launches):
            return case


def _accepted(case: Case, parameters: dict[str, list[Any]]) -> bool:
    """Whether the product takes a launch: a value or a baseline that is part of no cell is refused."""
    if case.searched:  # with a single point, it would be a grid
        others = [one for name, one in case.document["parameters"].items() if name != "seed"]
        return any("min" in one or len(one.get("values", [])) > 1 for one in others)
    every, baseline = case._of_grid(parameters), case.block.get("baseline", {})
    used = all(any(one[name] == value for one in every) for name, values in parameters.items() for value in values)
    return used and (not baseline or any(_is_baseline(one, baseline) for one in case.launch(every).values()))


def _is_baseline(trial: Trial, baseline: Choices) -> bool:
    return all(
        trial.recipe[name] == value
        or (
            isinstance(value, str)
            and name != "regularizer"
            and trial.recipe[name]
            and _key(trial.recipe | {name: value}) == trial.key
        )
        for name, value in baseline.items()
    )


def _key(choices: Choices) -> str:
    try:
        return resolve(choices)[1]
    except UserError:
        return ""


def _draw(rng: Generator, seed: int) -> Case:
    searched = rng.random() < 0.25
    names = _names(rng)
    entries: dict[str, Any] = {"target": {"value": "digits"}, "ipc": {"value": 10}, "eval_nets": {"value": 3}}
    ranged = [name for name in names if name in RANGES and searched][: int(rng.integers(1, 3))]
    for name in names:
        entries[name] = RANGES[name] if name in ranged else {"values": _values(rng, name)}
    if rng.random() < 0.5:
        _fix(rng, entries)
    if rng.random() < 0.75:
        entries["seed"] = {"values": list(range(int(rng.choice([2, 3, 4, 6, 7, 8, 12, 21]))))}
    order = list(entries)
    rng.shuffle(order)
    entries = {name: entries[name] for name in order}
    varied = [name for name in names if name in entries]
    axis = varied[: 1 + int(rng.random() < 0.25)]
    block: dict[str, Any] = {"title": "Which is best?", "axis": axis}
    if baseline := _baseline(rng, entries, varied, axis):
        block["baseline"] = baseline
    if not searched and rng.random() < 0.25:
        block["exclude"] = _rules(rng, entries, varied)
    document: dict[str, Any] = {"method": "random" if searched else "grid", "parameters": entries, "x-ddsweep": block}
    points = []
    if searched:
        points = [_point(rng, entries) for _ in range(int(rng.integers(1, 8)))]
        document["run_cap"] = len(points) + int(rng.integers(0, 3))
    again = {} if searched or rng.random() < 0.7 else _again(rng, entries, [*varied, "seed"])
    return Case(seed, document, points, again, _fates(rng), int(rng.choice([200, 360, 2000, 10**6])))


def _names(rng: Generator) -> list[str]:
    """The settings that vary, the axis first."""
    pool = [*OFTEN, *POOL]
    return list(dict.fromkeys(str(name) for name in rng.choice(pool, int(rng.integers(1, 5)))))


def _values(rng: Generator, name: str) -> list[Any]:
    distinct = list(dict.fromkeys(POOL[name]))
    count = min(len(distinct), int(rng.choice([1, 2, 2, 2, 3, 3, 4])))
    chosen = list(rng.permutation(len(distinct))[:count])
    if name == "alpha" and rng.random() < 0.3:  # two that print alike
        start = int(rng.choice([distinct.index(1234567), distinct.index(1234.54935), distinct.index(0.1 + 0.2)]))
        chosen = list(dict.fromkeys([start, start + 1, *chosen]))[:4]
    return [distinct[index] for index in chosen]


def _fix(rng: Generator, entries: dict[str, Any]) -> None:
    for name in rng.choice(list(POOL), 2):
        entries.setdefault(str(name), {"value": POOL[str(name)][int(rng.integers(len(POOL[str(name)])))]})


def _baseline(rng: Generator, entries: dict[str, Any], varied: list[str], axis: list[str]) -> Choices:
    kind = rng.random()
    if kind < 0.1:
        return {}
    listed = {name: entries[name]["values"] for name in varied if "values" in entries[name]}
    if kind < 0.45 and "alpha" in entries:
        return {"alpha": 0}
    if kind < 0.55 and "regularizer" in listed:
        return {"regularizer": "none"}
    several = list(rng.permutation(list(listed)))[: int(rng.choice([1, 1, 1, 2]))]
    return {str(name): listed[name][int(rng.integers(len(listed[name])))] for name in several}


def _rules(rng: Generator, entries: dict[str, Any], varied: list[str]) -> list[Any]:
    names = [name for name in (*varied, "seed") if "values" in entries.get(name, {})]
    rules: list[Any] = []
    for _ in range(int(rng.integers(1, 3))):
        chosen = [str(name) for name in rng.permutation(names)[: int(rng.integers(1, 3))]]
        rule = {name: entries[name]["values"][int(rng.integers(len(entries[name]["values"])))] for name in chosen}
        as_text = rng.random() < 0.5
        rules.append(" and ".join(f"{name} == {value!r}" for name, value in rule.items()) if as_text else rule)
    return rules


def _again(rng: Generator, entries: dict[str, Any], names: list[str]) -> dict[str, list[Any]]:
    """Other values of one or two settings that vary: fewer, more, or others."""
    found: dict[str, list[Any]] = {}
    for name in rng.permutation([one for one in names if len(entries.get(one, {}).get("values", [])) > 1])[:2]:
        if name == "seed":
            found["seed"] = list(range(int(rng.integers(0, 3)), int(rng.integers(4, 9))))
        else:
            found[str(name)] = _values(rng, str(name))
    return found


def _point(rng: Generator, entries: dict[str, Any]) -> Choices:
    point: Choices = {}
    for name, one in entries.items():
        if "min" in one:
            low, high = one["min"], one["max"]
            if one["distribution"] == "int_uniform":
                point[name] = int(rng.integers(low, high + 1))
            else:
                log = one["distribution"] == "log_uniform_values"
                value = np.exp(rng.uniform(np.log(low), np.log(high))) if log else rng.uniform(low, high)
                # four digits as the sampler, or close to another point that an earlier version sampled
                point[name] = float(f"{value:.4g}") if rng.random() < 0.8 else float(f"{value:.10g}")
        elif name != "seed" and len(one.get("values", [])) > 1:
            point[name] = one["values"][int(rng.integers(len(one["values"])))]
    return point


def _fates(rng: Generator) -> dict[str, float]:
    if rng.random() < 0.4:
        return {"done": 1.0}
    others = [state for state in STATES if state != "done"]
    chosen = [str(state) for state in rng.permutation(others)[: int(rng.integers(1, 4))]]
    rest = float(rng.choice([0.1, 0.3, 0.6, 0.95]))
    return {"done": 1 - rest} | {("diverged" if state == "failed" and rng.random() < 0.5 else state): rest / len(chosen)
                                 for state in chosen}  # fmt: skip


def smaller(case: Case) -> list[Case]:
    """Cases with one thing less, to find the smallest that fails."""
    found = []

    def changed(**changes: Any) -> Case:
        return replace(case, document={**case.document, **changes})

    entries = case.document["parameters"]
    for name, entry in entries.items():
        rest = {other: one for other, one in entries.items() if other != name}
        if name not in case.block["axis"]:
            points = [{field: value for field, value in point.items() if field != name} for point in case.points]
            found.append(replace(changed(parameters=rest), points=points))
        values = entry.get("values", [])
        if len(values) > 1:
            for index in range(len(values)):
                if any(point.get(name) == values[index] for point in case.points):
                    continue
                kept = values[:index] + values[index + 1 :]
                found.append(changed(parameters=entries | {name: {"values": kept}}))
    for key in ("exclude", "baseline"):
        if key in case.block:
            found.append(changed(**{"x-ddsweep": {name: one for name, one in case.block.items() if name != key}}))
    for name in case.block["axis"]:
        if len(case.block["axis"]) > 1:
            axis = [one for one in case.block["axis"] if one != name]
            found.append(changed(**{"x-ddsweep": case.block | {"axis": axis}}))
    found += [replace(case, again={one: case.again[one] for one in case.again if one != name}) for name in case.again]
    found += [replace(case, points=case.points[:i] + case.points[i + 1 :]) for i in range(len(case.points))]
    if len(case.fates) > 1:
        found += [replace(case, fates={name: one for name, one in case.fates.items() if name != state})
                  for state in case.fates]  # fmt: skip
    return found

"""The same command on smaller numbers: what a page shows at the paper's scale runs here in a second, on a CPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ddsweep.settings import scalar
from ddsweep.sweep.loading import Values
from ddsweep.sweep.registry import find, has_file
from ddsweep.sweep.yaml_file import read
from tests.cli.conftest import TINY, write_profile

ON_A_CPU = ["--device=cpu"]
HERE = ["--workers=0", *ON_A_CPU]
# what is added behind the words of a command; of a setting, the last value is kept
ADDED: dict[str, list[str]] = {
    "launch": HERE,
    "estimate": [*HERE, "--seconds=0.01"],
    "agents": HERE,
    "run": ON_A_CPU,
    "pretrain": ["--width=4", *ON_A_CPU],
    "evaluate": ["--nets=1", "--set=eval_epochs=2", "--set=width=4", *ON_A_CPU],
}
OF_MACHINES = {"--gpus", "--per-gpu", "--workers", "--device", "-d", "-w"}  # and the word behind them
NAMED = re.compile(r"^(ablation-[a-z-]+|tableA?\d|figureA?\d|search-[a-z-]+|\w+\.yaml)$")
DOWNLOADED = {"cifar10": "digits", "cifar100": "shapes"}
MADE = re.compile(r"\b(cmnist|ccifar10)(-dd)?\b")  # from images that are downloaded; cdigits from bundled ones
TAKE_A_SWEEP = {
    "show", "estimate", "launch", "status", "agents", "stop", "results", "plot", "report", "run", "export", "agent",
}  # fmt: skip
CHEAP = dict(setting.split("=") for setting in TINY) | {"iterations": "2"}
SEEDS = "0,1"  # of more than two
OF_METHODS = [
    "outer_loops=1", "inner_epochs=1", "net_images=32", "gan_epochs=2", "gan_batch=128", "syn_steps=2", "n_experts=2",
    "expert_train_epochs=3", "expert_epochs=1", "max_start_epoch=1",
]  # fmt: skip


def profile() -> None:
    """Write the profile with tiny networks into this folder; two values of α and of the epoch are enough."""
    write_profile(*TINY, *OF_METHODS, alpha=[0, 100], ptm_epoch=[1, 2])


def demo(shipped: Callable[..., Values]) -> Callable[..., Values]:
    """What a sweep file has for the demo instead of the profile, without what only makes a cell longer."""

    def overrides(*arguments: Any) -> Values:
        return {
            name: (scalar(CHEAP[name]),) if name in CHEAP else values for name, values in shipped(*arguments).items()
        }

    return overrides


def smaller(words: list[str]) -> list[str]:
    """``ddsweep WORDS`` as it is run here: at the demo's scale, with tiny networks, on no GPU, downloading nothing."""
    verb, rest = words[0], _without_machines(words[1:])
    rest = [MADE.sub("cdigits", re.sub(r"@(paper|quick)\b", "@demo", word)) for word in rest]
    if verb in TAKE_A_SWEEP:
        rest = _at_demo(rest)
    if verb == "data":
        if "--from" in rest and any(word.startswith("cdigits") for word in rest):  # it takes no files
            at = rest.index("--from")
            del rest[at : at + 2]
        return [verb, *(DOWNLOADED.get(word, word) for word in rest)]
    added = ADDED.get(verb, [])
    if any(word.startswith("--slurm") for word in rest):
        added = ["--dry-run"] if "--dry-run" not in rest else []
    if verb in ("launch", "estimate", "show", "run"):
        added = [*added, *_cheaper(verb, rest)]
    return [verb, *last_of_each([*rest, *added])]


def _cheaper(verb: str, words: list[str]) -> list[str]:
    """Settings of a page that only make a cell longer, with the values of the profile; and two seeds of many."""
    named = (re.fullmatch(r"(?:--set=)?([a-z_]+)=(.*)", word) for word in words)
    values = _seeds_of_the_file(words) | {match[1]: match[2].split(",") for match in named if match}
    less = {name: CHEAP[name] for name in values if name in CHEAP}
    if len(values.get("ptm_epoch", [])) > 1:
        less["ptm_epoch"] = "1,2"
    if len(values.get("seed", [])) > 2:
        less["seed"] = SEEDS
    pairs = [f"{name}={value}" for name, value in less.items()]
    return pairs if verb == "run" else [f"--set={pair}" for pair in pairs]


def _seeds_of_the_file(words: list[str]) -> dict[str, list[Any]]:
    name = words[0].partition("@")[0]
    parameters = read(find(name))["parameters"] if has_file(name) else {}
    return {"seed": parameters["seed"].get("values", [])} if "seed" in parameters else {}


def last_of_each(words: list[str]) -> list[str]:
    """The words, with the last value of every setting: ``--set`` takes each only once."""
    kept: list[str] = []
    places: dict[str, int] = {}
    index = 0
    while index < len(words):
        pair = words[index : index + 2] if words[index] in ("--set", "-s") else words[index : index + 1]
        index += len(pair)
        found = re.fullmatch(r"(?:--set=)?([a-z_]+)=.*", pair[-1], re.DOTALL)
        if found and (len(pair) == 2 or pair[0].startswith("--set=") or not pair[0].startswith("-")):
            if (place := places.get(found[1])) is not None:
                kept[place] = ""
                if place and kept[place - 1] in ("--set", "-s"):
                    kept[place - 1] = ""
            places[found[1]] = len(kept) + len(pair) - 1
        kept += pair
    return [word for word in kept if word]


def _without_machines(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        name, joined, _ = word.partition("=")
        if skip or name in OF_MACHINES:
            skip = not skip and not joined
            continue
        kept.append(word)
    return kept


def _at_demo(words: list[str]) -> list[str]:
    """A sweep that is named without a scale, or with another, is that of the demo."""
    if "--profile" in words:
        at = words.index("--profile") + 1
        return [*words[:at], "demo", *words[at + 1 :]]
    if any("@" in word for word in words) or "-p" in words:
        return words
    return [f"{word}@demo" if NAMED.match(word) and not word.endswith(".yaml") else word for word in words] + (
        ["--profile=demo"] if any(word.endswith(".yaml") for word in words) else []
    )

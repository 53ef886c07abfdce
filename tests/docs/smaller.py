"""The same command on smaller numbers: what a page shows at the paper's scale runs here in a second, on a CPU."""

from __future__ import annotations

import re

from tests.cli.conftest import TINY

ON_A_CPU = ["--device=cpu"]
HERE = ["--workers=0", *ON_A_CPU]
CHOSEN = [f"--set={setting}" for setting in TINY]
# what is added behind the words of a command; a later --set wins
ADDED: dict[str, list[str]] = {
    "launch": [*CHOSEN, *HERE],
    "estimate": [*CHOSEN, *HERE, "--seconds=0.01"],
    "agents": HERE,
    "run": [*TINY, *ON_A_CPU],
    "pretrain": ["--width=4", *ON_A_CPU],
    "evaluate": ["--nets=1", "--set=eval_epochs=2", "--set=width=4", *ON_A_CPU],
}
OF_MACHINES = {"--gpus", "--per-gpu", "--workers", "--device", "-d", "-w"}  # and the word behind them
NAMED = re.compile(r"^(ablation-[a-z-]+|table\d|figureA?\d|search-[a-z-]+|\w+\.yaml)$")
DOWNLOADED = {"cifar10": "digits", "cifar100": "shapes"}
TAKE_A_SWEEP = {
    "show", "estimate", "launch", "status", "agents", "stop", "results", "plot", "report", "run", "export", "agent",
}  # fmt: skip


def smaller(words: list[str]) -> list[str]:
    """``ddsweep WORDS`` as it is run here: at the demo's scale, with tiny networks, on no GPU, downloading nothing."""
    verb, rest = words[0], _without_machines(words[1:])
    rest = [re.sub(r"@(paper|quick)\b", "@demo", word) for word in rest]
    if verb in TAKE_A_SWEEP:
        rest = _at_demo(rest)
    if verb == "data":
        return [verb, *(DOWNLOADED.get(word, word) for word in rest)]
    added = ADDED.get(verb, [])
    if any(word.startswith("--slurm") for word in rest):
        added = [*CHOSEN, "--dry-run"] if "--dry-run" not in rest else CHOSEN
    return [verb, *rest, *(one for word in added for one in _added(word, rest))]


def _added(word: str, rest: list[str]) -> list[str]:
    """What an addition becomes beside the page's own words: the epochs of PTMs are often what a command is about."""
    setting, value = word.removeprefix("--set=").partition("=")[::2]
    chosen = {one.partition("=")[0] for one in rest}
    if setting in ("ptm_train_epochs", "ptm_epoch") and chosen & {"ptm_train_epochs", "ptm_epoch"}:
        return [word] if setting == "ptm_train_epochs" and "ptm_train_epochs" not in chosen else []
    if setting == "ptm_epoch" and any("ablation-epoch" in one for one in rest):
        return [word.replace(value, f"1,{value}")]
    if setting == "width" and not chosen & {"alpha"} and any("ablation-alpha" in one for one in rest):
        return [word, "--set=alpha=0,100"]
    return [word]


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

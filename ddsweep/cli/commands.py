"""Every command with its summary and its panel of the help screen; its module is imported when it is first used.

The help screen and shell completion of command names need only this table. Importing the modules of all commands, and
making their options, took two thirds of the time of ``ddsweep --help``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand

# Panels of the help screen, and in each the commands, the most used first.
PANELS = {
    "Run": {
        "launch": "Register a sweep, run it with agents on every GPU (or the CPU), and print its table.",
        "agents": "Start more agents on this machine for a launched sweep; they run until its queue is empty.",
        "stop": "Ask every agent of a sweep, on every host, to finish its cell and stop.",
        "run": "Run one trial of a sweep in this process: `ddsweep run ablation-alpha alpha=100 -p demo`.",
        "estimate": "Measure a few steps on this machine and forecast the whole sweep: hours, disk space, PTMs to "
        "train.",
        "copy": "Copy a sweep file, with its comments, for you to edit: `ddsweep copy ablation-alpha mine.yaml`.",
    },
    "Inspect": {
        "list": "List the sweeps: axis, number of cells, how many are done, and the question that each answers.",
        "show": "Show the cells of a sweep, the PTMs and datasets that they need, and which of these already exist.",
        "status": "Show the progress of launched sweeps: cells, agents, and failures with their reasons.",
        "results": "Print the table of launched sweeps: mean ± std over seeds and networks, with significance tests.",
        "plot": "Draw the figures of a launched sweep from its finished cells, and print their paths.",
        "report": "Write a launched sweep as one HTML file to share: table, plots, images, failures, cost, and "
        "provenance.",
        "dashboard": "Serve the Optuna dashboard on this machine, with studies, notes, image grids, and plots.",
    },
    "Data and PTMs": {
        "pretrain": "Train PTMs or experts for the pool, or download the weights of a published PTM, before a sweep "
        "needs them.",
        "pool": "List PTMs and experts: epochs, accuracy on their source's test set, size, and the sweeps that use "
        "them.",
        "evaluate": "Train networks on any synthetic set and test them: `ddsweep evaluate images_best.pt --dataset "
        "cifar10`.",
        "export": "Write a synthetic set (--to) or a sweep (--wandb) for other programs.",
        "data": "List, fetch, and verify datasets.",
    },
    "W&B": {
        "sync": "Upload W&B runs that were recorded offline or interrupted. Safe to repeat.",
    },
    "Maintenance": {
        "doctor": "Check libraries, GPUs, disks, storage, W&B, and the cache on this machine; each problem has a "
        "suggested fix.",
        "clean": "Show disk usage, or delete cached files and runs.",
        "plugins": "List the plugins on this machine, what they add, and the digest of their code.",
    },
}
HIDDEN = {
    "agent": "Run one agent of a launched sweep: it claims and runs cells until the queue is empty.",  # for launchers
    "trial": "Run one cell of a W&B sweep and log it to W&B. `wandb agent` runs this command; you do not need to.",
}
PANEL = {name: panel for panel, summaries in PANELS.items() for name in summaries}
SUMMARIES = {name: text for some in (*PANELS.values(), HIDDEN) for name, text in some.items()}


class Modules(Mapping[str, Any]):
    """The commands by name. A command is made from its module when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _made(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


def summaries() -> dict[str, Any]:
    """The commands as a list of them shows them: name, panel, and summary, without options."""
    return {
        name: TyperCommand(name, help=text, rich_help_panel=PANEL.get(name), hidden=name in HIDDEN)
        for name, text in SUMMARIES.items()
    }


def _made(name: str) -> Any:
    from ddsweep.cli import register

    module = importlib.import_module(f"ddsweep.cli.{name}")
    group = getattr(module, "group", None)
    if group is None:
        group = typer.Typer(add_completion=False, rich_markup_mode="rich")
        function = getattr(module, name, None) or getattr(module, f"{name}_")
        register.register(group, function, name, PANEL.get(name), hidden=name in HIDDEN)
    command = typer.main.get_command(group)
    command.name, command.rich_help_panel = name, PANEL.get(name)  # type: ignore[attr-defined]
    return command

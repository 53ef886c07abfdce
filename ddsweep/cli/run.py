"""``ddsweep run``: run one trial in this process, without a backend or agents, as a debugger needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from ddsweep.cli import console
from ddsweep.cli.options import (
    RUNS,
    Compile,
    Device,
    Entity,
    Json,
    Name,
    NoCheck,
    Profile,
    Project,
    Runs,
    Settings,
    Storage,
    Track,
    settings,
)
from ddsweep.errors import in_one_line
from ddsweep.percent import mean_std
from ddsweep.text import plural

Choices = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE …", help="Settings that select a single cell, as for --set.")
]


def run(
    name: Name,
    choices: Choices = None,
    set_: Settings = None,
    profile: Profile = None,
    device: Device = "auto",
    runs: Runs = RUNS,
    storage: Storage = None,
    compile_: Compile = "auto",
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute it again if it is from other images, or its files are damaged.")
    ] = False,
    no_check: NoCheck = False,
    track: Track = None,
    project: Project = None,
    entity: Entity = None,
    as_json: Json = False,
) -> None:
    """Run one trial of a sweep in this process: `ddsweep run ablation-alpha alpha=100 -p demo`."""
    from ddsweep import environment

    environment.set_up()
    from dataclasses import asdict
    from statistics import fmean, pstdev

    from ddsweep import device as devices
    from ddsweep import launches, plugin_checks, plugins
    from ddsweep.api import single_recipe
    from ddsweep.checkpoints import Interrupted
    from ddsweep.cli import display, interrupt, progress
    from ddsweep.cli.account import Account
    from ddsweep.recipe import verify
    from ddsweep.results import about
    from ddsweep.results.tables import by_group
    from ddsweep.trackers import FanOut, choice

    plugins.load()
    account = Account(track=tuple(track or ()), project=project or "", entity=entity or "")
    loaded = launches.planned(name, profile, settings([*(choices or []), *(set_ or [])]), runs, storage)
    recipe = single_recipe(loaded)
    verify([recipe])
    if not no_check:
        plugin_checks.run([recipe], console.note)
    device, title = devices.resolve(device)[0], loaded.cell_title(recipe)
    from ddsweep import trial

    account = account.available(console.note)
    further = FanOut(*choice.further(account.track, loaded.full_name, runs.absolute(), account.project, account.entity))
    with interrupt.saving() as checkpoints, progress.one_trial(title, data=as_json) as shown:
        further.describe(recipe, title)
        try:
            result = trial.run(
                recipe, FanOut(shown, further), device, runs, checkpoints=checkpoints, recompute=recompute
            )
        except BaseException as error:
            further.abort("" if isinstance(error, KeyboardInterrupt | Interrupted) else in_one_line(error))
            raise
    if as_json:
        console.write_json({"key": recipe.key(), **asdict(result), "recipe": recipe.model_dump()}, indent=None)
        return
    out = display.stdout()
    if result.accuracy is None:
        out.say(f"{title}: failed: {result.reason}")
        raise typer.Exit(1)
    width = max(map(len, result.accuracies)) + 2 if len(result.accuracies) > 1 else 0  # one needs no name
    for arch, values in result.accuracies.items():
        accuracy = mean_std(fmean(values), pstdev(values))
        out.print(f"accuracy  {arch if width else '':{width}}{accuracy}  ({plural(len(values), 'network')})")
    for arch, groups in result.group_accuracy.items():
        out.print(f"groups    {arch if width else '':{width}}{by_group.sentence(groups)}")
    if said := about.images(recipe, runs / recipe.key()):
        out.print(f"images    {said}")
    out.say(f"files     {runs / recipe.key()}")

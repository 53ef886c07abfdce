"""``ddsweep show``: show what a sweep consists of, before anything runs."""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.options import RUNS, Json, Name, Profile, Runs, Settings, Storage, settings


def show(
    name: Name,
    profile: Profile = None,
    set_: Settings = None,
    runs: Runs = RUNS,
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Show the cells of a sweep, the PTMs and datasets that they need, and which of these already exist."""
    from rich.text import Text

    from ddsweep import launches, overview, sweep, text
    from ddsweep.cli import display

    loaded = launches.shown(name, profile, settings(set_), runs, storage)
    before = launches.registered(loaded, runs, storage)
    view = overview.of(loaded, runs, before)
    if as_json:
        console.write_json(view.as_dict())
        return
    out = display.stdout()
    title = Text(loaded.full_name, "bold")
    out.print(title.append(text.joined(" ", loaded.title, text.plural(loaded.size, "cell"))[1:], "not bold"))
    for line in sweep.remarks(loaded, before):
        out.say(line, fold=True)
    for line in view.earlier_lines():
        out.say(line)
    display.table([*view.cell_rows()], heads=(*loaded.swept, "state", "shared with", "key"))
    out.print()
    for line in view.search_lines():
        out.say(line)
    for line in view.alpha_lines():
        out.say(line, fold=True)
    for line in view.needs_lines():
        out.say(line, fold=True)
    for line in view.common_lines():
        out.say(line, fold=True)
    for line in view.left_out_lines():
        out.say(line)

"""``ddsweep plugins``: whose methods, datasets and networks there are beside ddsweep's own."""

from __future__ import annotations

import json

import typer

from ddsweep.cli.options import Json


def plugins(as_json: Json = False) -> None:
    """The plugins on this host: what they add, and the digest of their source, by which agents know them."""
    from ddsweep.cli import display
    from ddsweep.recipe import parts

    found = parts.plugged()
    if as_json:
        rows = [
            {"name": one.name, "digest": one.digest, "path": str(one.path), "adds": added}
            for one, added in found.items()
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif found:
        rows = [
            {"plugin": one.name, "digest": one.digest, "adds": ", ".join(added), "path": str(one.path)}
            for one, added in found.items()
        ]
        display.table(rows, heads=("PLUGIN", "DIGEST", "ADDS", "PATH"))
    else:
        typer.echo("none; name a file in $DDSWEEP_PLUGINS, or install a package with an entry point ddsweep.plugins")

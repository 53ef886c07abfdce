"""``ddsweep plugins``: list the plugins and the methods, datasets and networks that they add."""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.options import Json


def plugins(as_json: Json = False) -> None:
    """List the plugins on this machine, what they add, and the digest of their source.

    An agent compares the digest with that of the launch, so that all cells run the same code.
    """
    from ddsweep.cli import display
    from ddsweep.recipe import parts

    installed = parts.plugged()
    if as_json:
        rows = [
            {"name": plugin.name, "digest": plugin.digest, "path": str(plugin.path), "adds": added}
            for plugin, added in installed.items()
        ]
        console.write_json(rows)
    elif installed:
        rows = [
            {"plugin": plugin.name, "digest": plugin.digest, "adds": ", ".join(added), "path": str(plugin.path)}
            for plugin, added in installed.items()
        ]
        display.table(rows, heads=("PLUGIN", "DIGEST", "ADDS", "PATH"))
    else:
        console.echo(
            "no plugins; name a file in $DDSWEEP_PLUGINS, or install a package with a ddsweep.plugins entry point"
        )

"""``ddsweep plugins``: list the plugins, what they add, and what their digest covers."""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.options import Json


def plugins(as_json: Json = False) -> None:
    """List the plugins on this machine, what they add, and the digest of their code.

    The digest covers the plugin's modules, the modules of yours that they import, and the files that they declare. An
    agent compares it with that of the launch, so that all cells run the same code.
    """
    from ddsweep import text
    from ddsweep.cli import display
    from ddsweep.recipe import parts

    installed = parts.plugged()
    if as_json:
        rows = [
            {
                "name": plugin.name, "digest": plugin.digest, "path": str(plugin.path), "adds": added,
                "modules": list(plugin.modules), "files": list(plugin.files),
            }
            for plugin, added in installed.items()
        ]  # fmt: skip
        console.write_json(rows)
    elif installed:
        rows = [
            {"plugin": plugin.name, "digest": plugin.digest, "adds": ", ".join(added), "path": str(plugin.path)}
            for plugin, added in installed.items()
        ]
        display.table(rows, heads=("PLUGIN", "DIGEST", "ADDS", "PATH"))
        out = display.stdout()
        for plugin in installed:
            modules = [f"{text.plural(len(plugin.modules), 'module')}: {', '.join(plugin.modules)}"]
            files = [f"{text.plural(len(plugin.files), 'file')}: {', '.join(plugin.files)}"] if plugin.files else []
            out.say(f"{plugin.name}: the digest covers {'; '.join(modules + files)}", fold=True)
    else:
        console.echo(
            "no plugins; name a file in $DDSWEEP_PLUGINS, or install a package with a ddsweep.plugins entry point"
        )

"""Read the files of a plugin again in this process, as a notebook needs it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ddsweep.errors import UserError
from ddsweep.plugins import guards, importing
from ddsweep.plugins.code import Code
from ddsweep.plugins.failure import describe


def reload(code: Code) -> bool:
    """Run the modules of a plugin again if a file of one has changed; return whether one had.

    The other modules of the plugin run before the one with its decorators, so that it gets their new functions.

    Raises:
        UserError: a module cannot be imported any more.
    """
    loaded = {name: sys.modules[name] for name in code.modules if name in sys.modules and name != "__main__"}
    paths = {name: Path(module.__file__) for name, module in loaded.items() if module.__file__}
    if all(importing.source(name, path).content == path.read_bytes() for name, path in paths.items()):
        return False
    importing.install()
    for name in sorted(paths, key=lambda one: one == code.name):
        try:
            with guards.importing(paths[name].name):
                importlib.reload(loaded[name])
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(f"plugins: {paths[name]}: cannot be imported again ({describe(error)})") from error
    return True

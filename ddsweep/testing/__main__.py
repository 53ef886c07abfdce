"""``python -m ddsweep.testing KIND NAME [OPTIONS]``: check one part; a violation is the last line of standard error.

The exit status is 0 if the part keeps its contract or its kind has none, and 1 if not.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from ddsweep import testing
from ddsweep.errors import UserError
from ddsweep.plugins.failure import describe


def main(kind: str, name: str, options: str = "") -> int:
    """Check a part with its options; return the exit status."""
    check = getattr(testing, f"check_{kind.lower().replace(' ', '_')}", None)
    if check is None:
        return 0
    takes = inspect.signature(check).parameters
    choices: dict[str, Any] = {}
    if kind == "PTM":
        choices = {"size": int(options or 0)}
    elif options and ("options" in takes or "choices" in takes):
        choices = {"guidance_options" if kind == "guidance" else "options": options}
    try:
        check(name, **choices)
    except AssertionError as violation:
        line = " ".join(str(violation).split()) or describe(violation)
    except Exception as error:
        line = f"{kind} {name!r}: {error if isinstance(error, UserError) else describe(error)}"
    else:
        return 0
    sys.stderr.write(f"{line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

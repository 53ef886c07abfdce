"""``docs/hooks.py``, which is no module of a package, as one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from tests.docs.page import ROOT

_spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
assert _spec and _spec.loader
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

command_line: Callable[[], str] = _module.command_line
described: Callable[[type], dict[str, str]] = _module.described
settings: Callable[[], str] = _module.settings

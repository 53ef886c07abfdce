"""Packages that can be called: ``ddsweep.results`` and ``ddsweep.evaluate`` are packages, and functions for users.

Python binds an imported subpackage to its name in the parent, so that a function of the same name in ``ddsweep`` would
be lost with the first ``import ddsweep.results``. Instead, the package itself answers a call.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package whose call is that of the function with its name in ``ddsweep.api``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function of ``ddsweep.api``."""
        api = importlib.import_module("ddsweep.api")  # the top of the package, which this module must not depend on
        return getattr(api, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(name: str) -> None:
    """Let the package ``name``, which is being imported, be called."""
    sys.modules[name].__class__ = CallablePackage

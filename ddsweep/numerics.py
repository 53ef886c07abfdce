"""Precision and compilation: how the numbers of a trial are computed.

The precision is a field of the recipe. Compilation is not: it changes results by no more than rounding.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast, get_args

import torch

from ddsweep import files, precision
from ddsweep.errors import UserError, closest

Precision = Literal["float32", "tf32", "bf16"]
Compile = Literal["auto", "on", "off"]
Function = TypeVar("Function", bound=Callable[..., Any])

# Floating-point operations at which compiling pays off. On a CPU, by ``python -m benchmarks.compilation``: compiling a
# step takes 30 s of CPU time (5 s if another process has compiled it before), which was saved again after 4e12
# operations (DM, ConvNet-3 of width 32 on 16×16), 4e13 (evaluation, width 128 on 32×32) and 8e13 (DM, the same): narrow
# networks wait for memory, which compilation saves. On a large GPU: about five minutes, not measured.
PAYS_OFF = {"cpu": 3e13, "cuda": 1e16}


@dataclass(frozen=True)
class Numerics:
    """Makes the functions that dominate a trial faster, with the same results up to the precision.

    Attributes:
        precision: ``float32`` is the reference. ``tf32`` lets NVIDIA's tensor cores round the factors of convolutions
            and matrix products to 10 bits, with float32 elsewhere. ``bf16`` computes convolutions and matrix products
            in bfloat16 (autocast); everything else, parameters and images included, is float32.
        compile: use ``torch.compile``, which fuses the operations around convolutions; the same up to rounding.
        device: the device, in torch's spelling.
        vectorize: compute as many classes, and networks of an evaluation, as fit in memory as one batch (``vmap``).
            None: on a GPU only; on two CPU cores, ten classes as one batch were slower than one by one.
    """

    precision: Precision = "float32"
    compile: bool = False
    device: str = "cpu"
    vectorize: bool | None = None

    @property
    def kind(self) -> str:
        """The kind of device, such as ``cuda``."""
        return self.device.partition(":")[0]

    @property
    def vectorized(self) -> bool:
        """Whether classes and networks are computed as one batch, as far as memory allows."""
        return self.kind == "cuda" if self.vectorize is None else self.vectorize

    @property
    def eager(self) -> Numerics:
        """The same without compilation, for a loss with a gradient inside: torch does not compile its gradient."""
        return replace(self, compile=False)

    def function(self, body: Function) -> Function:
        """Return ``body`` at this precision, compiled if chosen; it should see few different shapes.

        A function is traced once per process for all networks and inputs of the same shapes: the next cell of a sweep
        starts at once.
        """
        if self.precision == "bf16":
            body = _autocast(body, self.kind)
        if not self.compile:
            return body
        global _compiled
        _compiled += 1
        _allow_traces()
        return torch.compile(body, dynamic=False)  # type: ignore[return-value]


_compiled = 0
TRACES = 32  # of one function: batch sizes, train and eval mode, with and without gradients


def _allow_traces() -> None:
    """Let a new function be traced for other shapes, whatever this process has computed before.

    Functions that only bind a network to a loss share their code, and torch counts traces by code: beyond eight in the
    life of a process, it computes without compilation, and an agent's later cells would differ from the first by
    rounding.
    """
    import torch._dynamo as dynamo

    traced = dynamo.utils.counters["stats"]["unique_graphs"]
    dynamo.config.recompile_limit = traced + TRACES
    dynamo.config.accumulated_recompile_limit = traced + TRACES


def compiled_functions() -> int:
    """Return how many functions of this process are compiled, each at its first call, which can take minutes."""
    return _compiled


def compiler() -> str | None:
    """Return the path of the C++ compiler that ``torch.compile`` would use; None: there is none."""
    return next((path for name in (os.environ.get("CXX", ""), "g++", "clang++") if (path := shutil.which(name))), None)


def compile_choice() -> Compile:
    """Return ``$DDSWEEP_COMPILE``, or ``auto`` if it is not set.

    Raises:
        UserError: the value is not auto, on or off.
    """
    value = os.environ.get("DDSWEEP_COMPILE") or "auto"
    if value not in get_args(Compile):
        raise UserError(f"compile: unknown mode {value!r}; {closest(value, get_args(Compile))}")
    return cast(Compile, value)


def _autocast(body: Function, kind: str) -> Function:
    def rounded(*args: Any) -> Any:
        with torch.autocast(kind, dtype=torch.bfloat16):
            return body(*args)

    return rounded  # type: ignore[return-value]


@dataclass(frozen=True)
class Choice:
    """How to compute one trial, before it is known how much work each part of it is.

    Attributes:
        precision: see ``Numerics``.
        device: the device, in torch's spelling.
        compile: ``on``, ``off``, or ``auto``: only where it pays off. Work is counted, not timed, so that a recipe is
            computed in the same way every time.
    """

    precision: Precision = "float32"
    device: str = "cpu"
    compile: Compile = "auto"

    def of(self, operations: float) -> Numerics:
        """Return the numerics for a part with this number of floating-point operations."""
        pays_off = operations > PAYS_OFF.get(self.device.partition(":")[0], float("inf")) and compiler() is not None
        return Numerics(self.precision, pays_off if self.compile == "auto" else self.compile == "on", self.device)

    def set_up(self) -> None:
        """Set torch's float32 precision, and the cache of compiled kernels that all agents share; once per trial.

        Raises:
            UserError: the device does not have the precision (``precision.check``), or there is no compiler.
        """
        if self.compile == "on" and compiler() is None:
            raise UserError("compile: on needs a C++ compiler, g++ or clang++; choose auto or off, or install one")
        precision.check(self.precision, self.device)
        if self.device.startswith("cuda"):
            if self.precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
                precision.refuse(torch.cuda.get_device_name(self.device))
            torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(files.cache_dir() / "compiled"))

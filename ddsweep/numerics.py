"""How the numbers of a trial are computed: the precision, part of its recipe, and compilation, which is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, get_args

import torch

from ddsweep import files
from ddsweep.errors import UserError, closest

Precision = Literal["float32", "tf32", "bf16"]
Compile = Literal["auto", "on", "off"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Function = TypeVar("Function", bound=Callable[..., Any])

# Compiling takes 6 to 20 s a function (two cores; a gradient matching step of ConvNet-3 16 s) and saves about half of a
# step. These are the floating-point operations of some five minutes on two cores, or on a large GPU.
WORTH = {"cpu": 1e14, "cuda": 1e16}


@dataclass(frozen=True)
class Numerics:
    """Turns the functions that a trial spends its time in into faster ones of the same meaning.

    Attributes:
        precision: ``float32`` is the reference. ``tf32`` lets NVIDIA's tensor cores round the factors of convolutions
            and products to 10 bits, and is float32 elsewhere. ``bf16`` computes convolutions and products in bfloat16
            (autocast), everything else, the parameters and the images in float32.
        compile: fuse what surrounds the convolutions (``torch.compile``): the same result up to rounding.
        device: where, as torch spells it.
        together: whether classes, and the networks of an evaluation, go through the device as one batch, as many as
            have room. None: on a GPU; on two CPU cores ten classes as one batch were slower than one by one.
    """

    precision: Precision = "float32"
    compile: bool = False
    device: str = "cpu"
    together: bool | None = None

    @property
    def kind(self) -> str:
        """The kind of device."""
        return self.device.partition(":")[0]

    @property
    def batched(self) -> bool:
        """Whether classes and networks go as one batch, as far as there is room."""
        return self.kind == "cuda" if self.together is None else self.together

    def function(self, body: Function) -> Function:
        """``body`` at this precision, compiled where that was chosen: for functions that see few different shapes."""
        if self.precision == "bf16":
            body = _autocast(body, self.kind)
        return torch.compile(body, dynamic=False) if self.compile else body  # type: ignore[return-value]


def compiler() -> str | None:
    """The C++ compiler that ``torch.compile`` would use."""
    return next((path for name in (os.environ.get("CXX", ""), "g++", "clang++") if (path := shutil.which(name))), None)


def wanted() -> Compile:
    """``$DDSWEEP_COMPILE``: it changes how, and the result by no more than rounding, so that it may come from there.

    Raises:
        UserError: it is none of auto, on, off.
    """
    said = os.environ.get("DDSWEEP_COMPILE") or "auto"
    if said not in get_args(Compile):
        raise UserError(f"compile: unknown mode {said!r}; {closest(said, get_args(Compile))}")
    return cast(Compile, said)


def _autocast(body: Function, kind: str) -> Function:
    def rounded(*args: Any) -> Any:
        with torch.autocast(kind, dtype=torch.bfloat16):
            return body(*args)

    return rounded  # type: ignore[return-value]


@dataclass(frozen=True)
class Choice:
    """How the numbers of one trial are to be computed, before it is known how much work each part of it is.

    Attributes:
        precision: see ``Numerics``.
        device: where, as torch spells it.
        compile: ``on``, ``off``, or ``auto``: where the work repays it. Work is counted, not timed, so that the same
            recipe takes the same way every time.
    """

    precision: Precision = "float32"
    device: str = "cpu"
    compile: Compile = "auto"

    def of(self, operations: float) -> Numerics:
        """For a part of so many floating-point operations."""
        repays = operations > WORTH.get(self.device.partition(":")[0], float("inf")) and compiler() is not None
        return Numerics(self.precision, repays if self.compile == "auto" else self.compile == "on", self.device)

    def set_up(self) -> None:
        """Tell torch what float32 means, and where compiled kernels are kept for all agents; once per trial.

        Raises:
            UserError: the device has no such precision, or there is no compiler.
        """
        if self.compile == "on" and compiler() is None:
            raise UserError("compile: on needs a C++ compiler, g++ or clang++ (allowed here: auto, off)")
        on_gpu = self.device.startswith("cuda")
        if self.precision == "tf32" and not on_gpu:
            raise UserError(f"precision: tf32 needs an NVIDIA GPU; {self.device} has float32, bf16")
        if on_gpu:
            torch.backends.cudnn.allow_tf32 = self.precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(files.cache_dir() / "compiled"))

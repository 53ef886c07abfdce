"""Which precisions a device can compute at speed: the instructions of this CPU, read without torch."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast, get_args

from ddsweep.errors import UserError, closest

Emulation = Literal["refuse", "emulate"]

VARIABLE = "DDSWEEP_BF16"
# Names of the kernel, the widest first. oneDNN uses avx_ne_convert for bf16 on CPUs that have no AVX-512.
BF16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512", "avx_ne_convert": "AVX2", "svebf16": "SVE", "bf16": "NEON"}
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}
# oneDNN's own limit, by which a machine can be tried as an older one; these have no bf16 instructions
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
LIMITED = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")


def check(precision: str, device: str) -> None:
    """Refuse a precision that the device does not have, or that its CPU would only emulate.

    Without instructions for bf16, a step of ConvNet-3 took 10 times as long as in float32 with AVX2, and twice as long
    with AVX-512.

    Args:
        precision: ``float32``, ``tf32`` or ``bf16``.
        device: the device, in torch's spelling.

    Raises:
        UserError: tf32 without an NVIDIA GPU; bf16 on a CPU without instructions for it, unless
            ``DDSWEEP_BF16=emulate``.
    """
    kind = device.partition(":")[0]
    if precision == "tf32" and kind != "cuda":
        raise UserError(f"precision: tf32 needs an NVIDIA GPU; choose float32 or bf16 on {device}")
    if precision == "bf16" and kind == "cpu" and bf16() == ():
        refuse(f"this CPU ({vectors()})")


def refuse(where: str) -> None:
    """Refuse bf16 where there are no instructions for it, unless ``DDSWEEP_BF16=emulate``.

    Raises:
        UserError: bf16 is not to be emulated.
    """
    if emulation() == "refuse":
        raise UserError(
            f"precision: bf16 is slower than float32 on {where}, which has no instructions for it; choose float32 or "
            f"another device, or set {VARIABLE}=emulate to compute it nevertheless"
        )


def emulation() -> Emulation:
    """Return ``$DDSWEEP_BF16``: whether bf16 is emulated on a CPU without instructions for it; default: ``refuse``.

    Raises:
        UserError: the value is neither refuse nor emulate.
    """
    value = os.environ.get(VARIABLE) or "refuse"
    if value not in get_args(Emulation):
        raise UserError(f"{VARIABLE}: unknown value {value!r}; {closest(value, get_args(Emulation))}")
    return cast(Emulation, value)


def bf16() -> tuple[str, ...] | None:
    """The instructions for bf16 that torch can use on this CPU, the fastest first; None: the system does not say."""
    found = features()
    if found is None:
        return None
    limit = next((os.environ[name] for name in LIMITS if os.environ.get(name)), "")
    return () if limit.upper() in LIMITED else tuple(name for name in BF16 if name in found)


def vectors() -> str:
    """The widest vector instructions of this CPU, such as ``AVX2``; ``unknown`` if the system does not say."""
    found = features() or frozenset()
    return next((name for feature, name in VECTORS.items() if feature in found), "unknown")


@lru_cache(maxsize=1)
def features(path: Path = Path("/proc/cpuinfo")) -> frozenset[str] | None:
    """The features of this CPU as Linux names them; None on other systems."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    named = (line.partition(":") for line in lines)
    found = frozenset(
        word for name, _, words in named if name.strip() in ("flags", "Features") for word in words.split()
    )
    return found or None

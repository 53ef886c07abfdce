"""Which precisions a CPU has: from what Linux says of it, and from the limit of oneDNN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ddsweep import precision
from ddsweep.errors import UserError
from ddsweep.numerics import Choice

X86 = "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu sse2 avx {}\nbugs\t\t: avx512_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\n"

Make = Callable[[str | None], None]


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A CPU with the features that Linux would list, and bf16 refused where they are missing."""
    read = precision.features.__wrapped__

    def made(text: str | None) -> None:
        path = tmp_path / "cpuinfo"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(precision, "features", lambda: read(path))

    monkeypatch.delenv("DDSWEEP_BF16", raising=False)
    for name in precision.LIMITS:
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.mark.parametrize(("text", "vectors", "bf16"), [
    (X86.format("avx2 fma"), "AVX2", ()),
    (X86.format("avx2 avx512f avx512_vnni"), "AVX-512", ()),
    (X86.format("avx2 avx512f avx512_bf16"), "AVX-512", ("avx512_bf16",)),
    (X86.format("avx2 avx512_bf16 avx512f amx_tile amx_bf16"), "AVX-512", ("amx_bf16", "avx512_bf16")),
    (X86.format("avx2 avx_vnni avx_ne_convert"), "AVX2", ("avx_ne_convert",)),
    (ARM.format("bf16 sve"), "SVE", ("bf16",)),
    (ARM.format("crc32"), "NEON", ()),
    ("processor\t: 0\n", "unknown", None),
    (None, "unknown", None),
])  # fmt: skip
def test_what_linux_says_of_a_cpu(cpu: Make, text: str | None, vectors: str, bf16: tuple[str, ...] | None) -> None:
    cpu(text)
    assert (precision.vectors(), precision.bf16()) == (vectors, bf16)
    if bf16 == ():
        with pytest.raises(UserError, match=rf"^precision: bf16 is slower than float32 on this CPU \({vectors}\)"):
            precision.check("bf16", "cpu")
    else:
        precision.check("bf16", "cpu")
    for name, device in (("float32", "cpu"), ("bf16", "cuda:1"), ("bf16", "mps"), ("tf32", "cuda")):
        precision.check(name, device)


@pytest.mark.parametrize(("limit", "has"), [
    ("AVX2", False), ("avx512_core", False), ("AVX512_CORE_BF16", True), ("AVX512_CORE_AMX", True), ("ALL", True),
])  # fmt: skip
def test_a_limit_of_onednn_counts(cpu: Make, monkeypatch: pytest.MonkeyPatch, limit: str, has: bool) -> None:
    cpu(X86.format("avx2 avx512f avx512_bf16"))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert bool(precision.bf16()) is has


def test_who_insists_gets_it(cpu: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(X86.format("avx2"))
    with pytest.raises(UserError, match="DDSWEEP_BF16=emulate"):
        Choice("bf16").set_up()
    monkeypatch.setenv("DDSWEEP_BF16", "emulate")
    Choice("bf16").set_up()
    monkeypatch.setenv("DDSWEEP_BF16", "yes")
    with pytest.raises(UserError, match=r"^DDSWEEP_BF16: unknown value 'yes'; .*emulate, refuse"):
        Choice("bf16").set_up()

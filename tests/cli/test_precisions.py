"""A launch refuses a precision that its devices do not have, before anything is registered."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddsweep import precision
from tests.cli.conftest import Run

ONE = ("-p", "demo", "--set", "alpha=0", "--device", "cpu", "--workers", "0")


@pytest.fixture
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "features", lambda: frozenset({"avx2"}))
    monkeypatch.delenv("DDSWEEP_BF16", raising=False)


@pytest.mark.parametrize(("value", "says"), [
    ("bf16", "precision: bf16 is slower than float32 on this CPU (AVX2)"),
    ("float32,bf16", "precision: bf16 is slower than float32 on this CPU (AVX2)"),
    ("tf32", "precision: tf32 needs an NVIDIA GPU; choose float32 or bf16 on cpu"),
])  # fmt: skip
@pytest.mark.usefixtures("plain_cpu", "tiny")
def test_what_the_cpu_does_not_have(ddsweep: Run, value: str, says: str) -> None:
    result = ddsweep("launch", "ablation-alpha", *ONE, "--set", f"precision={value}")
    assert result.exit_code == 2
    assert f"error: {says}" in " ".join(result.stderr.split())
    assert not Path("runs/ddsweep.db").exists()
    if value == "bf16":
        alone = ddsweep("run", "ablation-alpha", "precision=bf16", *ONE[:-2])
        assert alone.exit_code == 2 and f"error: {says}" in " ".join(alone.stderr.split())


@pytest.mark.usefixtures("plain_cpu", "tiny")
def test_finished_cells_need_no_device(ddsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Computed where bf16 was asked for, its table is printed anywhere."""
    bf16 = ("launch", "ablation-alpha", *ONE, "--set", "precision=bf16")
    with monkeypatch.context() as insisting:
        insisting.setenv("DDSWEEP_BF16", "emulate")
        first = ddsweep(*bf16)
    assert first.exit_code == 0, first.output
    again = ddsweep(*bf16)
    assert again.exit_code == 0, again.output
    more = ddsweep(*bf16, "--set", "seed=0,1")
    assert more.exit_code == 2 and "DDSWEEP_BF16=emulate" in " ".join(more.stderr.split())

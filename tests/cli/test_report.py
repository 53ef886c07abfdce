"""``ddsweep report`` through the front door."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.test_results import finish


def test_a_launched_sweep_becomes_a_file(ddsweep: Run) -> None:
    finish("ablation-n-archs@demo", 0.58)
    assert ddsweep("report", "ablation-n-archs@demo").stdout == "runs/ablation-n-archs@demo/report.html\n"
    text = Path("runs/ablation-n-archs@demo/report.html").read_text(encoding="utf-8")
    assert "Which PTM architectures work best, and how many?" in text
    assert "58.0" in text
    assert "have a number in" not in text  # the paper has none for the digits of the demo


def test_beside_another_sweep_and_elsewhere(ddsweep: Run, tmp_path: Path) -> None:
    finish("ablation-n-archs@quick", 0.4)
    finish("ablation-n-archs", 0.58)
    path = tmp_path / "new" / "for you.html"
    words = ("--against", "ablation-n-archs@paper", "-o", str(path))
    assert ddsweep("report", "table5@quick", *words).stdout == f"{path}\n"
    text = path.read_text(encoding="utf-8")
    assert "ablation-n-archs@paper 58.0 ± 0.0" in text
    assert "settings that differ (ablation-n-archs@paper in brackets): " in text


def test_a_mistake_is_one_line(ddsweep: Run) -> None:
    finish("ablation-n-archs@demo", 0.58)
    for words in (("ablation-n-archs",), ("ablation-n-archs@demo", "--against", "nothing.csv")):
        result = ddsweep("report", *words)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
    assert ddsweep("report", "ablation-n-archs@demo", "-o", "runs").exit_code == 2

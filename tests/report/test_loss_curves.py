from __future__ import annotations

import math
from pathlib import Path

from ddsweep.report import charts


def test_a_long_curve_is_thinned_to_means(tmp_path: Path) -> None:
    lines = [{"step": step, "loss/match": float(step % 10)} for step in range(600)]
    points = charts.thinned(lines, "loss/match")
    assert len(points) == charts.POINTS
    assert points[0] == (9, 4.5)
    assert {value for _, value in points} == {4.5}


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss/match": 2.0}\n[1]\n{"step": "x"}\n{"step": 2, "loss/match": NaN}\n{"st')
    lines = charts.read(path)
    assert [line["step"] for line in lines] == [1, 2]
    assert math.isnan(lines[1]["loss/match"])
    assert charts.thinned(lines, "loss/match") == [(1, 2.0)]
    assert charts.read(tmp_path / "none") == []

from __future__ import annotations

import pytest

from ddsweep.report import text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"), (9.96, "10.0 s"), (41.4, "41 s"), (60, "1 min"), (725, "12 min 5 s"), (12000, "3 h 20 min"),
        (3601, "1 h"), (187200, "2 d 4 h"), (172860, "2 d"),
    ],
)  # fmt: skip
def test_duration(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected

"""The figure of the report and the dashboard: every baseline is where it was measured, and says whose it is."""

from __future__ import annotations

from typing import Any

from ddsweep.results.plots import interactive
from ddsweep.results.plots.axis import Axis
from ddsweep.results.plots.panels import Chart, Panel, Point, Series

CHART = Chart(Axis.of("IPC", ["1", "4"], [1, 4]))


def dotted(*series: Series) -> list[tuple[float, str]]:
    """Level and label of each dotted line."""
    lines = [one for one in traces(*series) if one.get("line", {}).get("dash") == "dot"]
    return [(line["y"][0], line["text"][1]) for line in lines]


def traces(*series: Series) -> list[dict[str, Any]]:
    return list(interactive.figure(CHART, Panel("", list(series)))["data"])


def line(name: str, *references: float | None) -> Series:
    return Series(name, [Point(index, 80.0, 1.0, reference=level) for index, level in enumerate(references)])


def test_every_dotted_line_has_the_name_of_its_series() -> None:
    assert dotted(line("DM", 70.0, 70.0)) == [(70.0, "baseline")]
    assert dotted(line("DM", 44.5, 44.5), line("DC", 8.4, 8.4)) == [(44.5, "baseline: DM"), (8.4, "baseline: DC")]


def test_labels_of_lines_that_lie_close_do_not_cover_each_other() -> None:
    found = dotted(line("DM", 70.0, 70.0), line("DC", 70.1, 70.1), line("DSA", 60.0, 60.0))
    assert found == [(70.0, "baseline: DM"), (70.1, ""), (60.0, "baseline: DSA")]


def test_values_with_different_baselines_have_a_dash_each_and_no_common_line() -> None:
    found = traces(line("noise", 44.5, 8.4))
    assert dotted(line("noise", 44.5, 8.4)) == []
    (dashes,) = [one for one in found if one.get("marker", {}).get("symbol") == "line-ew-open"]
    assert (dashes["x"], dashes["y"]) == ([1.0, 4.0], [44.5, 8.4])


def test_every_series_has_a_color_and_marker_of_its_own() -> None:
    markers = [one["marker"] for one in traces(*(line(f"width {index}") for index in range(48)))]
    assert len({(one["color"], one["symbol"]) for one in markers}) == 48


def test_all_that_is_drawn_is_in_view() -> None:
    low, high = interactive.figure(CHART, Panel("", [line("noise", 10.0, 99.0)]))["layout"]["yaxis"]["range"]
    assert low < 10.0 < 99.0 < high


def test_a_baseline_alone_has_its_line() -> None:
    assert dotted(Series("DM", [Point(0, 70.0, 1.0, baseline=True)])) == [(70.0, "baseline")]
    assert dotted(Series("DM", [Point(0, 70.0, 1.0, baseline=True), Point(1, 60.0, 1.0, baseline=True)])) == []

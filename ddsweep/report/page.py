"""Rendering of the page. Text is escaped, and a Content-Security-Policy prevents other code from loading or running."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import __version__, again, characters, files
from ddsweep.report import charts, images, numbers, text
from ddsweep.results.states import State
from ddsweep.results.tables import by_group, formats, naming, ranking
from ddsweep.text import moment

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.plots.panels import Chart
    from ddsweep.sweep import Cell

HERE = Path(__file__).parent
SCRIPTS = ("charts.js", "page.js")
# plotly.js adds the styles of its maps, which the policy would block, unless an element with this id exists
MAP_STYLES = re.compile(r"document\.getElementById\(\"([0-9a-f]{64})\"\)")
EMPTY = ""  # plotly.js creates an empty style element and fills it through the CSSOM, which no policy restricts


def write(material: Material, path: Path, now: datetime | None = None) -> None:
    """Write the report to ``path`` atomically. Raises UserError if it cannot be written."""
    files.write_text(path, render(material, now))


def render(material: Material, now: datetime | None = None) -> str:
    """Render the report as HTML.

    Args:
        material: the data of the report.
        now: the time of the report; default: the current time.
    """
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_legible,
    )
    style, script, plotly = _source("page.css"), "".join(_source(name) for name in SCRIPTS), get_plotlyjs()
    return environment.get_template("page.html").render(
        **_contents(material),
        style=style,
        plotly=plotly,
        without=sorted(set(MAP_STYLES.findall(plotly))),
        script=script,
        policy=_policy([style, EMPTY], [plotly, script]),
        version=__version__,
        now=moment(now or datetime.now(UTC)),
    )


def _contents(material: Material) -> dict[str, Any]:
    varied, rest = text.settings(material)
    shown, fell = images.galleries(material), charts.of(material)
    found = material.ranking
    table = formats.as_csv(ranking.records(found) if found else formats.records(material.against or material.table))
    chart, answers = charts.accuracies(material), text.answers(material)
    return {
        "sweep": material.sweep, "axis": naming.field(material.table.axis),
        "counts": text.counts(material), "answers": answers, "baseline": text.baseline(material),
        "chosen": text.chosen(material), "bold": text.bold(material),
        "varied": varied, "rest": rest, "view": numbers.view(material), "groups": numbers.groups(material),
        "about_groups": by_group.CAPTION, "galleries": shown,
        "long": any(len(naming.label(material.table.axis, one)) > 8 for one in material.table.columns),
        "columns": [naming.label(material.table.axis, column) for column in material.table.columns],
        "settings": fell, "curved": any(one["terms"] for one in fell), "plotted": bool(chart.panels),
        "command": again.other("report", material.sweep.full_name),
        "definition": json.dumps(replace(material.sweep, source={}).definition(), indent=2, ensure_ascii=False),
        "banded": chart.axis.numeric and not found, "references": _references(chart),
        "legends": any(len(panel.series) > 1 for panel in chart.panels),
        "troubles": text.troubles(material), "retried": text.retried(material), "cost": text.cost(material),
        "provenance": text.provenance(material), "cells": text.cells(material),
        "csv": "data:text/csv;base64," + base64.b64encode(table.encode()).decode(),
        "data": _all_legible({
            "axis": naming.field(material.table.axis), "columns": chart.axis.labels, "positions": chart.axis.positions,
            "panels": charts.drawn(chart, connected=not found), "curves": fell, "missing": _missing(material),
            "galleries": [_positions(one) for one in shown],
        }),
    }  # fmt: skip


def _legible(value: Any) -> Any:
    """A text without control characters and controls of the writing direction; markup of the page itself unchanged."""
    return characters.printable(value) if type(value) is str else value


def _all_legible(value: Any) -> Any:
    """The same for every text, key and value, of the data that the scripts read."""
    if isinstance(value, dict):
        return {_legible(name): _all_legible(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_all_legible(part) for part in value]
    return _legible(value)


def _positions(gallery: images.Gallery) -> dict[str, Any]:
    rates = {column: [[round(value, 1), gain] for value, gain in some] for column, some in gallery.rates.items()}
    return {"label": gallery.label, "columns": gallery.columns, "steps": gallery.steps, "rates": rates,
            "seeds": {column: f"seed {seed}" for column, seed in gallery.seeds.shown.items()}}  # fmt: skip


def _references(chart: Chart) -> str:
    """What the dotted lines and the dashes of the chart are."""
    common = {series.baseline is not None for panel in chart.panels for series in panel.series if series.references}
    said = {True: "dotted: the baseline", False: "dashes: the baseline of each value"}
    return "; ".join(text for one, text in said.items() if one in common)


def _missing(material: Material) -> dict[str, list[str]]:
    """For every setting and column, the reason that images are missing."""

    def reason(cells: Sequence[Cell]) -> str:
        for state in (material.states[cell.key] for cell in cells):
            if state.state is not State.DONE:
                return ": ".join(filter(None, [state.state.value, state.reason]))
        return "no image was saved" if cells else "not part of the sweep"

    return {
        label: [reason(cells.get(column, ())) for column in material.table.columns]
        for label, cells in material.settings.items()
    }


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """A Content-Security-Policy that allows only the given styles and scripts, by their hashes, and embedded images."""
    own = f"img-src data:; style-src {_hashes(styles)}; script-src {_hashes(scripts)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)

"""The report of a sweep: one self-contained HTML file that works offline.

``material`` collects the data of the sweep; ``text``, ``charts`` and ``images`` convert it to plain values; ``page``
renders them with ``page.html``, ``page.css`` and two scripts: ``charts.js`` draws with Plotly, and ``page.js`` handles
the reader's selections.
"""

from __future__ import annotations

from ddsweep.report.material import Material as Material
from ddsweep.report.page import render as render
from ddsweep.report.page import write as write

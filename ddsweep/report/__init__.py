"""The report of a sweep: one HTML file that works offline and can be sent to anybody.

``material`` collects the data of the sweep; ``text``, ``charts`` and ``images`` turn it into plain values; ``page``
renders them with ``page.html``, ``page.css`` and two scripts: ``charts.js`` draws with Plotly, and ``page.js`` keeps
the reader's choices.
"""

from __future__ import annotations

from ddsweep.report.material import Material as Material
from ddsweep.report.page import render as render
from ddsweep.report.page import write as write

"""The report of a sweep: one HTML file that opens from a disk, without a network, and can be sent to anybody.

``material`` is what is known of the sweep; ``facts``, ``numbers``, ``pictures``, ``curves`` and ``origin`` say it in
plain values; ``page`` writes it with ``page.html``, ``page.css`` and the scripts: ``charts.js`` draws, ``plots.js``
says what, and ``page.js`` keeps what the reader has chosen.
"""

from __future__ import annotations

from ddsweep.report.material import Material as Material
from ddsweep.report.page import render as render
from ddsweep.report.page import write as write

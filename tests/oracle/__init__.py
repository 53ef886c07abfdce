"""Sweeps drawn at random, with made-up results: every number of every output against an oracle written from
``docs/tables.md``.

``case`` draws a sweep, ``expected`` is the oracle, ``world`` writes the sweep and its results to a folder, ``outputs``
reads the product's outputs, and ``verify`` compares. ``python -m tests.oracle`` runs any number of sweeps.
"""

"""The W&B backend: W&B assigns the points of a sweep to its own agents; ddsweep registers and reports them.

``backend`` implements ``ddsweep.backends.Backend``; ``client`` talks to the service; ``rows`` turns W&B runs into the
rows of a status table.
"""

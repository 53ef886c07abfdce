"""Each file measures one thing in one run and prints a ratio; ``python -m benchmarks.NAME [--json]``."""

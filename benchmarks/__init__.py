"""Benchmarks. Each module measures one thing and prints the result: ``python -m benchmarks.NAME [--json]``."""

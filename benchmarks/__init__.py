"""Measure what a FastCGI server costs: ``python -m benchmarks`` (see README.md)."""

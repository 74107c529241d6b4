"""Measurements: ratios against a baseline in the same run. `python -m benchmarks.NAME --help` tells what each does."""

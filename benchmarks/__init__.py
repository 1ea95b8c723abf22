"""Benchmarks: how fast tokframe is beside its peers, measured in one run. `python -m benchmarks` runs and reports.

Timings report; they never decide whether a test passes.
"""

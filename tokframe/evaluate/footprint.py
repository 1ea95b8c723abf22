"""Footprint: what loading a tokenizer costs a process, in time and memory, measured in fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product

from attrs import frozen

from tokframe.plugins.children import child_environment
from tokframe.training.progress import SILENT, Reporter

__all__ = ["Footprint", "footprints"]

_TEXT = "The quick brown fox jumps over the lazy dog.\n"


@frozen(kw_only=True)
class Footprint:
    """From `import tokframe` done to the first ids: milliseconds, and resident memory added in MB (10^6 bytes).

    Both None where the tokenizer does not load in a fresh process; `reason` then says why.
    """

    load_ms: float | None = None
    memory_mb: float | None = None
    reason: str = ""


def footprints(
    names: Sequence[str], rounds: int = 3, timeout: float = 120.0, reporter: Reporter = SILENT
) -> dict[str, Footprint]:
    """Return the footprint of each tokenizer (name or path): medians of `rounds` fresh processes, taken in turn."""
    reporter.stage("loading in fresh processes", rounds * len(names), "runs")
    runs: dict[str, list[Footprint]] = {name: [] for name in names}
    for done, (_, name) in enumerate(product(range(rounds), names), 1):
        if not any(run.reason for run in runs[name]):  # a failure is not repeated
            runs[name].append(_run(name, timeout))
        reporter.advance(done)
    return {name: _median(found) for name, found in runs.items()}


def _median(runs: list[Footprint]) -> Footprint:
    if runs[-1].reason:
        return runs[-1]
    times = [run.load_ms for run in runs if run.load_ms is not None]
    memory = [run.memory_mb for run in runs if run.memory_mb is not None]
    return Footprint(load_ms=statistics.median(times), memory_mb=statistics.median(memory) if memory else None)


def _run(name: str, timeout: float) -> Footprint:
    command = [sys.executable, "-m", __name__, name]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=child_environment()
        )
    except subprocess.TimeoutExpired:
        return Footprint(reason=f"still loading after {timeout:.0f} s")
    if done.returncode or not done.stdout:
        lines = done.stderr.strip().splitlines()
        return Footprint(reason=lines[-1] if lines else f"exit status {done.returncode}")
    return Footprint(**json.loads(done.stdout))


def _resident() -> float | None:
    """Return this process's resident memory in bytes; None where the system does not report it."""
    try:
        import resource
    except ImportError:
        return None
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * float(resource.getpagesize())
    except OSError:  # macOS: the peak, in bytes, which is what loading leaves behind or a little more
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _main(name: str) -> None:
    result = os.dup(1)
    os.dup2(2, 1)  # what a plugin prints is no result
    sys.stdout = sys.stderr
    before = _resident()
    start = time.perf_counter()
    from tokframe.loading.loading import load

    load(name).encode(_TEXT)
    load_ms = (time.perf_counter() - start) * 1e3
    after = _resident()
    memory_mb = None if before is None or after is None else (after - before) / 1e6
    os.write(result, json.dumps({"load_ms": load_ms, "memory_mb": memory_mb}).encode())


if __name__ == "__main__":
    _main(sys.argv[1])

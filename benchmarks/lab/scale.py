"""`python -m benchmarks.lab.scale --sizes 10MB,100MB`: what each stage costs by the size of the text, and how it grows.

Every measurement is a process of its own (see `scalestages`); those that are done are kept in FOLDER/scale.json and
not made again, so an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.lab.scalestages import STAGES, fresh, text
from tokframe.storage.atomic import write_atomically

__all__ = ["exponent", "table"]

_UNITS = {"GB": 10**9, "MB": 10**6, "kB": 10**3}
_FILE = "scale.json"


def main() -> int:
    """Measure what is missing, print the table or the JSON; return the exit status."""
    options = _options()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _FILE
    done: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    distinct = fresh(folder).stat().st_size
    for stage in options.stages:
        for size in options.sizes:
            key = f"{stage}@{size}"
            if (key in done and not options.again) or (size > distinct and not STAGES[stage][1]):
                continue
            if stage == "verify" and any(found.startswith("verify@") for found in done):
                continue
            text(folder, size)
            sys.stderr.write(f"{key} ...\n")
            made = subprocess.run(
                [sys.executable, "-m", "benchmarks.lab.scalestages", stage, str(size), str(folder)],
                stdout=subprocess.PIPE,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            if made.returncode:
                sys.stderr.write(f"{key} failed with status {made.returncode}; the rest is kept in {path}\n")
                return 1
            done[key] = json.loads(made.stdout) | {"stage": stage, "size": size}
            write_atomically(path, json.dumps(done, indent=1).encode())
    wanted = [found for found in done.values() if found["stage"] in options.stages]
    sys.stdout.write(json.dumps(wanted, indent=1) + "\n" if options.json else table(wanted) + "\n")
    return 0


def table(found: list[dict[str, Any]]) -> str:
    """Return the measurements as Markdown: a line for each step, a column for each size."""
    sizes = sorted({one["size"] for one in found})
    lines = [
        "| step | " + " | ".join(map(_unit, sizes)) + " | grows as | peak MB |",
        "|---" * (len(sizes) + 3) + "|",
    ]
    for stage in dict.fromkeys(one["stage"] for one in found):
        of_stage = {one["size"]: one for one in found if one["stage"] == stage}
        for step in dict.fromkeys(step for one in of_stage.values() for step in one["steps"]):
            cpu = {size: one["steps"][step]["cpu"] for size, one in of_stage.items() if step in one["steps"]}
            cells = [f"{cpu[size]:.1f} ({cpu[size] / size * 1e9:,.0f})" if size in cpu else "" for size in sizes]
            peak = "/".join(str(of_stage[size]["peak_mb"]) for size in sizes if size in of_stage)
            grows = f"n^{exponent(cpu):.2f}" if len(cpu) > 1 else ""
            lines.append(f"| {stage}: {step} | " + " | ".join(cells) + f" | {grows} | {peak} |")
    return "\n".join([*lines, "", "Seconds of processor time (user and system), in brackets for each GB."])


def exponent(seconds: dict[int, float]) -> float:
    """Return b of the least-squares fit of log(seconds) = a + b log(size); nan where it cannot be fitted."""
    known = {size: value for size, value in seconds.items() if value > 0}
    if len(known) < 2:
        return math.nan
    return statistics.linear_regression(list(map(math.log, known)), list(map(math.log, known.values()))).slope


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.scale", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, default=_sizes("10MB,100MB"), metavar="SIZES", help="such as 10MB,2GB")
    parser.add_argument("--stages", type=_stages, default=list(STAGES), help=f"some of {','.join(STAGES)}")
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parents[1] / "results" / "scale", help="texts and results"
    )
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON")
    return parser.parse_args()


def _sizes(given: str) -> list[int]:
    found = []
    for word in given.split(","):
        unit = next((unit for unit in _UNITS if word.endswith(unit)), None)
        try:
            found.append(round(float(word.removesuffix(unit or "")) * _UNITS[unit or ""]))
        except (KeyError, ValueError):
            raise argparse.ArgumentTypeError(f"{word!r} is not a size such as 100MB or 2GB") from None
    return found


def _stages(given: str) -> list[str]:
    found = given.split(",")
    unknown = [stage for stage in found if stage not in STAGES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no stage {unknown[0]!r}; there are {', '.join(STAGES)}")
    return found


def _unit(size: int) -> str:
    unit = next((unit for unit, value in _UNITS.items() if size >= value), "kB")
    return f"{size / _UNITS[unit]:g} {unit}"


if __name__ == "__main__":
    sys.exit(main())

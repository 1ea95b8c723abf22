"""Fresh processes: run Python source in a new process that finds the same plugins as this one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

from tokframe.plugins.children import child_environment

__all__ = ["FreshProcessError", "run_fresh"]


class FreshProcessError(AssertionError):
    """The code failed in its own process; the text is what it wrote."""


def run_fresh(source: str, *arguments: object, hash_seed: int | None = None, warnings: str = "default") -> Any:
    """Run Python source in a fresh process and return the JSON of the last line it prints, or None.

    Modules are looked for where this process looks for them. `hash_seed` sets PYTHONHASHSEED; `warnings` is what
    `python -W` takes. Raises: FreshProcessError with everything the process wrote, where it fails.
    """
    environment = {**child_environment(), "PYTHONIOENCODING": "utf-8"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.pop("PYTHONHASHSEED", None)
    if hash_seed is not None:
        environment["PYTHONHASHSEED"] = str(hash_seed)
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", textwrap.dedent(source), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise FreshProcessError(f"a fresh process ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else None

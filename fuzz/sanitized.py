"""The compiled parts under AddressSanitizer and UndefinedBehaviorSanitizer: `python -m fuzz.sanitized --seconds 300`.

Builds `_search.c` and `_mine.c` anew (twice `_search.c`: as it is, and without vector code) into a temporary folder and
runs random and hostile calls through them in a process of its own. Needs gcc or clang with their sanitizers. What the
calls do is in `hostile`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

__all__ = ["build", "compiler", "environment", "run"]

_SOURCES = {"_search": "segmenter/_search.c", "_mine": "mining/_mine.c"}
#: Without the names that choose vector code, once Python's own headers have seen them.
_PLAIN = '#include <Python.h>\n#undef __x86_64__\n#undef __aarch64__\n#include "{source}"\n'
#: Whether without vector code, whether with little memory, and the share of the time.
_WAYS = {"as built": (False, False, 0.6), "no vector code": (True, False, 0.3), "little memory": (False, True, 0.1)}
_FLAGS = ["-shared", "-fPIC", "-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"]
_FLAGS += ["-fno-sanitize-recover=all", "-Wall", "-Werror"]


def compiler() -> str | None:
    """Return a C compiler that has an AddressSanitizer to preload, or None."""
    found = os.environ.get("CC", "").split() or ["gcc"]
    if shutil.which(found[0]) and Path(_library(found[0])).is_absolute():
        return found[0]
    return None


def _library(command: str) -> str:
    done = subprocess.run([command, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def build(command: str, folder: Path, *, plain: bool) -> None:
    """Compile both extensions into `folder`. Raises: CalledProcessError."""
    package = Path(next(iter(find_spec("tokframe_dictionary").submodule_search_locations)))  # type: ignore[union-attr, arg-type]
    for name, source in _SOURCES.items():
        file = package / source
        if plain:
            file = folder / f"{name}.plain.c"
            file.write_text(_PLAIN.format(source=package / source), encoding="utf-8")
        include = f"-I{sysconfig.get_paths()['include']}"
        subprocess.run([command, *_FLAGS, include, str(file), "-o", str(folder / f"{name}.so")], check=True)


def environment(command: str, *, scarce: bool = False) -> dict[str, str]:
    """Return the environment in which Python can load what `build` made; with `scarce`, 24 MB at once are refused."""
    options = "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1"  # Python frees little at its end
    if scarce:
        options += ":max_allocation_size_mb=24"
    return os.environ | {
        "LD_PRELOAD": _library(command),
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONMALLOC": "malloc",  # else the sanitizer does not see where Python's objects end
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def run(seconds: float, seed: int, ways: Sequence[str] = tuple(_WAYS)) -> list[str]:
    """Build and run in these ways, a share of the time each. Raises: SystemExit at a finding or without a compiler."""
    command = compiler()
    if command is None:
        raise SystemExit("this needs gcc with libasan (Debian: apt install gcc); another compiler is named by CC")
    told = []
    for name in ways:
        plain, scarce, share = _WAYS[name]
        with tempfile.TemporaryDirectory() as place:
            build(command, Path(place), plain=plain)
            call = [sys.executable, "-m", "fuzz.hostile", place, str(seconds * share), str(seed)]
            call += ["--scarce"] if scarce else []
            done = subprocess.run(
                call, env=environment(command, scarce=scarce), stdout=subprocess.PIPE, text=True, check=False
            )
        if done.returncode:
            raise SystemExit(f"a finding (exit {done.returncode}): see above; again with --seed {seed}")
        told.append(f"{name}: {done.stdout.strip()}")
    return told


def main() -> None:
    """Parse the command line, run, print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="in all (60)")
    parser.add_argument("--seed", type=int, default=int(np.random.default_rng().integers(1 << 31)))
    given = parser.parse_args()
    for line in run(given.seconds, given.seed):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()

"""What a process pays that starts to use a tokenizer: from nothing imported to the first ids, on a warm disk."""

from __future__ import annotations

import ast
import base64
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.ours import FLAGSHIP, flagship_name
from benchmarks.peers import ranks, tokenizer_json
from benchmarks.rounds import keep

_SCRIPT = Path(__file__).with_name("startup.py")


def bench_startup(benchmark, flagship, run, built):
    """Fresh processes in turn; the flagship also with numpy there already, which many programs have anyway."""
    cases = {
        FLAGSHIP: (flagship_name(), ""),
        f"{FLAGSHIP}, numpy already there": (flagship_name(), "numpy"),
        "word": ("word", ""),
        "bpe": ("bpe", ""),
    }
    cases |= {name: (f"peer:{name}", "") for name in ("tiktoken", "tokenizers", "gigatoken") if name in built[0]}
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder))
        found: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
        failed: dict[str, str] = {}

        def one_round():
            for name, (what, first) in cases.items():
                if name not in failed:
                    figures = _fresh(what, first, folder)
                    if isinstance(figures, str):
                        failed[name] = figures
                    else:
                        found[name].append(figures)

        benchmark.pedantic(one_round, rounds=max(3, run.rounds), iterations=1, warmup_rounds=1)
    if FLAGSHIP in failed:
        pytest.fail(f"{flagship_name()} does not load in a fresh process: {failed[FLAGSHIP]}")
    keep(benchmark, failed=failed, figures={name: _medians(rows[1:]) for name, rows in found.items() if rows[1:]})


def bench_imports(benchmark, run):
    """Where the time goes: what importing each dependency costs a process that has none of the others."""
    modules = ("numpy", "attrs", "pluggy", "importlib.metadata", "safetensors.numpy", "tokframe", "tokframe.loading")
    code = "import sys,time;a=time.process_time();__import__(sys.argv[1]);print((time.process_time()-a)*1e3)"
    found: dict[str, list[float]] = {name: [] for name in modules}

    def one_round():
        for name in modules:
            done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
            found[name].append(float(done.stdout))

    benchmark.pedantic(one_round, rounds=max(3, run.rounds // 2), iterations=1, warmup_rounds=1)
    keep(benchmark, cpu_ms={name: statistics.median(values[1:]) for name, values in found.items()})


def _fresh(name: str, first: str, folder: str) -> dict[str, float] | str:
    environment = {**os.environ, "TOKFRAME_BENCH_FILES": folder}
    command = [sys.executable, str(_SCRIPT), name, first]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return ast.literal_eval(done.stdout.splitlines()[-1])


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _write_files(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    lines = [base64.b64encode(piece) + b" %d\n" % rank for piece, rank in ranks().items()]
    (folder / "ranks.tiktoken").write_bytes(b"".join(lines))

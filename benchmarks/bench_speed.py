"""Encoding and decoding the mix: ours against every peer, in one process and one thread."""

from __future__ import annotations

import math

from benchmarks.ours import FLAGSHIP
from benchmarks.peers import TIKTOKEN
from benchmarks.rounds import Prepared, each, interleave, keep
from benchmarks.systems import fidelity


def bench_fidelity(benchmark, text, built):
    """Texts decoded exactly and ids equal to the oracle's, before any speed is measured."""
    systems, absent = built
    found = benchmark.pedantic(fidelity, (systems, text.texts), rounds=1)
    keep(
        benchmark,
        bytes=text.size,
        sources=text.sources,
        texts=len(text.texts),
        systems={name: {"version": s.version, "note": s.note, "oracle": s.oracle} for name, s in systems.items()},
        absent=absent,
        fidelity=found,
    )


def bench_encode(benchmark, text, built, run):
    """Text to a list of ids: the call that all systems have."""
    systems = built[0]
    tasks = {name: each(system.encode, text.texts) for name, system in systems.items()}
    seconds = interleave(benchmark, tasks, run.rounds)
    _keep_speed(benchmark, seconds, text.size)


def bench_encode_array(benchmark, text, built, run):
    """Text to a numpy array, where a system has it; tiktoken also by its faster call, to a list."""
    systems = built[0]
    tasks = {}
    for name, system in systems.items():
        if system.array is None:
            continue
        tasks[name] = each(system.array, text.texts)
        if system.fresh is not None:  # the first pass over a text is what most users see
            tasks[f"{name}, first pass"] = Prepared(lambda s=system: each(s.fresh().array, text.texts))
    if TIKTOKEN in systems:
        tasks["tiktoken to a list"] = each(systems[TIKTOKEN].encode, text.texts)
    seconds = interleave(benchmark, tasks, run.rounds)
    _keep_speed(benchmark, seconds, text.size, also=["tiktoken to a list"])


def bench_decode(benchmark, text, built, run):
    """A list of ids to text; ours also from its own array."""
    systems = built[0]
    rows = {name: [system.encode(piece) for piece in text.texts] for name, system in systems.items()}
    tasks = {name: each(system.decode, rows[name]) for name, system in systems.items()}
    if FLAGSHIP in systems:
        arrays = [systems[FLAGSHIP].array(piece) for piece in text.texts]
        tasks[f"{FLAGSHIP}, from an array"] = each(systems[FLAGSHIP].decode, arrays)
    seconds = interleave(benchmark, tasks, run.rounds)
    _keep_speed(benchmark, seconds, text.size)


def bench_short(benchmark, text, built, run):
    """One line at a time: what a call costs beside the work."""
    systems = built[0]
    lines = [line for piece in text.texts for line in piece.splitlines() if 20 <= len(line) <= 120]
    lines = lines[: max(200, int(4000 * run.scale))]
    tasks = {name: each(system.encode, lines) for name, system in systems.items()}
    seconds = interleave(benchmark, tasks, run.rounds)
    _keep_speed(benchmark, seconds, sum(len(line.encode()) for line in lines))
    keep(benchmark, microseconds={name: s / len(lines) * 1e6 for name, s in seconds.items()}, lines=len(lines))


def _keep_speed(benchmark, seconds, size, also=()):
    bases = [TIKTOKEN, "tokenizers", "word", "gigatoken", "gigatoken, first pass", *also]
    keep(
        benchmark,
        bytes=size,
        mb_s={name: size / 1e6 / s for name, s in seconds.items()},
        ratios={
            base: {
                # An infinite time is that of a task that failed.
                name: None if math.inf in (seconds[base], value) else seconds[base] / value
                for name, value in seconds.items()
            }
            for base in bases
            if base in seconds
        },
    )

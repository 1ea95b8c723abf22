"""Encoding and decoding the mix: ours against every peer, in one process and one thread."""

from __future__ import annotations

import math

from benchmarks.ours import FLAGSHIP
from benchmarks.peers import TIKTOKEN
from benchmarks.rounds import Prepared, each, interleave, keep
from benchmarks.systems import fidelity
from benchmarks.texts import languages, one_text

_SINGLE = (FLAGSHIP, TIKTOKEN, "gigatoken", "quicktok (cl100k split)", "sentencepiece")


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


def bench_lengths(benchmark, text, built, run):
    """Single strings of ten bytes to a megabyte, one call each, to a list."""
    most = int(1_000_000 * run.scale)
    whole = one_text(text.texts, most).encode()[:most].decode(errors="ignore")
    pieces: dict[int, list[str]] = {}
    for length in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
        if length <= most:
            many = max(1, most // 5 // length)
            pieces[length] = [whole[i * length : (i + 1) * length] for i in range(many)]
    systems = [name for name in _SINGLE if name in built[0]]
    tasks = {f"{n}|{name}": each(built[0][name].encode, pieces[n]) for n in pieces for name in systems}
    _keep_by_text(benchmark, interleave(benchmark, tasks, run.rounds))


def bench_languages(benchmark, built, run):
    """Text to an array, or a list where a system has none, by language."""
    found = languages(int(400_000 * run.scale))
    systems = [name for name in _SINGLE if name in built[0]]
    calls = {name: built[0][name].array or built[0][name].encode for name in systems}
    if TIKTOKEN in calls:
        calls[TIKTOKEN] = built[0][TIKTOKEN].encode  # its faster call
    tasks = {f"{language}|{name}": each(call, found[language]) for language in found for name, call in calls.items()}
    if tasks:
        _keep_by_text(benchmark, interleave(benchmark, tasks, max(3, run.rounds // 2)))


def _keep_by_text(benchmark, seconds):
    ratios: dict[str, dict[str, float | None]] = {}
    for key, value in seconds.items():
        what, _, system = key.partition("|")
        base = seconds.get(f"{what}|{TIKTOKEN}", math.inf)
        ratios.setdefault(what, {})[system] = None if math.inf in (base, value) else base / value
    keep(benchmark, ratios=ratios)


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

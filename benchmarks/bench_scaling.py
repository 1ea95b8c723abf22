"""Time and memory for a hundred times the text, in one call."""

from __future__ import annotations

from benchmarks.rounds import interleave, keep
from benchmarks.texts import one_text

_TIMES = 100


def bench_scaling(benchmark, text, flagship, run):
    """The same megabyte once and a hundred times over, as one string each, to an array."""
    small = one_text(text.texts, int(1_000_000 * run.scale))
    large = small * _TIMES
    tasks = {
        "1 MB": lambda: flagship.encode_array(small, False),
        "100 MB": lambda: flagship.encode_array(large, False),
    }
    seconds = interleave(benchmark, tasks, max(3, run.rounds // 2))
    same = bool((flagship.encode_array(large[: len(small)], False) == flagship.encode_array(small, False)).all())
    keep(
        benchmark,
        bytes=len(small.encode()),
        times=_TIMES,
        over=seconds["100 MB"] / seconds["1 MB"],
        mb_s={name: len(t.encode()) / 1e6 / seconds[name] for name, t in (("1 MB", small), ("100 MB", large))},
        same_ids=same,
    )

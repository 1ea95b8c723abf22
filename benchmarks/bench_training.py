"""Mining, pruning and training: how fast each is on a little text, one thread. What bounds them is in the notes."""

from __future__ import annotations

import statistics
import time

import pytest

from benchmarks.rounds import keep
from benchmarks.texts import mix, one_text
from tokframe.training.progress import SilentReporter

_LIMIT = 40_000


def bench_mining_and_pruning(benchmark, run):
    """Candidates from a few MB, then rounds of pruning down to a vocabulary of 8,192."""
    pytest.importorskip("tokframe_dictionary")
    from tokframe_dictionary.mining.candidates import mine
    from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
    from tokframe_dictionary.mining.pruning import Pruning
    from tokframe_dictionary.mining.sources import Gathered, balance

    config = MiningConfig(words=False, limit=_LIMIT)
    size = int(4_000_000 * run.scale)
    data = one_text(mix(size, "train").texts, size).encode()
    gathered = Gathered(config.budget, lambda: [data])
    gathered.add(data)
    sources = balance({"mix": gathered}, config)
    seconds: dict[str, float] = {}

    def work():
        start = time.perf_counter()
        candidates = mine(sources, config)
        mined = time.perf_counter()
        pool = Pruning(sources=sources, config=SelectionConfig()).prune(candidates.segments, 8192)
        seconds.update(mining=mined - start, pruning=time.perf_counter() - mined)
        keep(benchmark, candidates=len(candidates), kept=len(pool))

    benchmark.pedantic(work, rounds=1)
    keep(
        benchmark,
        bytes=len(data),
        mb_s={name: len(data) / 1e6 / value for name, value in seconds.items()},
        seconds=seconds,
    )


class _Speeds(SilentReporter):
    """Keeps the speed that training reports for each stretch of steps, evaluations left out."""

    def __init__(self):
        self.now = ""
        self.found: dict[str, list[float]] = {}

    def stage(self, name, total=None, unit=""):
        self.now = name

    def advance(self, done, **figures):
        if "segments_per_s" in figures:
            self.found.setdefault(self.now, []).append(figures["segments_per_s"])


def bench_training(benchmark, flagship, tmp_path, run):
    """Segments a second through the shipped network's training, from scratch, for a few hundred steps."""
    torch = pytest.importorskip("torch")
    loop = pytest.importorskip("tokframe_autoencoder.training.loop")
    if not hasattr(flagship, "parts"):
        pytest.skip("the tokenizer measured has no network")
    import attrs
    import numpy

    parts = flagship.parts
    torch.set_num_threads(1)
    steps = max(20, int(200 * run.scale))
    config = attrs.evolve(parts.training, max_steps=steps, eval_interval=steps // 4, code_steps=steps // 2, threads=1)
    segments = [flagship.token_bytes(token) for token in range(4, min(flagship.vocab_size, 2052))]
    speeds = _Speeds()
    benchmark.pedantic(
        lambda: loop.train_network(
            parts.network, segments, numpy.ones(len(segments)), config, workdir=tmp_path / "network", reporter=speeds
        ),
        rounds=1,
    )
    keep(
        benchmark,
        steps=steps,
        batch=config.batch_size,
        segments_per_second={name: statistics.median(values) for name, values in speeds.found.items()},
        precision=config.precision,
    )

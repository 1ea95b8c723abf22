"""Two threads against one: `encode_batch` of a thousand documents, and the same through arrays."""

from __future__ import annotations

from benchmarks.peers import TIKTOKEN
from benchmarks.rounds import interleave, keep
from benchmarks.texts import documents

_THREADS = (1, 2)


def bench_threads(benchmark, text, flagship, run):
    """One thousand documents of 4 kB, as lists, padded arrays and back."""
    docs = documents(text.texts, max(100, int(1000 * run.scale)), 4000)
    rows = flagship.encode_batch(docs, False)
    calls = {
        "encode_batch": lambda n: flagship.encode_batch(docs, False, threads=n),
        "encode_batch_padded": lambda n: flagship.encode_batch_padded(docs, False, threads=n),
        "decode_batch": lambda n: flagship.decode_batch(rows, threads=n),
    }
    tasks = {f"{name} {n}": lambda c=call, n=n: c(n) for name, call in calls.items() for n in _THREADS}
    seconds = interleave(benchmark, tasks, run.rounds)
    _keep_scaling(benchmark, seconds, list(calls), docs)


def bench_threads_of_peers(benchmark, text, built, run):
    """tiktoken's own batch call on the same documents, for comparison."""
    import pytest

    if TIKTOKEN not in built[0]:
        pytest.skip("tiktoken is not installed")
    encode = built[0][TIKTOKEN].encode
    encoding = encode.__self__
    docs = documents(text.texts, max(100, int(1000 * run.scale)), 4000)
    tasks = {f"tiktoken {n}": lambda n=n: encoding.encode_ordinary_batch(docs, num_threads=n) for n in _THREADS}
    seconds = interleave(benchmark, tasks, max(3, run.rounds // 2))
    _keep_scaling(benchmark, seconds, ["tiktoken"], docs)


def _keep_scaling(benchmark, seconds, names, docs):
    size = sum(len(doc.encode()) for doc in docs)
    keep(
        benchmark,
        documents=len(docs),
        bytes=size,
        speedup={name: seconds[f"{name} 1"] / seconds[f"{name} 2"] for name in names},
        mb_s={name: size / 1e6 / s for name, s in seconds.items()},
    )

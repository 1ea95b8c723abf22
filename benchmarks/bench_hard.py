"""Inputs that slow tokenizers down, as time per byte over the same system's time per byte of normal text."""

from __future__ import annotations

from benchmarks.ours import FLAGSHIP
from benchmarks.peers import HF, TIKTOKEN
from benchmarks.rounds import interleave, keep
from benchmarks.texts import hard_inputs, one_text

_SYSTEMS = (FLAGSHIP, TIKTOKEN, HF, "gigatoken", "sentencepiece", "word")
_NORMAL = "normal text"


def bench_hard(benchmark, text, built, flagship, run):
    """One megabyte of each, in one call."""
    size = int(1_000_000 * run.scale)
    inputs = {_NORMAL: one_text(text.texts, size), **hard_inputs(size)}
    tasks = {}
    for system in _SYSTEMS:
        if system not in built[0]:
            continue
        for name, data in inputs.items():
            if isinstance(data, bytes):  # only ours takes bytes
                if system == FLAGSHIP:
                    tasks[f"{system}|{name}"] = lambda d=data: flagship.encode_raw(d)
                continue
            call = built[0][system].array or built[0][system].encode
            tasks[f"{system}|{name}"] = lambda c=call, d=data: c(d)
    seconds = interleave(benchmark, tasks, max(3, run.rounds // 2))
    sizes = {name: len(data if isinstance(data, bytes) else data.encode()) for name, data in inputs.items()}
    per_byte: dict[str, dict[str, float]] = {}
    for key, value in seconds.items():
        system, _, name = key.partition("|")
        per_byte.setdefault(system, {})[name] = value / sizes[name] * 1e9
    keep(
        benchmark,
        bytes=size,
        nanoseconds_per_byte=per_byte,
        over_normal={
            system: {name: value / row[_NORMAL] for name, value in row.items() if name != _NORMAL}
            for system, row in per_byte.items()
        },
    )


def bench_hard_decode(benchmark, flagship, text, run):
    """The ids of the same inputs, back to bytes."""
    size = int(1_000_000 * run.scale)
    inputs = {_NORMAL: one_text(text.texts, size), **hard_inputs(size)}
    data = {name: value if isinstance(value, bytes) else value.encode() for name, value in inputs.items()}
    ids = {name: flagship.encode_raw(value) for name, value in data.items()}
    wrong = [name for name in data if flagship.decode_raw(ids[name]) != data[name]]
    tasks = {name: lambda i=ids[name]: flagship.decode_raw(i) for name in ids}
    seconds = interleave(benchmark, tasks, run.rounds)
    per_byte = {name: value / len(data[name]) * 1e9 for name, value in seconds.items()}
    keep(
        benchmark,
        nanoseconds_per_byte=per_byte,
        over_normal={name: value / per_byte[_NORMAL] for name, value in per_byte.items() if name != _NORMAL},
        not_exact=wrong,
    )

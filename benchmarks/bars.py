"""The figures that are promised, each with its bar and its aim, and where in a run's record it is found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from benchmarks.ours import FLAGSHIP

__all__ = ["BARS", "Bar", "Verdict", "judge"]

Record = Mapping[str, Mapping[str, Any]]
#: Inputs whose time per byte is promised; others are shown and not judged.
_PROMISED = ("letter a", "spaces", "random bytes", "random Latin-1", "one emoji", "random emoji")


@frozen
class Bar:
    """One promise. `least` says that more is better; `unit` is written after the figure."""

    title: str
    bar: float
    aim: float
    unit: str
    least: bool
    figure: Callable[[Record], float | None]
    detail: str = ""


@frozen(kw_only=True)
class Verdict:
    """A promise beside what was measured; `result` is reached, bar reached, missed or not measured."""

    bar: Bar
    measured: float | None
    result: str


def judge(record: Record) -> list[Verdict]:
    """Hold a run's record against every bar."""
    verdicts = []
    for bar in BARS:
        try:
            measured = bar.figure(record)
        except (KeyError, TypeError, ZeroDivisionError):
            measured = None
        verdicts.append(Verdict(bar=bar, measured=measured, result=_result(bar, measured)))
    return verdicts


def _result(bar: Bar, measured: float | None) -> str:
    if measured is None or math.isnan(measured):
        return "not measured"
    sign = 1 if bar.least else -1
    if sign * measured >= sign * bar.aim:
        return "aim reached"
    return "bar reached" if sign * measured >= sign * bar.bar else "missed"


def _against(bench: str, *bases: str) -> Callable[[Record], float | None]:
    """Speed over the fastest of what the bases measured: a peer's own best call counts."""

    def figure(record: Record) -> float | None:
        ratios = [record[bench]["ratios"][base][FLAGSHIP] for base in bases if base in record[bench]["ratios"]]
        known = [value for value in ratios if value is not None]
        return min(known) if known else None

    return figure


def _startup(key: str) -> Callable[[Record], float | None]:
    return lambda record: record["bench_startup"]["figures"][FLAGSHIP][key]


def _worst(record: Record) -> float | None:
    over = record["bench_hard"]["over_normal"][FLAGSHIP]
    return max(over[name] for name in _PROMISED)


def _network(name: str) -> Callable[[Record], float | None]:
    return lambda record: record["bench_network"]["milliseconds"][name]


BARS = (
    Bar(
        "`encode_array`, against tiktoken",
        8,
        17,
        "x",
        True,
        _against("bench_encode_array", "tiktoken", "tiktoken to a list"),
        "the faster of tiktoken's array and list calls; 17x was gigatoken's first pass when the aim was set",
    ),
    Bar("`encode` (a list), against tiktoken", 4, 8, "x", True, _against("bench_encode", "tiktoken")),
    Bar("`encode`, against the word tokenizer", 1, 5, "x", True, _against("bench_encode", "word")),
    Bar("`decode` to str, against tiktoken", 2, 4, "x", True, _against("bench_decode", "tiktoken"), "both from a list"),
    Bar(
        "two threads against one, `encode_batch`",
        1.7,
        1.9,
        "x",
        True,
        lambda record: record["bench_threads"]["speedup"]["encode_batch"],
        "1,000 documents of 4,000 characters",
    ),
    Bar(
        "time per byte on hard inputs, over normal text",
        3,
        1.5,
        "x",
        False,
        _worst,
        "the worst of 1 MB of `a`, spaces, random bytes, random Latin-1, emoji",
    ),
    Bar(
        "time for 100 MB over time for 1 MB",
        110,
        100,
        "x",
        False,
        lambda record: record["bench_scaling"]["over"],
        "the same text",
    ),
    Bar(
        "load to first encode, fresh process",
        300,
        100,
        "ms",
        False,
        _startup("ms"),
        "from `import tokframe` on, numpy's import included",
    ),
    Bar(
        "memory added by load and first encode",
        60,
        20,
        "MB",
        False,
        _startup("own_mb"),
        "memory of the process's own (USS), numpy's included",
    ),
    Bar("neural path: encode one 16-byte chunk", 0.5, 0.1, "ms", False, _network("encode a chunk"), "on the CPU"),
    Bar("neural path: decode one token", 1, 0.1, "ms", False, _network("decode a token"), "on the CPU"),
)

"""Targets: the figures that are promised, and where in a run's record each is found."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from benchmarks.ours import FLAGSHIP

__all__ = ["TARGETS", "Target", "Verdict", "judge"]

Record = Mapping[str, Mapping[str, Any]]
#: Inputs whose time per byte is promised; others are shown and not judged.
_PROMISED = ("letter a", "spaces", "random bytes", "random Latin-1", "one emoji", "random emoji")


@frozen
class Target:
    """One promised figure: the target it must meet and the goal beyond it, in which direction is better."""

    title: str
    target: float
    goal: float
    figure: Callable[[Record], float | None]
    detail: str = ""
    unit: str = "x"

    @property
    def more_is_better(self) -> bool:
        return self.goal > self.target

    def result(self, measured: float) -> str:
        """Return goal met, target met or missed."""
        sign = 1 if self.more_is_better else -1
        if sign * measured >= sign * self.goal:
            return "goal met"
        return "target met" if sign * measured >= sign * self.target else "missed"


@frozen(kw_only=True)
class Verdict:
    """A target beside what was measured; `result` is goal met, target met, missed or not measured."""

    target: Target
    measured: float | None
    result: str


def judge(record: Record) -> list[Verdict]:
    """Compare a run's record with every target."""
    verdicts = []
    for target in TARGETS:
        try:
            measured = target.figure(record)
        except (KeyError, TypeError):
            measured = None
        result = "not measured" if measured is None or math.isnan(measured) else target.result(measured)
        verdicts.append(Verdict(target=target, measured=measured, result=result))
    return verdicts


def _speed_over(bench: str, *bases: str, ours: str = FLAGSHIP) -> Callable[[Record], float | None]:
    """Speed over the fastest of what the bases measured: a peer's own best call counts."""

    def figure(record: Record) -> float | None:
        ratios = [record[bench]["ratios"][base][ours] for base in bases if base in record[bench]["ratios"]]
        return min((ratio for ratio in ratios if ratio is not None), default=None)

    return figure


def _value(*keys: str) -> Callable[[Record], Any]:
    return lambda record: functools.reduce(operator.getitem, keys, record)  # type: ignore[arg-type]


_neural = functools.partial(_value, "bench_network", "milliseconds")


def _slowest_hard_input(record: Record) -> float:
    over = record["bench_hard"]["over_normal"][FLAGSHIP]
    return max(over[name] for name in _PROMISED)


TARGETS = (
    Target(
        "`encode_array`, first pass, against tiktoken",
        14,
        25,
        _speed_over("bench_encode_array", "tiktoken", "tiktoken to a list", ours=f"{FLAGSHIP}, first pass"),
        "the faster of tiktoken's array and list calls; each round by a tokenizer just loaded",
    ),
    Target(
        "`encode_array`, warm, against tiktoken",
        20,
        34,
        _speed_over("bench_encode_array", "tiktoken", "tiktoken to a list"),
        "text that was encoded before; the goal is what gigatoken reached when it was set",
    ),
    Target("`encode` (a list), against tiktoken", 11, 13, _speed_over("bench_encode", "tiktoken")),
    Target("one line of 20 to 120 characters, against tiktoken", 4, 4.6, _speed_over("bench_short", "tiktoken")),
    Target("`encode`, against the word tokenizer", 1, 5, _speed_over("bench_encode", "word")),
    Target("`decode` to str, against tiktoken", 6, 9, _speed_over("bench_decode", "tiktoken"), "both from a list"),
    Target(
        "two threads against one, `encode_batch`",
        1.85,
        1.95,
        _value("bench_threads", "speedup", "encode_batch"),
        "1,000 documents of 4,000 characters",
    ),
    Target(
        "time per byte on hard inputs, over normal text",
        1.5,
        1,
        _slowest_hard_input,
        "the worst of 1 MB of `a`, spaces, random bytes, random Latin-1, emoji",
    ),
    Target("time for 100 MB over time for 1 MB", 110, 100, _value("bench_scaling", "over"), "the same text"),
    Target(
        "load to first encode, fresh process",
        120,
        80,
        _value("bench_startup", "figures", FLAGSHIP, "ms"),
        "from `import tokframe` on, numpy's import included",
        "ms",
    ),
    Target(
        "memory added by load and first encode",
        25,
        18,
        _value("bench_startup", "figures", FLAGSHIP, "own_mb"),
        "memory of the process's own (USS), numpy's included",
        "MB",
    ),
    Target("neural path: encode one 16-byte chunk", 0.5, 0.1, _neural("encode a chunk"), "on the CPU", "ms"),
    Target("neural path: decode one token", 1, 0.1, _neural("decode a token"), "on the CPU", "ms"),
)

"""Report of a run, as Markdown for `docs/performance.md`: the targets first, then what they are computed from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Verdict, judge
from benchmarks.ours import FLAGSHIP

__all__ = ["markdown", "read", "summary"]

_MARKS = {"target met": "target met, goal missed", "missed": "**missed**"}


def read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the head of a run and its record: benchmark name to its facts."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return data.get("tokframe", {}), {b["name"].partition("[")[0]: b["extra_info"] for b in data["benchmarks"]}


def summary(record: Mapping[str, Any]) -> str:
    """Return the table of targets as plain text."""
    rows = [("figure", "measured", "target", "goal", "")]
    for v in judge(record):
        result = "MISSED" if v.result == "missed" else v.result
        rows.append((v.target.title.replace("`", ""), *_numbers(v), result))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    absent = record.get("bench_fidelity", {}).get("absent", {})
    lines += [f"not measured: {name}: {reason}" for name, reason in absent.items()]
    return "\n".join(lines)


def markdown(head: Mapping[str, Any], record: Mapping[str, Any], command: str) -> str:
    """Return the whole report."""
    parts = [
        "# Performance",
        f"Written by `{command}`; do not edit. Ratios come from one run of one process and one thread, every system "
        "on the same text in interleaved rounds, medians. They carry over to other machines better than the absolute "
        "figures further down do. 1 MB is 10^6 bytes of UTF-8.",
    ]
    if head.get("quick"):
        parts.append("**This was a quick run on little text: not to be quoted.**")
    sections = (
        _targets,
        _systems,
        _encoding,
        _lengths,
        _languages,
        _hard,
        _threads,
        _startup,
        _neural,
        _training,
        _absolute,
    )
    parts += [_machine(head, record)] + [part for section in sections if (part := _safely(section, record))]
    return "\n\n".join(parts) + "\n"


def _safely(section: Callable[[Mapping[str, Any]], str], record: Mapping[str, Any]) -> str:
    try:
        return section(record)
    except KeyError:  # the benchmark it shows was left out or failed; the targets say so
        return ""


def _machine(head: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    facts = record.get("bench_fidelity", {})
    sources = ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in facts.get("sources", {}).items())
    corpus = "" if head.get("corpus") else " (no corpus folder was found, so the standard library alone)"
    return _table(
        ("run", ""),
        [
            ("date", head.get("date", "")),
            ("processor", f"{head.get('processor')}, {head.get('cores')} cores, load {head.get('load')} at the end"),
            ("system", head.get("system", "")),
            (
                "versions",
                f"tokframe {head.get('tokframe')} (`{head.get('flagship')}`), Python {head.get('python')}, numpy "
                f"{head.get('numpy')}, torch {head.get('torch')}",
            ),
            ("text", f"{facts.get('bytes', 0) / 1e6:.2f} MB in {facts.get('texts')} texts: {sources}{corpus}"),
        ],
    )


def _targets(record: Mapping[str, Any]) -> str:
    rows = []
    for v in judge(record):
        measured, target, goal = _numbers(v)
        detail = f"<br>{v.target.detail}" if v.target.detail else ""
        rows.append((v.target.title + detail, f"**{measured}**", target, goal, _MARKS.get(v.result, v.result)))
    return "## Targets and measurements\n\n" + _table(("figure", "measured", "target", "goal", ""), rows)


def _systems(record: Mapping[str, Any]) -> str:
    facts = record["bench_fidelity"]
    rows = []
    for name, found in facts["fidelity"].items():
        system = facts["systems"][name]
        same = "" if found["same_ids"] is None else f"{found['same_ids']}/{found['texts']} of {system['oracle']}"
        exact = f"{found['exact']}/{found['texts']}"
        rows.append((name, system["version"], system["note"], exact, same, f"{found['bytes_per_token']:.3f}"))
    rows += [(name, "", reason, "not measured", "", "") for name, reason in facts["absent"].items()]
    head = ("system", "version", "", "texts decoded exactly", "same ids as", "bytes per token")
    return "## Systems measured\n\n" + _table(head, rows)


def _encoding(record: Mapping[str, Any]) -> str:
    names = [("bench_encode_array", "encode to an array"), ("bench_encode", "encode to a list")]
    names += [("bench_decode", "decode a list to str"), ("bench_short", "encode a line, list")]
    found = {title: record[bench]["ratios"]["tiktoken"] for bench, title in names if bench in record}
    systems = list(dict.fromkeys(name for column in found.values() for name in column))
    rows = [(name, *(_times(column.get(name)) for column in found.values())) for name in systems]
    return "## Speed, as a multiple of tiktoken's\n\n" + _table(("system", *found), rows)


def _lengths(record: Mapping[str, Any]) -> str:
    title = "## Single strings by length, to a list, as a multiple of tiktoken's"
    return f"{title}\n\n" + _by_text(record["bench_lengths"]["ratios"], lambda length: f"{int(length):,} characters")


def _languages(record: Mapping[str, Any]) -> str:
    title = "## Languages, to an array, as a multiple of tiktoken's list call, which is its faster one"
    return f"{title}\n\n" + _by_text(record["bench_languages"]["ratios"], str)


def _by_text(ratios: Mapping[str, Mapping[str, float | None]], label: Callable[[str], str]) -> str:
    systems = list(dict.fromkeys(name for row in ratios.values() for name in row))
    rows = [(label(what), *(_times(row.get(name)) for name in systems)) for what, row in ratios.items()]
    return _table(("text", *systems), rows)


def _hard(record: Mapping[str, Any]) -> str:
    over = record["bench_hard"]["over_normal"]
    inputs = list(over[FLAGSHIP])
    rows = [(system, *(_times(row.get(name)) for name in inputs)) for system, row in over.items()]
    if "bench_hard_decode" in record:
        decode = record["bench_hard_decode"]["over_normal"]
        rows.append((f"{FLAGSHIP}, decode", *(_times(decode.get(name)) for name in inputs)))
    text = "Time per byte over the same system's on normal text; random bytes are not text, so only ours encodes them."
    return f"## Hard inputs\n\n{text}\n\n" + _table(("system", *inputs), rows)


def _threads(record: Mapping[str, Any]) -> str:
    speedups = record["bench_threads"]["speedup"] | record.get("bench_threads_of_peers", {}).get("speedup", {})
    rows = [(name, _times(speedup)) for name, speedup in speedups.items()]
    return "## Two threads against one\n\n" + _table(("call", "speed-up"), rows)


def _startup(record: Mapping[str, Any]) -> str:
    facts = record["bench_startup"]
    keys = ("ms", "load_ms", "first_encode_ms", "cpu_ms", "own_mb", "resident_mb")
    rows = [(name, *(f"{row[key]:,.1f}" for key in keys)) for name, row in facts["figures"].items()]
    rows += [(name, reason, *[""] * 5) for name, reason in facts["failed"].items()]
    head = ("system", "to first ids, ms", "of it load", "first encode", "CPU ms", "own memory, MB", "resident, MB")
    text = "From nothing imported to the first ids, in fresh processes on a warm disk."
    parts = [f"## Starting up\n\n{text}\n\n" + _table(head, rows)]
    if "bench_imports" in record:
        costs = ", ".join(f"{name} {ms:.0f}" for name, ms in record["bench_imports"]["cpu_ms"].items())
        parts.append(f"CPU milliseconds of importing each by itself: {costs}.")
    return "\n\n".join(parts)


def _neural(record: Mapping[str, Any]) -> str:
    facts = record["bench_network"]
    rows = [(name, f"{ms:,.3f}", f"{facts['per_second'][name]:,.0f}") for name, ms in facts["milliseconds"].items()]
    parts = ["## The neural path, CPU, one thread\n\n" + _table(("call", "ms", "items/s"), rows)]
    if "bench_fsq" in record:
        times = record["bench_fsq"]["microseconds_per_1024"]
        rows = [(name, f"{value:,.0f}") for name, value in times.items()]
        parts.append("FSQ on 1,024 latents:\n\n" + _table(("way", "µs"), rows))
    if "bench_int8" in record:
        facts = record["bench_int8"]
        agreement = ", ".join(f"{name} {value:.3%}" for name, value in facts["agreement"].items())
        text = f"The encoder through onnxruntime; codes equal to the ids' own, of {facts['codes']:,}: {agreement}."
        rows = [(name, f"{value:,.3f}") for name, value in facts["milliseconds"].items()]
        parts.append(text + "\n\n" + _table(("way", "ms"), rows))
    if "bench_cache" in record:
        rows = [(name, f"{value:.1%}") for name, value in record["bench_cache"]["hit_rate"].items()]
        parts.append("The cache of codes on text:\n\n" + _table(("looked up", "hit rate"), rows))
    return "\n\n".join(parts)


def _training(record: Mapping[str, Any]) -> str:
    rows = []
    if "bench_mining_and_pruning" in record:
        facts = record["bench_mining_and_pruning"]
        rows += [
            (name, f"{value:.2f} MB/s", f"{facts['seconds'][name]:.1f} s") for name, value in facts["mb_s"].items()
        ]
    if "bench_training" in record:
        facts = record["bench_training"]
        over = f"{facts['steps']} steps of {facts['batch']} in all, {facts['precision']}"
        rows += [(name, f"{v:,.0f} segments/s", over) for name, v in facts["segments_per_second"].items()]
    return "## Training\n\n" + _table(("stage", "speed", "measured over"), rows) if rows else ""


def _absolute(record: Mapping[str, Any]) -> str:
    benches = ("bench_encode_array", "bench_encode", "bench_decode", "bench_threads", "bench_scaling")
    rows = [
        (bench.removeprefix("bench_"), name, f"{value:,.1f}")
        for bench in benches
        if bench in record
        for name, value in record[bench]["mb_s"].items()
    ]
    text = "On this machine at that time, other load included: compare ratios, not these."
    return f"## Absolute, MB/s\n\n{text}\n\n" + _table(("what", "system", "MB/s"), rows)


def _numbers(v: Verdict) -> tuple[str, str, str]:
    unit = "x" if v.target.unit == "x" else f" {v.target.unit}"
    sign = "at least " if v.target.more_is_better else "at most "
    measured = "-" if v.measured is None else f"{_number(v.measured)}{unit}"
    return measured, f"{sign}{_number(v.target.target)}{unit}", f"{_number(v.target.goal)}{unit}"


def _number(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if value >= 200 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _times(value: float | None) -> str:
    if value is None:
        return "-"
    return "failed" if value == float("inf") else f"{value:.2f}x"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)

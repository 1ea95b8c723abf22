"""A comparison as a table for people: measures down, tokenizers across, the best marked, ratios to a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import frozen
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tokframe.evaluate.comparison import Comparison, Row

__all__ = ["Figure", "Line", "comparison_table", "figures", "heading", "sections", "short_labels"]

_LABEL_WIDTH = 26
_NO = "NO"
_SOURCES = 12  # sources with a line of their own; the rest are in the JSON


@frozen
class Line:
    """One measure: its label, its figure, how it is written, and which end of the scale is good."""

    label: str
    figure: Callable[[Row], float | None]
    text: Callable[[float], str]
    better: int = 0  # 1: more is better, -1: less is better, 0: neither
    exact: bool = False  # only a tokenizer that lost nothing can be best: leaving text out saves tokens


@frozen
class Figure:
    """One figure as it is shown: its text, whether it is the best of its line, its ratio to the baseline or ""."""

    text: str
    best: bool
    ratio: str


def comparison_table(comparison: Comparison, baseline: str = "", width: int = 100) -> RenderableType:
    """Return the comparison as a rich renderable at most `width` columns wide.

    `baseline` names the tokenizer that ratios refer to, by default the last. More tokenizers than fit beside one
    another make several tables.
    """
    names = list(comparison.rows)
    baseline = baseline or names[-1]
    labels = short_labels(names)
    column = max(16, *(len(label) + 2 for label in labels.values()))
    beside = max(1, (width - _LABEL_WIDTH - 2) // (column + 1))
    parts: list[RenderableType] = [_heading(comparison), Text()]
    for start in range(0, len(names), beside):
        parts += [_table(comparison, names[start : start + beside], labels, baseline, column), Text()]
    parts.append(_footer(comparison, labels[baseline] if len(names) > 1 else ""))
    return Group(*parts)


def heading(comparison: Comparison) -> str:
    """Return what was compared on what: sources, files, size."""
    corpus = comparison.corpus
    sources = list(corpus["sources"])
    what = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if len(sources) > 4 else "")
    files = f"{corpus['files']:,} file" + ("s" if corpus["files"] != 1 else "")
    return f"Comparison on {what}: {files}, {_size(corpus['bytes'])}"


def _heading(comparison: Comparison) -> Text:
    text = Text(heading(comparison))
    text.stylize("bold", 0, len("Comparison "))
    return text


def _footer(comparison: Comparison, baseline: str) -> Text:
    ratios = ""
    if baseline:
        ratios = f"* best   x ratio to {baseline}   "
        if {row.total.lossless for row in comparison.rows.values()} == {True, False}:
            ratios = f"* best (for compression: of those that come back exactly)   x ratio to {baseline}\n"
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items() if name != "system")
    return Text(f"{ratios}speed: one thread, 1 MB = 10^6 bytes of text\n{versions}", style="dim")


def _table(
    comparison: Comparison, names: Sequence[str], labels: dict[str, str], baseline: str, column: int
) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="bold", pad_edge=False)
    table.add_column("", width=_LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
    for name in names:
        table.add_column(labels[name], justify="right", width=column, overflow="ellipsis", no_wrap=True)
    for title, lines in sections(comparison):
        table.add_row(Text(title, style="bold cyan"))
        for line in lines:
            cells = _cells(comparison, line, baseline)
            table.add_row(Text("  " + line.label), *(cells[name] for name in names))
    left_out = len(comparison.corpus["sources"]) - _SOURCES
    if left_out > 0:
        table.add_row(Text(f"  {left_out} smaller ones: --json", style="dim"))
    return table


def figures(comparison: Comparison, line: Line, baseline: str) -> dict[str, Figure | None]:
    """Return one line's figure of each tokenizer as it is shown; None where it could not be measured."""
    values = {name: line.figure(row) for name, row in comparison.rows.items()}
    fair = {name for name, row in comparison.rows.items() if row.total.lossless or not line.exact}
    known = [value for name, value in values.items() if value is not None and name in fair]
    best = (max(known) if line.better > 0 else min(known)) if known and line.better and len(values) > 1 else None
    if best is not None and len({line.text(value) for value in known}) == 1:
        best = None  # where all are equal none is best
    base = values[baseline]
    found: dict[str, Figure | None] = {}
    for name, value in values.items():
        if value is None:
            found[name] = None
            continue
        text = line.text(value)
        wins = best is not None and name in fair and text == line.text(best)
        has_ratio = len(values) > 1 and line.better and line.text in _RATIO_KINDS and name != baseline and value
        found[name] = Figure(text, wins, _ratio(value / base) if has_ratio and base else "")
    return found


def _cells(comparison: Comparison, line: Line, baseline: str) -> dict[str, Text]:
    cells = {}
    for name, figure in figures(comparison, line, baseline).items():
        if figure is None:
            cells[name] = Text("n/a", style="dim")
            continue
        style = "bold green" if figure.best else "bold yellow" if figure.text == _NO else ""
        cells[name] = Text(figure.text + ("*" if figure.best else " "), style=style)
        if len(comparison.rows) > 1:
            cells[name].append(f"{figure.ratio:>7}", style="not bold dim")
    return cells


def sections(comparison: Comparison) -> Iterator[tuple[str, list[Line]]]:
    """Yield the sections of the comparison, each with its title and its lines."""
    yield (
        "compression",
        [
            Line("bytes per token", lambda row: row.total.bytes_per_token, _three, 1, exact=True),
            Line("characters per token", lambda row: row.total.chars_per_token, _three, 1, exact=True),
            Line("tokens", lambda row: row.total.tokens, _whole),
        ],
    )
    yield (
        "fidelity",
        [
            Line("comes back exactly", lambda row: float(row.total.lossless), _yes),
            Line("unknown tokens", lambda row: row.total.unknown_rate, _percent, -1),
        ],
    )
    yield (
        "speed and cost",
        [
            Line("encode MB/s", lambda row: row.speed.encode_mb_s, _speed, 1),
            Line("decode MB/s", lambda row: row.speed.decode_mb_s, _speed, 1),
            Line("load ms", lambda row: row.footprint.load_ms, _rounded, -1),
            Line("memory MB", lambda row: row.footprint.memory_mb, _rounded, -1),
        ],
    )
    yield (
        "vocabulary",
        [
            Line("ids", lambda row: row.vocab_size, _whole),
            Line("ids used by this text", lambda row: row.total.vocab_used, _whole),
        ],
    )
    sources = list(comparison.corpus["sources"])
    if len(sources) > 1:
        sources.sort(key=lambda name: -comparison.corpus["sources"][name])
        yield (
            "bytes/token by source",
            [Line(name, _of_source(name), _three, 1, exact=True) for name in sources[:_SOURCES]],
        )


def _of_source(name: str) -> Callable[[Row], float | None]:
    return lambda row: row.sources[name].bytes_per_token


def short_labels(names: Sequence[str]) -> dict[str, str]:
    """Return a name for each column: of a path only its end, where that still tells them apart."""
    ends = {name: name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or name for name in names}
    seen = list(ends.values())
    return {name: end if seen.count(end) == 1 else name for name, end in ends.items()}


def _three(value: float) -> str:
    return f"{value:.3f}"


def _speed(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _whole(value: float) -> str:
    return f"{int(value):,}"


def _percent(value: float) -> str:
    return f"{value:.2%}" if value else "none"


def _yes(value: float) -> str:
    return "yes" if value else _NO


def _ratio(value: float) -> str:
    return f"x{value:.2f}" if value < 99.5 else f"x{value:,.0f}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


#: Ways of writing a figure of which a ratio means something.
_RATIO_KINDS = (_three, _speed, _rounded)

"""Charts: a comparison as inline SVG. Each series has a color and a marker of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from tokframe.evaluate.measures import length_distribution, rank_frequency
from tokframe.evaluate.report.drawing import FAINT, INK, MARKERS, SERIES, logarithmic, plain, printable, svg

if TYPE_CHECKING:
    from tokframe.evaluate.columns import Row
    from tokframe.evaluate.comparison import Comparison
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Chart", "bars", "charts", "curves", "dots"]

_MAX_ROWS = 40  # sources or files in a chart
_MAX_LENGTH = 16  # bytes of a token; longer ones are one point of the chart of lengths
_MAX_LABEL_CHARS = 20
_ROW_HEIGHT = 20


@frozen
class Chart:
    """A drawing with what to write above it; `svg` is markup."""

    title: str
    note: str
    svg: str


def charts(comparison: Comparison, tokenizers: Mapping[str, ITokenizer], labels: Mapping[str, str]) -> list[Chart]:
    """Return the charts of a comparison; `labels` are the names of the tokenizers as they are shown."""
    rows = comparison.rows
    density, note = _density(comparison)
    found = [("Compression", f"Bytes per token, by {note}", dots("Bytes per token", density))]
    for title, key in (("Encoding speed", "encode_mb_s"), ("Decoding speed", "decode_mb_s")):
        values = [getattr(row.speed, key) for row in rows.values()]
        texts = [f"{value:,.1f}" for value in values]
        found.append((title, "MB of text a second, one thread.", bars(title, list(labels.values()), values, texts)))
    title = "Length of tokens"
    lines = [_length_shares(row, tokenizers[name]) for name, row in rows.items()]
    drawing = curves(title, lines, "bytes of a token", "% of tokens")
    found.append((title, f"Percent of the text's tokens, by the bytes they spell; {_MAX_LENGTH} and more.", drawing))
    title = "Vocabulary used"
    values = [row.total.vocab_used / row.vocab_size for row in rows.values()]
    texts = [f"{share:.0%} of {row.vocab_size:,}" for share, row in zip(values, rows.values(), strict=True)]
    drawing = bars(title, list(labels.values()), values, texts, top=1.0)
    found.append((title, "Share of ids that occur in this text.", drawing))
    title = "How often ids are used"
    ranks = [rank_frequency(row.total.counts) for row in rows.values()]
    drawing = curves(title, ranks, "rank of the id", "times used", log=True)
    found.append((title, "Times an id occurs, most frequent first; both axes are logarithmic.", drawing))
    return [Chart(*each) for each in found]


def dots(title: str, rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """Return one row a label, with a dot per series on a scale from 0; a None has no dot."""
    known = [[value for value in values if value is not None] for _, values in rows]
    series: dict[int, list[tuple[float, int, str]]] = {}
    for place, (label, values) in enumerate(rows):
        for number, value in enumerate(values):
            if value is not None:
                series.setdefault(number, []).append((value, place, f"{printable(label)}: {value:.2f}"))

    def draw(axes: Any) -> None:
        _rows(axes, [label for label, _ in rows])
        for place, values in enumerate(known):
            if values:
                axes.hlines(place, min(values), max(values), color=FAINT, alpha=0.5, linewidth=1.5)
        for number, points in series.items():
            x, y = [point[0] for point in points], [point[1] for point in points]
            axes.plot(x, y, linestyle="", gid=f"series-{number}", markersize=9, **_look(number))
        axes.set_xlim(0, 1.06 * max((value for values in known for value in values), default=1.0) or 1.0)
        axes.grid(visible=False, axis="y")
        axes.spines[["left", "bottom"]].set_visible(False)

    tips = {f"series-{number}": [tip for _, _, tip in points] for number, points in series.items()}
    return svg(title, _ROW_HEIGHT * max(1, len(rows)) + 30, draw, tips)


def bars(
    title: str, labels: Sequence[str], values: Sequence[float], texts: Sequence[str], top: float | None = None
) -> str:
    """Return one bar a label, in the color of its series, with a text beside it."""

    def draw(axes: Any) -> None:
        _rows(axes, labels)
        drawn = axes.barh(
            range(len(values)), values, height=0.7, color=[SERIES[i % len(SERIES)] for i in range(len(values))]
        )
        axes.bar_label(drawn, texts, padding=5, fontsize=10)
        room = min(0.6, 0.028 * max(map(len, texts), default=0))  # of the width, for the texts
        axes.set_xlim(0, (top or max(values, default=1.0) or 1.0) / (1 - room))
        axes.grid(visible=False)
        axes.xaxis.set_visible(False)
        axes.spines[["left", "bottom"]].set_visible(False)

    return svg(title, _ROW_HEIGHT * max(1, len(values)) + 12, draw)


def curves(
    title: str, lines: Sequence[Sequence[tuple[int, float]]], x_title: str, y_title: str, log: bool = False
) -> str:
    """Return a line per series over axes from 0, or over two logarithmic ones from 1."""

    def draw(axes: Any) -> None:
        if log:
            logarithmic(axes)
        for number, points in enumerate(lines):
            x, y = [point[0] for point in points], [point[1] for point in points]
            every = 1 if len(points) <= 24 else len(points) // 6
            axes.plot(x, y, markevery=every, markersize=7, **_look(number))
        low = 1 if log else 0
        axes.set_xlim(left=low)
        axes.set_ylim(bottom=low)
        if not log:
            axes.yaxis.set_major_formatter(plain)
        axes.set_xlabel(x_title, loc="right", fontsize=9, color=FAINT)
        axes.set_title(y_title, loc="left", fontsize=9, color=FAINT)

    return svg(title, 230, draw)


def _rows(axes: Any, labels: Sequence[str]) -> None:
    """Put labels at 0, 1, ... from the top; a long one keeps its end, which tells file names apart."""
    shown = [printable(label) for label in labels]
    shown = [label if len(label) <= _MAX_LABEL_CHARS else "\u2026" + label[1 - _MAX_LABEL_CHARS :] for label in shown]
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK, labelsize=10)


def _look(number: int) -> dict[str, Any]:
    return {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)]}


def _density(comparison: Comparison) -> tuple[list[tuple[str, list[float | None]]], str]:
    """Return bytes per token by source, or by file where there is but one source, and what was left out."""
    rows = list(comparison.rows.values())
    by_source = len(comparison.corpus["sources"]) > 1
    parts = [row.sources if by_source else row.files for row in rows]
    names = sorted(parts[0], key=lambda name: -parts[0][name].bytes)[:_MAX_ROWS]
    left_out = f" The {len(names)} largest of {len(parts[0]):,} are shown." if len(names) < len(parts[0]) else ""
    note = f"{'source' if by_source else 'file'}: more is denser.{left_out}"
    return [
        (name, [part[name].bytes_per_token for part in parts]) for name in (sorted(names) if by_source else names)
    ], note


def _length_shares(row: Row, tokenizer: ITokenizer) -> list[tuple[int, float]]:
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], np.int64)
    found = length_distribution(np.minimum(lengths, _MAX_LENGTH), row.total.counts)
    longest = max((size for size, _, tokens in found if tokens), default=0)
    return [(size, 100 * tokens / max(1, row.total.tokens)) for size, _, tokens in found if 1 <= size <= longest]

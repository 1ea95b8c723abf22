"""Charts: a comparison as inline SVG. Each series has a color and a marker of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from tokframe.evaluate.languages import is_english, relative_costs
from tokframe.evaluate.measures import length_distribution, rank_frequency
from tokframe.evaluate.report.drawing import FAINT, INK, SERIES, logarithmic, svg
from tokframe.storage.printable import printable

if TYPE_CHECKING:
    from tokframe.evaluate.columns import Row
    from tokframe.evaluate.comparison import Comparison
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Chart", "bars", "charts", "curves", "dots"]

_MAX_ROWS = 40  # sources or files in a chart
_MAX_LENGTH = 16  # bytes of a token; longer ones are one point of the chart of lengths
_MAX_LABEL_CHARS = 20
_MARKERS = "os^DvP"


@frozen
class Chart:
    """A drawing, and what to write above it; `svg` is markup."""

    title: str
    note: str
    svg: str


def charts(comparison: Comparison, tokenizers: Mapping[str, ITokenizer], labels: Sequence[str]) -> list[Chart]:
    """Return the charts of a comparison; `labels` are the names of the tokenizers as they are shown."""
    rows = list(comparison.rows.values())
    speed_note = "MB of text a second, one thread."
    encode, decode = [row.speed.encode_mb_s for row in rows], [row.speed.decode_mb_s for row in rows]
    used = [row.total.vocab_used / row.vocab_size for row in rows]
    used_texts = [f"{share:.0%} of {row.vocab_size:,}" for share, row in zip(used, rows, strict=True)]
    length_note = (
        f"Percent of the text's tokens, by the bytes they spell; {_MAX_LENGTH} stands for all longer ones too."
    )
    lengths = [_length_shares(row, tokenizers[name]) for name, row in comparison.rows.items()]
    rank_note = "Times an id occurs, most frequent first; both axes are logarithmic."
    ranks = [rank_frequency(row.total.counts) for row in rows]
    costs = _costs(comparison)
    cost_note = "Tokens per character over those of English, by language: less is cheaper."
    return [
        dots("Bytes per token", *_density(comparison)),
        *([dots("Cost relative to English", cost_note, costs)] if costs else []),
        bars("Encoding speed", speed_note, labels, encode, [f"{value:,.1f}" for value in encode]),
        bars("Decoding speed", speed_note, labels, decode, [f"{value:,.1f}" for value in decode]),
        curves("Length of tokens", length_note, lengths, "bytes of a token", "% of tokens"),
        bars("Vocabulary used", "Share of ids that occur in this text.", labels, used, used_texts, top=1.0),
        curves("How often ids are used", rank_note, ranks, "rank of the id", "times used", log=True),
    ]


def dots(title: str, note: str, rows: Sequence[tuple[str, Sequence[float | None]]]) -> Chart:
    """Return one row a label, with a dot per series on a scale from 0; a None has no dot."""
    series: dict[int, list[tuple[float, int, str]]] = {}
    for place, (label, values) in enumerate(rows):
        for number, value in enumerate(values):
            if value is not None:
                series.setdefault(number, []).append((value, place, f"{_on_one_line(label)}: {value:.2f}"))

    def draw(axes: Any) -> None:
        _name_rows(axes, [label for label, _ in rows])
        for place, (_, values) in enumerate(rows):
            if known := [value for value in values if value is not None]:
                axes.hlines(place, min(known), max(known), color=FAINT, alpha=0.5, linewidth=1.5)
        for number, points in series.items():
            x, y, _ = zip(*points, strict=True)
            axes.plot(x, y, linestyle="", gid=f"series-{number}", markersize=9, **_look(number))
        axes.set_xlim(0, 1.06 * max((value for points in series.values() for value, _, _ in points), default=1) or 1)
        axes.grid(visible=False, axis="y")

    tips = {f"series-{number}": [tip for _, _, tip in points] for number, points in series.items()}
    return Chart(title, note, svg(title, _height(rows) + 18, draw, tips))


def bars(
    title: str, note: str, labels: Sequence[str], values: Sequence[float], texts: Sequence[str], top: float = 0.0
) -> Chart:
    """Return one bar a label, in the color of its series, with a text beside it; the longest stands for `top`."""

    def draw(axes: Any) -> None:
        _name_rows(axes, labels)
        colors = [_look(number)["color"] for number in range(len(values))]
        axes.bar_label(axes.barh(range(len(values)), values, height=0.7, color=colors), texts, padding=5)
        room = min(0.6, 0.028 * max(map(len, texts), default=0))  # of the width, for the texts
        axes.set_xlim(0, (top or max(values, default=1.0) or 1.0) / (1 - room))
        axes.grid(visible=False)
        axes.xaxis.set_visible(False)

    return Chart(title, note, svg(title, _height(values), draw))


def curves(
    title: str, note: str, lines: Sequence[Sequence[tuple[int, float]]], x_title: str, y_title: str, log: bool = False
) -> Chart:
    """Return a line per series over axes from 0, or over two logarithmic ones from 1."""

    def draw(axes: Any) -> None:
        if log:
            logarithmic(axes)
        for number, points in enumerate(lines):
            x, y = [x for x, _ in points], [y for _, y in points]
            axes.plot(x, y, markevery=max(1, len(points) // 6 * (len(points) > 24)), markersize=7, **_look(number))
        axes.set_xlim(left=int(log))
        axes.set_ylim(bottom=int(log))
        axes.set_xlabel(x_title, loc="right", fontsize=9, color=FAINT)
        axes.set_title(y_title, fontsize=9, color=FAINT)

    return Chart(title, note, svg(title, 230, draw))


def _height(rows: Sequence[object]) -> float:
    return 20 * max(1, len(rows)) + 12


def _look(number: int) -> dict[str, Any]:
    return {"color": SERIES[number % len(SERIES)], "marker": _MARKERS[number % len(_MARKERS)]}


def _on_one_line(label: str) -> str:
    return printable(label).replace("\n", "\\n").replace("\t", "\\t")


def _name_rows(axes: Any, labels: Sequence[str]) -> None:
    """Put labels at 0, 1, ... from the top; a long one keeps its end, which tells file names apart."""
    shown = [_on_one_line(label) for label in labels]
    shown = [label if len(label) <= _MAX_LABEL_CHARS else "\u2026" + label[1 - _MAX_LABEL_CHARS :] for label in shown]
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK, labelsize=10)
    axes.spines[["left", "bottom"]].set_visible(False)


def _density(comparison: Comparison) -> tuple[str, list[tuple[str, list[float | None]]]]:
    """Return bytes per token by source, or by file where there is but one source, after a note on what is shown."""
    rows = list(comparison.rows.values())
    by_source = len(comparison.corpus["sources"]) > 1
    parts = [row.sources if by_source else row.files for row in rows]
    names = sorted(parts[0], key=lambda name: -parts[0][name].bytes)[:_MAX_ROWS]
    left_out = f" The {len(names)} largest of {len(parts[0]):,} are shown." if len(names) < len(parts[0]) else ""
    shown = sorted(names) if by_source else names
    note = f"By {'source' if by_source else 'file'}: more is denser.{left_out}"
    return note, [(name, [part[name].bytes_per_token for part in parts]) for name in shown]


def _costs(comparison: Comparison) -> list[tuple[str, list[float | None]]]:
    """Return the cost of each language relative to English, the costliest first; none where no text is English."""
    costs = [relative_costs(row.languages) for row in comparison.rows.values()]
    names = sorted(costs[-1], key=lambda name: -costs[-1][name])
    shown = [name for name in names if not is_english(name)][:_MAX_ROWS]
    return [(name, [cost.get(name) for cost in costs]) for name in shown]


def _length_shares(row: Row, tokenizer: ITokenizer) -> list[tuple[int, float]]:
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], np.int64)
    found = length_distribution(np.minimum(lengths, _MAX_LENGTH), row.total.counts)
    longest = max((size for size, _, tokens in found if tokens), default=0)
    return [(size, 100 * tokens / row.total.tokens) for size, _, tokens in found if 1 <= size <= longest]

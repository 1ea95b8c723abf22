"""Summary: an analysis in the terminal: key figures, then lengths, growth, pruning and the top ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokframe.evaluate.analysis import shown
from tokframe.evaluate.measures import renyi_efficiency

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis

__all__ = ["analysis_summary"]

_BAR_WIDTH = 28
_MAX_LENGTH = 16  # bytes of a token with a line of its own


def analysis_summary(analysis: Analysis, top: int = 20) -> RenderableType:
    """Return an analysis as a rich renderable for 100 columns."""
    parts: list[RenderableType] = [_heading(analysis), Text(), _figures(analysis), Text()]
    parts += [_section("Token lengths"), _lengths(analysis), Text()]
    parts += [_section("Utilization as the text grows"), _growth(analysis), Text()]
    parts += [_section("If only the most used ids were kept (estimate)"), _pruning(analysis), Text()]
    parts += [_section(f"Most used ids, and {len(analysis.unused()):,} never used"), _top(analysis, top)]
    own = _own(analysis.own)
    if own:
        parts += [Text(), _section(f"Figures of {analysis.name}"), own]
    return Group(*parts)


def _heading(analysis: Analysis) -> Text:
    return Text.assemble(
        (analysis.name, "bold"), f" on {analysis.text_bytes / 1e6:,.2f} MB of text: {analysis.tokens:,} tokens"
    )


def _section(title: str) -> Text:
    return Text(title, style="bold cyan")


def _grid(*columns: tuple[str, str, int]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title, justify, width in columns:
        table.add_column(
            title, justify="left" if justify == "left" else "right", min_width=width, no_wrap=True, overflow="ellipsis"
        )
    return table


def _figures(analysis: Analysis) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(min_width=24)
    table.add_column(justify="right", min_width=12)
    table.add_column(style="dim")
    size = analysis.vocab_size
    learned, single = analysis.coverage()["learned"], analysis.coverage()["single_byte"]
    per_token = analysis.text_bytes / analysis.tokens if analysis.tokens else 0.0
    rows = [
        ("bytes per token", f"{per_token:.3f}", ""),
        ("ids used", f"{analysis.used:,}", f"of {size:,}: utilization {analysis.utilization:.1%}"),
        ("perplexity of ids", f"{analysis.perplexity:,.0f}", f"{analysis.perplexity / size:.1%} of the vocabulary"),
        ("Rényi efficiency", f"{renyi_efficiency(analysis.counts):.3f}", "alpha 2.5; 1 is a uniform vocabulary"),
        ("bits per byte", f"{analysis.unigram_bits_per_byte:.3f}", "entropy of ids alone"),
        ("spelled by learned ids", f"{learned.bytes:.2%}", f"of bytes; {learned.tokens:.2%} of tokens"),
        ("spelled byte by byte", f"{single.bytes:.2%}", f"of bytes; {single.tokens:.2%} of tokens"),
    ]
    for row in rows:
        table.add_row(*row)
    return table


def _lengths(analysis: Analysis) -> Table:
    rows = analysis.length_distribution()
    tail = [row for row in rows if row[0] > _MAX_LENGTH]
    table = _grid(
        ("bytes", "right", 6), ("ids", "right", 8), ("tokens", "right", 11), ("share of tokens", "left", _BAR_WIDTH)
    )
    most = max((tokens for _, _, tokens in rows), default=0)
    for size, ids, tokens in rows:
        if size <= _MAX_LENGTH:
            table.add_row(str(size), f"{ids:,}", f"{tokens:,}", _bar(tokens, most, analysis.tokens))
    if tail:
        ids, tokens = sum(row[1] for row in tail), sum(row[2] for row in tail)
        table.add_row(f">{_MAX_LENGTH}", f"{ids:,}", f"{tokens:,}", _bar(tokens, most, analysis.tokens))
    return table


def _growth(analysis: Analysis) -> Table:
    table = _grid(("text", "right", 10), ("ids used", "right", 10), ("utilization", "left", _BAR_WIDTH))
    for size, used in analysis.growth():
        table.add_row(_size(size), f"{used:,}", _bar(used, analysis.vocab_size, analysis.vocab_size))
    return table


def _pruning(analysis: Analysis) -> Table:
    table = _grid(("ids kept", "right", 8), ("tokens", "right", 12), ("more", "right", 8), ("bytes/token", "right", 11))
    for point in analysis.pruning:
        more = point.tokens / analysis.tokens - 1 if analysis.tokens else 0.0
        per_token = f"{analysis.text_bytes / point.tokens:.3f}" if point.tokens else ""
        lost = f"  {point.unspellable:,} tokens cannot be spelled" if point.unspellable else ""
        table.add_row(f"{point.kept:,}", f"{point.tokens:,}", f"{more:+.1%}" if more else "", per_token + lost)
    return table


def _top(analysis: Analysis, count: int) -> Table:
    table = _grid(("id", "right", 6), ("count", "right", 11), ("share", "right", 7), ("text", "left", 20))
    for token in analysis.top(count):
        uses = int(analysis.counts[token])
        text = Text(f"'{shown(analysis.spelling[token])}'")
        table.add_row(str(token), f"{uses:,}", f"{uses / analysis.tokens:.2%}", text)
    return table


def _own(figures: Mapping[str, Any]) -> Table | None:
    """Return the tokenizer's own figures: numbers, words and short lists; the rest is in the JSON."""
    table = _grid(("", "left", 24), ("", "left", 20))
    table.show_header = False
    for name, value in figures.items():
        if isinstance(value, bool | int | float | str):
            text = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
            table.add_row(name.replace("_", " "), text)
        elif name == "level_use" and isinstance(value, Sequence):
            for dimension, levels in enumerate(value):
                table.add_row(f"levels of dimension {dimension}", " ".join(f"{use:,}" for use in levels))
    return table if table.row_count else None


def _bar(part: int, longest: int, whole: int) -> Text:
    width = round(_BAR_WIDTH * part / longest) if longest else 0
    share = part / whole if whole else 0.0
    return Text.assemble(("█" * width, "cyan"), f"{' ' if width else ''}{share:.1%}")


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"

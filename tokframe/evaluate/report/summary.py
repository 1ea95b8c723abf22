"""Summary: an analysis in the terminal: key figures, then lengths, growth, pruning and the top ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokframe.evaluate.columns import COLUMNS
from tokframe.evaluate.languages import gini_of, relative_costs
from tokframe.evaluate.measures import renyi_efficiency
from tokframe.tokenizer.segments import shown

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis, UseClass

__all__ = ["analysis_summary", "key_figures"]

_BAR_WIDTH = 28
_MAX_EXAMPLES_CHARS = 64
_MAX_LENGTH = 16  # bytes of a token with a line of its own


def analysis_summary(analysis: Analysis, top: int = 20) -> RenderableType:
    """Return an analysis as a rich renderable for 100 columns."""
    size, tokens = f"{analysis.text_bytes / 1e6:,.2f} MB", f"{analysis.tokens:,} tokens"
    parts: list[RenderableType] = [
        Text.assemble((analysis.label or analysis.name, "bold"), f" on {size} of text: {tokens}"),
        Text(),
    ]
    parts.append(_grid(("", "", ""), key_figures(analysis)))
    sections = {
        "Token lengths": _grid(("bytes", "ids", "tokens", "share of tokens"), _lengths(analysis)),
        "Utilization as the text grows": _grid(("text", "ids used", "utilization"), _growth(analysis)),
        **_words(analysis),
        **_languages(analysis),
        **_smaller(analysis),
        f"Most used ids, and {len(analysis.unused()):,} never used": _grid(
            ("id", "count", "share", "text"), _top(analysis, top)
        ),
    }
    if classes := analysis.use_classes():
        title = f"{len(classes)} classes of ids used alike"
        sections[title] = _grid(("class", "ids", "used", "tokens", "most used"), _classes(analysis, classes))
    if analysis.own:
        sections[f"Figures of {analysis.name}"] = _grid(("", ""), _own(analysis.own))
    for title, table in sections.items():
        parts += [Text(), Text(title, style="bold cyan"), table]
    return Group(*parts)


def _grid(titles: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table without lines: numbers to the right, the last column (and a first without title) to the left."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", show_header=any(titles))
    for number, title in enumerate(titles):
        left = number == len(titles) - 1 or not (title or number)
        table.add_column(title, justify="left" if left else "right", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def key_figures(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    """Yield title, figure and remark of what is most telling of an analysis."""
    size = analysis.vocab_size
    learned, single = analysis.coverage()["learned"], analysis.coverage()["single_byte"]
    yield "bytes per token", f"{analysis.bytes_per_token:.3f}", ""
    yield "ids used", f"{analysis.used:,}", f"of {size:,}: utilization {analysis.utilization:.1%}"
    yield "perplexity of ids", f"{analysis.perplexity:,.0f}", f"{analysis.perplexity / size:.1%} of the vocabulary"
    yield "Rényi efficiency", f"{renyi_efficiency(analysis.counts):.3f}", "alpha 2.5; 1 is a uniform vocabulary"
    yield "bits per byte", f"{analysis.unigram_bits_per_byte:.3f}", "entropy of ids alone"
    yield "spelled by learned ids", f"{learned.bytes:.2%}", f"of bytes; {learned.tokens:.2%} of tokens"
    yield "spelled byte by byte", f"{single.bytes:.2%}", f"of bytes; {single.tokens:.2%} of tokens"


def _lengths(analysis: Analysis) -> Iterator[Sequence[str | Text]]:
    rows = [(str(size), ids, tokens) for size, ids, tokens in analysis.length_distribution() if size <= _MAX_LENGTH]
    if tail := [row for row in analysis.length_distribution() if row[0] > _MAX_LENGTH]:
        rows.append((f">{_MAX_LENGTH}", sum(ids for _, ids, _ in tail), sum(tokens for *_, tokens in tail)))
    most = max((tokens for *_, tokens in rows), default=0)
    for size, ids, tokens in rows:
        yield size, f"{ids:,}", f"{tokens:,}", _bar(tokens, most, analysis.tokens)


def _growth(analysis: Analysis) -> Iterator[Sequence[str | Text]]:
    for size, used in analysis.growth():
        text = f"{size / 1e6:,.2f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
        yield text, f"{used:,}", _bar(used, analysis.vocab_size, analysis.vocab_size)


def _words(analysis: Analysis) -> dict[str, Table]:
    """Return where token borders fall, and what kinds of ids there are."""
    shown = [column for column in COLUMNS if column.section == "words and numbers"]
    figures = [(column, column.figure(analysis.text)) for column in shown]
    rows = [(column.title, column.text(value), "") for column, value in figures if value is not None]
    rows.append(("ids splitting characters", f"{analysis.splitting:,}", ""))
    rows += [(f"ids trained < {below:,} times", f"{ids:,}", "") for below, ids in analysis.rare if below > 1]
    return {"Words, numbers and characters": _grid(("", "", ""), rows)}


def _languages(analysis: Analysis) -> dict[str, Table]:
    """Return what each language costs, where there are two or more."""
    unevenness = gini_of(analysis.languages)
    if unevenness is None:
        return {}
    costs = relative_costs(analysis.languages)
    titles = ("", "characters/token", *(["cost relative to English"] if costs else []))
    ordered = sorted(analysis.languages, key=lambda name: -(analysis.languages[name].tokens_per_char or 0))
    rows = [
        (
            name,
            f"{analysis.languages[name].chars_per_token or 0:.3f}",
            *([f"{costs.get(name, 0):.2f}"] if costs else []),
        )
        for name in ordered
    ]
    title = f"Languages: Gini {unevenness:.3f}" + ("" if costs else "; no text is English")
    return {title: _grid(titles, rows)}


def _smaller(analysis: Analysis) -> dict[str, Table]:
    """Return what fewer ids cost: measured where the tokenizer can be pruned, else an estimate."""
    titles = ("ids kept", "tokens", "more", "bytes/token")
    if analysis.sizes:
        points = [(size, tokens, 0) for size, tokens in analysis.sizes]
        return {"Smaller vocabularies (tokframe prune)": _grid(titles, _pruning(analysis, points))}
    points = [(point.kept, point.tokens, point.unspellable) for point in analysis.pruning]
    return {"If only the most used ids were kept (estimate)": _grid(titles, _pruning(analysis, points))}


def _pruning(analysis: Analysis, points: Iterable[tuple[int, int, int]]) -> Iterator[Sequence[str]]:
    for kept, tokens, unspellable in points:
        more = tokens / analysis.tokens - 1 if analysis.tokens else 0.0
        per_token = f"{analysis.text_bytes / tokens:.3f}" if tokens else ""
        lost = f"  {unspellable:,} tokens cannot be spelled" if unspellable else ""
        yield f"{kept:,}", f"{tokens:,}", f"{more:+.1%}" if more else "", per_token + lost


def _top(analysis: Analysis, count: int) -> Iterator[Sequence[str | Text]]:
    for token in analysis.top(count):
        uses = int(analysis.counts[token])
        yield str(token), f"{uses:,}", f"{uses / analysis.tokens:.2%}", Text(f"'{shown(analysis.spelling[token])}'")


def _classes(analysis: Analysis, classes: Iterable[UseClass]) -> Iterator[Sequence[str | Text]]:
    for each in classes:
        examples = " ".join(f"'{shown(analysis.spelling[token])}'" for token in each.examples)
        if len(examples) > _MAX_EXAMPLES_CHARS:
            examples = examples[: _MAX_EXAMPLES_CHARS - 1] + "\u2026"
        yield str(each.number), f"{each.ids:,}", f"{each.used:,}", f"{each.tokens:.1%}", Text(examples)


def _own(figures: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Yield the tokenizer's own figures: numbers, words and short lists; the rest is in the JSON."""
    for name, value in figures.items():
        if isinstance(value, bool | int | float | str):
            text = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
            yield name.replace("_", " "), text
        elif name == "level_use" and isinstance(value, Sequence):
            for dimension, levels in enumerate(value):
                yield f"levels of dimension {dimension}", " ".join(f"{use:,}" for use in levels)


def _bar(part: int, longest: int, whole: int) -> Text:
    width = round(_BAR_WIDTH * part / longest) if longest else 0
    share = part / whole if whole else 0.0
    return Text.assemble(("█" * width, "cyan"), f"{' ' if width else ''}{share:.1%}")

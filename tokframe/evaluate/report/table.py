"""Table: a comparison in the terminal: figures down, tokenizers across, the best marked, ratios to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tokframe.evaluate.columns import COLUMNS, LANGUAGES, STABILITY, Column
from tokframe.evaluate.languages import is_english, relative_costs

if TYPE_CHECKING:
    from tokframe.evaluate.comparison import Comparison

__all__ = [
    "Figure",
    "comparison_table",
    "figures",
    "heading",
    "labels_of",
    "mixes_lossless",
    "sections",
    "short_labels",
]

_LABEL_WIDTH = 26
_MAX_SOURCES = 12  # with a line of their own; the rest are in the JSON
_MAX_LANGUAGES = 12  # likewise, those that cost the baseline most


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
    baseline = baseline or comparison.baseline or names[-1]
    labels = labels_of(comparison)
    column = max(16, *(len(label) + 2 for label in labels.values()))
    beside = max(1, (width - _LABEL_WIDTH - 2) // (column + 1))
    title = Text(heading(comparison))
    title.stylize("bold", 0, len("Comparison "))
    parts: list[RenderableType] = [title, Text()]
    for start in range(0, len(names), beside):
        parts += [_table(comparison, names[start : start + beside], labels, baseline, column), Text()]
    parts.append(_footer(comparison, labels[baseline]))
    return Group(*parts)


def heading(comparison: Comparison) -> str:
    """Return what was compared on what: sources, files, size."""
    corpus = comparison.corpus
    sources = list(corpus["sources"])
    what = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if len(sources) > 4 else "")
    files = f"{corpus['files']:,} file" + ("s" if corpus["files"] != 1 else "")
    return f"Comparison on {what}: {files}, {_size(corpus['bytes'])}"


def mixes_lossless(comparison: Comparison) -> bool:
    """Return whether some but not all tokenizers are lossless, so that not all can be best at compression."""
    return {row.total.lossless for row in comparison.rows.values()} == {True, False}


def _footer(comparison: Comparison, baseline: str) -> Text:
    best = "* best (for compression: among lossless ones)" if mixes_lossless(comparison) else "* best"
    ratios = f"{best}   x: ratio to {baseline}\n" if len(comparison.rows) > 1 else ""
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items() if name != "system")
    return Text(f"{ratios}speed: one thread, 1 MB = 10^6 bytes of text\n{versions}", style="dim")


def _table(
    comparison: Comparison, names: Sequence[str], labels: dict[str, str], baseline: str, column: int
) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="bold", pad_edge=False)
    table.add_column("", width=_LABEL_WIDTH, overflow="ellipsis", no_wrap=True)
    for name in names:
        table.add_column(labels[name], justify="right", width=column, overflow="ellipsis", no_wrap=True)
    for title, columns in sections(comparison, baseline).items():
        table.add_row(Text(title, style="bold cyan"))
        for each in columns:
            cells = _cells(comparison, each, baseline)
            table.add_row(Text(f"  {each.title}"), *(cells[name] for name in names))
    left_out = len(comparison.corpus["sources"]) - _MAX_SOURCES
    if left_out > 0:
        table.add_row(Text(f"  {left_out} smaller ones: --json", style="dim"))
    return table


def figures(comparison: Comparison, column: Column, baseline: str) -> dict[str, Figure | None]:
    """Return a column's figure of each tokenizer as it is shown; None where it could not be measured."""
    rows = comparison.rows
    fair = {name for name, row in rows.items() if row.total.lossless or not column.only_lossless}
    known = [value for name in fair if (value := column.value(rows[name])) is not None]
    differ = column.better and len({column.text(value) for value in known}) > 1  # where all are equal none is best
    best = column.text(max(known, key=lambda value: column.better * value)) if differ else None
    base = column.value(rows[baseline])
    found: dict[str, Figure | None] = dict.fromkeys(rows)
    for name, row in rows.items():
        if (value := column.value(row)) is not None:
            ratio = _ratio(value / base) if column.ratio and name != baseline and value and base else ""
            found[name] = Figure(column.text(value), name in fair and column.text(value) == best, ratio)
    return found


def _cells(comparison: Comparison, column: Column, baseline: str) -> dict[str, Text]:
    cells = {}
    for name, figure in figures(comparison, column, baseline).items():
        if figure is None:
            cells[name] = Text("n/a", style="dim")
            continue
        style = "bold green" if figure.best else "bold yellow" if figure.text == "no" else ""
        cells[name] = Text(figure.text + ("*" if figure.best else " "), style=style)
        if len(comparison.rows) > 1:
            cells[name].append(f"{figure.ratio:>7}", style="not bold dim")
    return cells


def sections(comparison: Comparison, baseline: str) -> dict[str, list[Column]]:
    """Return the columns of a comparison by section; with several sources, bytes per token of each are one more.

    Those over languages are there where there are two, with a line for each that costs `baseline` most.
    """
    found: dict[str, list[Column]] = {}
    rows = comparison.rows.values()
    shown = [*COLUMNS, *STABILITY] if all(row.stability for row in rows) else list(COLUMNS)
    base = comparison.rows[baseline]
    if len(base.languages) > 1:
        costs = {name: cost for name, cost in relative_costs(base.languages).items() if not is_english(name)}
        costliest = sorted(costs, key=lambda name: -costs[name])[:_MAX_LANGUAGES]
        shown += [*LANGUAGES[: 2 if costs else 1], *(LANGUAGES[1].of_language(name) for name in costliest)]
    for column in shown:
        found.setdefault(column.section, []).append(column)
    sizes = comparison.corpus["sources"]
    if len(sizes) > 1:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:_MAX_SOURCES]
        found["bytes/token by source"] = [COLUMNS[0].of_source(name) for name in largest]
    return found


def labels_of(comparison: Comparison) -> dict[str, str]:
    """Return a name for each column: a short one, with the parts inside that are not those of the registered name."""
    labels = short_labels(list(comparison.rows))
    for name, row in comparison.rows.items():
        if row.other_parts:
            labels[name] += f" ({', '.join(row.other_parts.values())})"
    return labels


def short_labels(names: Sequence[str]) -> dict[str, str]:
    """Return a name for each column: of a path only its end, where that still tells them apart."""
    ends = {name: name.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or name for name in names}
    seen = list(ends.values())
    return {name: end if seen.count(end) == 1 else name for name, end in ends.items()}


def _ratio(value: float) -> str:
    return f"{value:.2f}x" if value < 9.995 else f"{value:,.1f}x" if value < 99.95 else f"{value:,.0f}x"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"

"""Notebook: a comparison and an analysis as text and as HTML fragments, by the tables of the terminal and the page."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType

from tokframe.evaluate.report.page import environment
from tokframe.evaluate.report.summary import analysis_summary, key_figures
from tokframe.evaluate.report.table import comparison_table, figures, heading, labels_of, mixes_lossless, sections
from tokframe.storage.printable import printable
from tokframe.tokenizer.display import html_fragment, html_table

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis
    from tokframe.evaluate.comparison import Comparison

__all__ = ["analysis_html", "analysis_text", "comparison_html", "comparison_text"]

_COLUMNS = 100
_TOP = 20  # ids shown


def comparison_text(comparison: Comparison) -> list[str]:
    """Return the lines of a comparison's table."""
    return _lines(comparison_table(comparison, width=_COLUMNS))


def comparison_html(comparison: Comparison) -> str | None:
    """Return the table of a comparison's page; None without jinja2, so that the text is shown."""
    if find_spec("jinja2") is None:
        return None
    baseline = comparison.baseline or list(comparison.rows)[-1]
    page = environment().get_template("page.html.j2")
    shown = {
        "labels": labels_of(comparison),
        "baseline": baseline,
        "sections": [
            (title, [(column, figures(comparison, column, baseline)) for column in columns])
            for title, columns in sections(comparison, baseline).items()
        ],
        "mixed": mixes_lossless(comparison),
    }
    return html_fragment(heading(comparison), "".join(page.blocks["table"](page.new_context(shown))))


def analysis_text(analysis: Analysis) -> list[str]:
    """Return the lines of an analysis's summary."""
    return _lines(analysis_summary(analysis))


def analysis_html(analysis: Analysis) -> str:
    """Return the key figures of an analysis and its most used ids as tables."""
    title = f"{analysis.label or analysis.name} on {analysis.text_bytes / 1e6:,.2f} MB of text"
    keys = [dict(zip(("figure", "value", "remark"), row, strict=True)) for row in key_figures(analysis)]
    return html_fragment(title, html_table(keys) + html_table(analysis.records()[:_TOP]))


def _lines(renderable: RenderableType) -> list[str]:
    written = io.StringIO()
    console = Console(
        file=written, width=_COLUMNS, highlight=False, markup=False, emoji=False, color_system=None,
        force_terminal=False, force_jupyter=False,
    )  # fmt: skip
    console.print(renderable)
    return [printable(line.rstrip()) for line in written.getvalue().splitlines()]

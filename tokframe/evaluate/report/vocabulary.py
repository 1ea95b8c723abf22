"""Vocabulary page: an analysis as one HTML file that needs nothing else: figures, a map of the ids, classes, charts.

The markup is in `vocabulary.html.j2`, what the map does in `map.js`; where ids lie is left to `layout`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from tokframe.evaluate.measures import rank_frequency
from tokframe.evaluate.report.charts import curves
from tokframe.evaluate.report.drawing import require
from tokframe.evaluate.report.layout import placed
from tokframe.evaluate.report.page import environment
from tokframe.evaluate.report.summary import key_figures
from tokframe.plugins.protocols import HasVectors
from tokframe.tokenizer.segments import shown

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis
    from tokframe.evaluate.report.charts import Chart
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["check_installed", "vocabulary_page"]

_UNITS = 4  # decimals of a place on the map

#: Check that a page can be made. Raises: UnsupportedError with the command that installs what is missing.
check_installed = partial(require, "an HTML page", "jinja2", "matplotlib")


def vocabulary_page(analysis: Analysis, tokenizer: ITokenizer) -> bytes:
    """Return the analysis of a tokenizer as a self-contained HTML document in UTF-8, with a map where it has vectors.

    Raises: UnsupportedError without jinja2 and matplotlib.
    """
    check_installed()
    script = resources.files("tokframe.evaluate.report").joinpath("map.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        environment()
        .get_template("vocabulary.html.j2")
        .render(
            analysis=analysis,
            figures=list(key_figures(analysis)),
            classes=[(each, [shown(analysis.spelling[t]) for t in each.examples]) for each in analysis.use_classes()],
            map=_map(analysis, tokenizer),
            script=script,
            script_hash=f"sha256-{digest}",
            charts=_charts(analysis),
        )
    )
    return page.encode()


def _map(analysis: Analysis, tokenizer: ITokenizer) -> str:
    """Return what the map draws as JSON that may stand in a page, the most used ids first; "" without vectors."""
    known = np.flatnonzero(analysis.classes >= 0)
    if not len(known) or not isinstance(tokenizer, HasVectors):
        return ""
    known = known[np.argsort(-analysis.counts[known], kind="stable")]
    classes = analysis.classes[known]
    places = placed(tokenizer.embed(known), classes).round(_UNITS)
    numbers, order = np.unique(classes, return_inverse=True)
    data: dict[str, Any] = {
        "ids": known.tolist(),
        "texts": [shown(analysis.spelling[token]) for token in known.tolist()],
        "counts": analysis.counts[known].tolist(),
        "most": max(1, int(analysis.counts.max())),
        "numbers": classes.tolist(),
        "order": order.tolist(),
        "classes": len(numbers),
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
    }
    # Nothing in it may end the element that holds it.
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _charts(analysis: Analysis) -> list[Chart]:
    lengths = [(size, 100 * tokens / max(1, analysis.tokens)) for size, _, tokens in analysis.length_distribution()]
    growth = [(0, 0.0), *((size, 100 * used / analysis.vocab_size) for size, used in analysis.growth())]
    length_note = "Percent of the text's tokens, by the bytes they spell."
    rank_note = "Times an id occurs, most frequent first; both axes are logarithmic."
    ranks = rank_frequency(analysis.counts)
    return [
        curves("Length of tokens", length_note, [lengths], "bytes of a token", "% of tokens"),
        curves("Vocabulary used", "Share of ids seen as the text grows.", [growth], "bytes of text", "% of ids"),
        curves("How often ids are used", rank_note, [ranks], "rank of the id", "times used", log=True),
    ]

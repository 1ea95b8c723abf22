"""A comparison as one HTML file that needs nothing else: table, charts, passages in colour, versions.

What the passages are is `passages`' business, how charts are drawn `charts`'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.evaluate.report.charts import Curve, bars, curves, dots, marker
from tokframe.evaluate.report.markup import document, node
from tokframe.evaluate.report.passages import Difference, Passage, differences, passages
from tokframe.evaluate.report.segments import segments
from tokframe.evaluate.report.table import figures, heading, sections, short_labels

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus
    from tokframe.evaluate.comparison import Comparison, Row
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["comparison_page"]

_ROWS = 40  # sources or files with a row in a chart
_FILES = 200  # files with a line in the list of files
_LONGEST = 16  # bytes of a token; longer ones are one point of the chart of lengths
_RANKS = 60  # points of the curve of frequencies
# What cannot be seen, or turns the direction of what stands beside it; joiners stay, for they make emoji one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_PAIRS = 4  # tokenizers set against the baseline in the section on differences


def comparison_page(
    comparison: Comparison, tokenizers: Mapping[str, ITokenizer], corpus: Corpus, baseline: str = ""
) -> bytes:
    """Return the comparison as a self-contained HTML document in UTF-8.

    `tokenizers` are those compared, by name; `baseline` is what ratios and differences refer to, by default the
    last. Passages are read from the corpus, which must still be there. Raises: CorpusError; EncodingError.
    """
    names = list(comparison.rows)
    baseline = baseline or names[-1]
    labels = short_labels(names)
    title = "Tokenizers compared: " + ", ".join(labels.values())
    body = node(
        "main",
        node("h1", "Tokenizers compared"),
        node("p", heading(comparison) + ".", class_="lead"),
        _legend(labels),
        _table(comparison, labels, baseline),
        node("h2", "Charts"),
        node("div", *_charts(comparison, tokenizers, labels), class_="charts"),
        *_files(comparison, labels),
        node("h2", "The same text, cut up"),
        node(
            "p",
            "Colours only tell neighbours apart. A small number follows a piece that several tokens spell together "
            "because a character is split between them. Pieces with a dotted border come from a tokenizer that "
            "does not spell the text: they show what its tokens stand for.",
            class_="note",
        ),
        *(_passage(passage, tokenizers, labels) for passage in passages(corpus)),
        *_differences(tokenizers, labels, baseline, corpus),
        node("h2", "Made with"),
        node("dl", *_made_with(comparison), class_="versions"),
        node("p", "Speed: one thread, medians of rounds taken in turn; 1 MB = 10^6 bytes of text.", class_="note"),
    )
    style = resources.files("tokframe.evaluate").joinpath("page.css").read_text(encoding="utf-8")
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("meta", name="color-scheme", content="light dark"),
        node("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        node("title", title),
        node("style", style),
    )
    return document(node("html", head, node("body", body), lang="en"))


def _legend(labels: Mapping[str, str]) -> Element:
    items = []
    for series, label in enumerate(labels.values()):
        mark = node("svg", marker(series, 8, 8), viewBox="0 0 16 16", class_="key", aria_hidden="true")
        items.append(node("li", mark, label))
    return node("ul", *items, class_="legend")


def _table(comparison: Comparison, labels: Mapping[str, str], baseline: str) -> Element:
    heads = [node("th", label, scope="col") for label in labels.values()]
    rows = [node("thead", node("tr", node("td"), *heads))]
    for title, lines in sections(comparison):
        group = node("tbody", node("tr", node("th", title, colspan=len(labels) + 1, class_="section")))
        for line in lines:
            cells = []
            for name, figure in figures(comparison, line, baseline).items():
                if figure is None:
                    cells.append(node("td", "n/a", class_="missing"))
                    continue
                parts = [node("span", figure.text, class_="best" if figure.best else None)]
                if name != baseline:
                    parts.append(node("span", figure.ratio, class_="ratio"))
                cells.append(node("td", *parts))
            group.append(node("tr", node("th", line.label, scope="row"), *cells))
        rows.append(group)
    note = "Bold and underlined: the best of its line."
    if len(labels) > 1:
        note += f" x is the ratio to {labels[baseline]}."
    if {row.total.lossless for row in comparison.rows.values()} == {True, False}:
        note += " For compression only tokenizers whose text comes back exactly can be best."
    return node("div", node("div", node("table", *rows), class_="scroll", tabindex=0), node("p", note, class_="note"))


# -- charts -------------------------------------------------------------------------------------------------


def _charts(
    comparison: Comparison, tokenizers: Mapping[str, ITokenizer], labels: Mapping[str, str]
) -> Iterator[Element]:
    rows = comparison.rows
    shown = list(_density(comparison))
    by = "source" if len(comparison.corpus["sources"]) > 1 else "file"
    count = len(comparison.corpus["sources"]) if by == "source" else comparison.corpus["files"]
    largest = f" The {len(shown)} largest of {count:,} are shown." if len(shown) < count else ""
    yield _figure(
        "Compression",
        f"Bytes per token, by {by}: more is denser.{largest}",
        dots("Bytes per token", shown),
    )
    for title, key in (("Encoding speed", "encode_mb_s"), ("Decoding speed", "decode_mb_s")):
        speeds = [(labels[name], i, getattr(row.speed, key)) for i, (name, row) in enumerate(rows.items())]
        given = [(label, i, value, f"{value:,.1f}") for label, i, value in speeds]
        yield _figure(title, "MB of text a second, one thread.", bars(title, given))
    lengths = {name: _lengths(tokenizers[name]) for name in rows}
    yield _figure(
        "Length of tokens",
        f"Percent of the text's tokens, by the bytes they spell; {_LONGEST} stands for all that are longer too.",
        curves(
            "Length of tokens",
            [Curve(series=i, points=_length_shares(row, lengths[name])) for i, (name, row) in enumerate(rows.items())],
            "bytes of a token",
            "of tokens",
            percent=True,
        ),
    )
    used = []
    for series, (name, row) in enumerate(rows.items()):
        share = row.total.vocab_used / row.vocab_size
        used.append((labels[name], series, share, f"{share:.0%} of {row.vocab_size:,}"))
    yield _figure("Vocabulary used", "Share of ids that occur in this text.", bars("Vocabulary used", used, 1.0))
    yield _figure(
        "How often ids are used",
        "Times an id occurs, most frequent first; both axes are logarithmic.",
        curves(
            "How often ids are used",
            [Curve(series=i, points=_ranks(row)) for i, row in enumerate(rows.values())],
            "rank of the id",
            "times used",
            logarithmic=True,
        ),
    )


def _density(comparison: Comparison) -> Iterator[tuple[str, list[float | None]]]:
    """Yield bytes per token by source, or by file where there is but one source; the largest come first."""
    rows = list(comparison.rows.values())
    by_source = len(comparison.corpus["sources"]) > 1
    parts = [row.sources if by_source else row.files for row in rows]
    names = sorted(parts[0], key=lambda name: -parts[0][name].bytes)[:_ROWS]
    for name in sorted(names) if by_source else names:
        yield name, [part[name].bytes_per_token for part in parts]


def _lengths(tokenizer: ITokenizer) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], np.int64)


def _length_shares(row: Row, lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[float, float]]:
    shares = np.bincount(np.minimum(lengths, _LONGEST), weights=row.total.counts, minlength=_LONGEST + 1)
    total = max(1.0, float(shares.sum()))
    last = int(np.flatnonzero(shares)[-1]) if shares.any() else 1
    return [(float(size), 100 * float(shares[size]) / total) for size in range(1, last + 1)]


def _ranks(row: Row) -> list[tuple[float, float]]:
    ordered = np.sort(row.total.counts[row.total.counts > 0])[::-1]
    if not len(ordered):
        return []
    ranks = np.unique(np.geomspace(1, len(ordered), _RANKS).round().astype(np.int64))
    return [(float(rank), float(ordered[rank - 1])) for rank in ranks]


def _figure(title: str, below: str, drawing: Element) -> Element:
    return node("figure", node("figcaption", node("strong", title), " " + below), drawing)


def _files(comparison: Comparison, labels: Mapping[str, str]) -> Iterator[Element]:
    rows = list(comparison.rows.values())
    sizes = {name: part.bytes for name, part in rows[0].files.items()}
    if len(sizes) < 2:
        return
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    heads = [node("th", text, scope="col") for text in ("file", "bytes", *labels.values())]
    lines = []
    for name in names[:_FILES]:
        values = [row.files[name].bytes_per_token for row in rows]
        cells = [node("td", "n/a" if value is None else f"{value:.3f}") for value in values]
        lines.append(node("tr", node("th", name, scope="row"), node("td", f"{sizes[name]:,}"), *cells))
    what = f"Bytes per token of each of {len(names):,} files"
    if len(names) > _FILES:
        what = f"Bytes per token of the {_FILES} largest of {len(names):,} files; all of them: --json"
    table = node("table", node("thead", node("tr", *heads)), node("tbody", *lines))
    yield node("details", node("summary", what), node("div", table, class_="scroll", tabindex=0))


# -- passages -----------------------------------------------------------------------------------------------


def _passage(passage: Passage, tokenizers: Mapping[str, ITokenizer], labels: Mapping[str, str]) -> Element:
    cuts = [_cut(name, tokenizers[name], labels[name], passage.text) for name in tokenizers]
    return node("section", node("h3", passage.source), *cuts, class_="passage")


def _cut(name: str, tokenizer: ITokenizer, label: str, text: str) -> Element:
    try:
        pieces = segments(tokenizer, text)
    except (EncodingError, UnsupportedError) as error:
        return node("div", node("h4", label), node("p", f"not cut up: {error}", class_="note"))
    count = sum(len(piece.ids) for piece in pieces)
    spans: list[Element | str] = []
    for number, piece in enumerate(pieces):
        ids = " ".join(map(str, piece.ids))
        parts: list[Element | str] = [_visible(piece.text)]
        if len(piece.ids) > 1:
            parts.append(node("sub", str(len(piece.ids))))
        kind = f"t{number % 4}" + ("" if piece.exact else " loose")
        spans.append(node("span", *parts, class_=kind, title=f"id {ids}"))
        if not piece.exact:
            spans.append(" ")
    return node(
        "div", node("h4", label, node("small", f" {count:,} tokens")), node("p", *spans, class_="cut", dir="auto")
    )


def _visible(text: str) -> str:
    """Return text in which line ends, controls and marks without width can be seen."""
    escaped = _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
    return escaped.replace("\n", "\u21b5\n")


def _differences(
    tokenizers: Mapping[str, ITokenizer], labels: Mapping[str, str], baseline: str, corpus: Corpus
) -> Iterator[Element]:
    others = [name for name in tokenizers if name != baseline][:_PAIRS]
    if others:
        yield node("h2", "Where they differ most")
    for name in others:
        pair = {name: tokenizers[name], baseline: tokenizers[baseline]}
        better, worse = differences(pair[name], pair[baseline], corpus)
        for first, second, found in ((name, baseline, better), (baseline, name, worse)):
            yield node("h3", f"Where {labels[first]} needs the fewest tokens beside {labels[second]}")
            if not found:
                yield node("p", "Nowhere in the text looked at.", class_="note")
            for difference in found:
                yield _difference(difference, pair, labels)


def _difference(difference: Difference, pair: Mapping[str, ITokenizer], labels: Mapping[str, str]) -> Element:
    passage = difference.passage
    counts = f"{difference.first} and {difference.second} tokens" + (
        f", from {passage.source}" if passage.source else ""
    )
    cuts = [_cut(name, pair[name], labels[name], passage.text) for name in pair]
    return node("section", node("p", counts, class_="note"), *cuts, class_="passage")


def _made_with(comparison: Comparison) -> Iterator[Element]:
    for name, version in comparison.versions.items():
        yield node("dt", name)
        yield node("dd", version)

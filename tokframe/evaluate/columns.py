"""Columns: the figures of a comparison, each with its JSON key, label, unit, notation and better direction.

JSON, the table, the HTML page and the help of `tokframe compare` read them: a new figure is a new `Column` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

if TYPE_CHECKING:
    from tokframe.evaluate.footprint import Footprint
    from tokframe.evaluate.measures import Measures
    from tokframe.evaluate.stability import Stability
    from tokframe.evaluate.timing import Speed

__all__ = ["COLUMNS", "STABILITY", "Column", "Row"]


@frozen(kw_only=True, eq=False)
class Row:
    """One tokenizer: its figures over the whole corpus, per source of the corpus, and per file.

    `stability` is None where it was not asked for.
    """

    total: Measures
    sources: Mapping[str, Measures]
    files: Mapping[str, Measures]
    speed: Speed
    footprint: Footprint
    vocab_size: int
    stability: Stability | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data; a figure that could not be measured is None."""
        figures: dict[str, Any] = {column.key: column.value(self) for column in COLUMNS}
        if self.stability is not None:
            figures["stability"] = {column.key: column.value(self) for column in STABILITY}
        return figures | {
            "sources": {name: _measured(part) for name, part in self.sources.items()},
            "files": {name: _measured(part) for name, part in self.files.items()},
        }


@frozen
class Column:
    """One figure: where it is shown, what it is, how it is written, and which end of its scale is better."""

    section: str
    key: str
    label: str
    unit: str
    figure: Callable[[Any], float | None]  #: of `Measures`, or of a `Row` where `of_row`
    text: Callable[[float], str]
    better: int = 0  #: 1: more is better, -1: less is better, 0: neither
    ratio: bool = False  #: whether a ratio to the baseline means something
    only_lossless: bool = False  #: only a lossless tokenizer can be best: leaving text out saves tokens
    of_row: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} {self.unit}".rstrip()

    def of_source(self, name: str) -> Column:
        """Return this figure for one source of the corpus, labeled with its name."""
        return evolve(self, label=name, note="", of_row=True, figure=lambda row: self.figure(row.sources[name]))

    def value(self, row: Row) -> float | None:
        """Return the figure of a tokenizer over the whole corpus; None where it could not be measured."""
        return self.figure(row if self.of_row else row.total)


def _measured(part: Measures) -> dict[str, Any]:
    figures = {column.key: column.figure(part) for column in COLUMNS if not column.of_row}
    return {"bytes": part.bytes, "chars": part.chars, **figures}


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _speed(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


COLUMNS = (
    Column(
        "compression", "bytes_per_token", "bytes per token", "", lambda text: text.bytes_per_token, "{:.3f}".format,
        better=1, ratio=True, only_lossless=True, note="UTF-8 bytes of text per token; special tokens are not added",
    ),
    Column(
        "compression", "chars_per_token", "characters per token", "", lambda text: text.chars_per_token,
        "{:.3f}".format, better=1, ratio=True, only_lossless=True,
    ),
    Column("compression", "tokens", "tokens", "", lambda text: text.tokens, "{:,.0f}".format),
    Column(
        "fidelity", "lossless", "lossless", "", lambda text: text.lossless, lambda value: "yes" if value else "no",
        note="Whether every document decoded from its ids is exactly the document",
    ),
    Column(
        "fidelity", "unknown_rate", "unknown tokens", "", lambda text: text.unknown_rate,
        lambda value: f"{value:.2%}" if value else "none", better=-1, note="Share of tokens that are the unknown one",
    ),
    Column(
        "speed and cost", "encode_mb_s", "encode", "MB/s", lambda row: row.speed.encode_mb_s, _speed, better=1,
        ratio=True, of_row=True, note="10^6 bytes of text a second, one thread",
    ),
    Column(
        "speed and cost", "decode_mb_s", "decode", "MB/s", lambda row: row.speed.decode_mb_s, _speed, better=1,
        ratio=True, of_row=True, note="10^6 bytes of text a second, one thread",
    ),
    Column(
        "speed and cost", "load_ms", "load", "ms", lambda row: row.footprint.load_ms, _rounded, better=-1, ratio=True,
        of_row=True, note="Time to load and encode one line in a fresh process",
    ),
    Column(
        "speed and cost", "memory_mb", "memory", "MB", lambda row: row.footprint.memory_mb, _rounded, better=-1,
        ratio=True, of_row=True, note="Resident memory that loading adds, 10^6 bytes",
    ),
    Column("vocabulary", "vocab_size", "ids", "", lambda row: row.vocab_size, "{:,.0f}".format, of_row=True),
    Column("vocabulary", "vocab_used", "ids used by this text", "", lambda text: text.vocab_used, "{:,.0f}".format),
)  # fmt: skip


def _of_stability(key: str, label: str, text: Callable[[float], str], note: str, better: int = -1) -> Column:
    def figure(row: Row) -> float | None:
        value: float | None = getattr(row.stability, key)
        return value

    return Column("stability", key, label, "", figure, text, better=better, of_row=True, note=note)


#: The figures of `tokframe compare --stability`; what each means stands in `Stability`.
STABILITY = (
    *(
        _of_stability(key, label, "{:.1%}".format, f"Share of cuts {where} that change the ids of what stands before")
        for key, label, where in (
            ("cut_any", "cut anywhere", "at any character"),
            ("cut_before_space", "cut before a space", "before a space that ends a word"),
            ("cut_after_space", "cut after a space", "after a space that ends a word"),
            ("cut_line_end", "cut at a line end", "behind a line end"),
        )
    ),
    _of_stability("cut_ids", "ids a cut changes", "{:.2f}".format, "Of cuts at any character that change some"),
    *(
        _of_stability(key, label, "{:.2f}".format, f"Ids that {what} changes, on average")
        for key, label, what in (
            ("typo", "ids a typo changes", "one wrong letter"),
            ("case", "by another case", "one letter in the other case"),
            ("diacritic", "by a diacritic", "one acute accent"),
            ("homoglyph", "by a homoglyph", "one Cyrillic letter in place of a Latin one that looks alike"),
            ("double_space", "by a doubled space", "one space more"),
        )
    ),
    _of_stability(
        "canonical", "canonical pairs", "{:.1%}".format,
        "Share of pairs of ids, drawn as often as the text has them, that encode gives to their text", better=1,
    ),
)  # fmt: skip

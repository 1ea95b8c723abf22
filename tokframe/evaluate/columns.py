"""Columns: the figures of a comparison, each with its JSON key, label, unit, notation and better direction.

JSON, the table, the HTML page and the help of `tokframe compare` read them: a new figure is a new `Column` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from tokframe.evaluate.languages import gini_of, mean_relative_cost, relative_costs

if TYPE_CHECKING:
    from tokframe.evaluate.footprint import Footprint
    from tokframe.evaluate.measures import Measures
    from tokframe.evaluate.stability import Stability
    from tokframe.evaluate.timing import Speed

__all__ = ["COLUMNS", "LANGUAGES", "RARE", "STABILITY", "Column", "Row", "measured"]

#: Uses in training text below which an id counts as rarely trained.
RARE = 100


@frozen(kw_only=True, eq=False)
class Row:
    """One tokenizer: its figures over the whole corpus, per source and language of the corpus, and per file.

    `tokenizer` is its registered name, `other_parts` what is inside it that is not the default, by kind.
    `language` is that of each file, "" where its name does not say. `splitting` is how many ids are not whole
    characters, `rare` how many had fewer than 100 uses in training text, None where that is not known. `stability` is
    None where it was not asked for.
    """

    total: Measures
    sources: Mapping[str, Measures]
    files: Mapping[str, Measures]
    speed: Speed
    footprint: Footprint
    vocab_size: int
    languages: Mapping[str, Measures] = field(factory=dict)
    language: Mapping[str, str] = field(factory=dict)
    splitting: int | None = None
    rare: int | None = None
    stability: Stability | None = None
    tokenizer: str = ""
    other_parts: Mapping[str, str] = field(factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data; a figure that could not be measured is None."""
        figures: dict[str, Any] = {column.key: column.value(self) for column in (*COLUMNS, *LANGUAGES)}
        if self.stability is not None:
            figures["stability"] = {column.key: column.value(self) for column in STABILITY}
        files = measured(self.files, self.languages)
        return figures | {
            "languages": measured(self.languages, self.languages),
            "sources": measured(self.sources, self.languages),
            "files": {name: {"language": self.language.get(name) or None, **found} for name, found in files.items()},
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

    def of_language(self, name: str) -> Column:
        """Return the cost relative to English of one language, labeled with its name."""
        label = f"{name} over English"
        return evolve(self, label=label, note="", figure=lambda row: relative_costs(row.languages).get(name))

    def value(self, row: Row) -> float | None:
        """Return the figure of a tokenizer over the whole corpus; None where it could not be measured."""
        return self.figure(row if self.of_row else row.total)


def measured(parts: Mapping[str, Measures], languages: Mapping[str, Measures]) -> dict[str, dict[str, Any]]:
    """Return the figures of each part of a text as JSON data; `languages` are those of the whole."""
    costs = relative_costs(parts, languages)
    return {
        name: {
            "bytes": part.bytes,
            "chars": part.chars,
            **{column.key: column.figure(part) for column in COLUMNS if not column.of_row},
            "cost_relative_to_english": costs.get(name),
        }
        for name, part in parts.items()
    }


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
        "words and numbers", "tokens_per_word", "tokens per word", "", lambda text: text.tokens_per_word,
        "{:.2f}".format, better=-1, only_lossless=True,
        note="Fertility: tokens over words, in scripts that put spaces between words",
    ),
    Column(
        "words and numbers", "strr", "words of one id (STRR)", "", lambda text: text.strr, "{:.1%}".format, better=1,
        note="Single-token retention: share of the most frequent words of each file, alone or behind a space",
    ),
    Column(
        "words and numbers", "words_split", "words split", "", lambda text: text.words_split, "{:.1%}".format,
        better=-1, note="Share of words of the text with a token border inside",
    ),
    Column(
        "words and numbers", "tokens_per_number", "tokens per number", "", lambda text: text.tokens_per_number,
        "{:.2f}".format, note="Tokens that have a part of a number of two digits or more",
    ),
    Column(
        "words and numbers", "numbers_split_unevenly", "numbers split unevenly", "",
        lambda text: text.fit.numbers_split_unevenly, "{:.1%}".format, better=-1,
        note="Share of numbers of two to eight digits split otherwise than most of as many digits",
    ),
    Column(
        "words and numbers", "characters_split", "characters split", "", lambda text: text.characters_split,
        "{:.2%}".format, better=-1, note="Share of characters of the text with a token border inside",
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
    Column(
        "vocabulary", "ids_splitting_characters", "ids splitting characters", "", lambda row: row.splitting,
        "{:,.0f}".format, of_row=True, note="Ids whose bytes are not whole characters, single bytes among them",
    ),
    Column(
        "vocabulary", "ids_rarely_trained", f"ids trained < {RARE} times", "", lambda row: row.rare, "{:,.0f}".format,
        of_row=True, note=f"Ids with fewer than {RARE} uses in the training text, where the tokenizer knows them",
    ),
)  # fmt: skip

#: The figures over languages, shown where the names of files say two or more.
LANGUAGES = (
    Column(
        "languages", "gini", "Gini over languages", "", lambda row: gini_of(row.languages), "{:.3f}".format,
        better=-1, only_lossless=True, of_row=True,
        note="Of tokens per character: 0 where every language costs the same",
    ),
    Column(
        "languages", "cost_relative_to_english", "cost relative to English", "",
        lambda row: mean_relative_cost(row.languages), "{:.2f}".format, better=-1, of_row=True,
        only_lossless=True, note="Tokens per character over those of English, the mean of the other languages",
    ),
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

"""Coverage: the segments that no vocabulary is without, so that no character costs a token for each of its bytes.

They are characters of the text, and the beginnings of all others: with the first two bytes of a character of three,
which it shares with 63 others, a character without an id costs two tokens. What other segments are worth is left to
`pruning`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tokframe.errors import ConfigError
from tokframe_dictionary.mining.blocks import block_characters, block_range
from tokframe_dictionary.mining.parts import cut
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED

if TYPE_CHECKING:
    from tokframe_dictionary.mining.config import MiningConfig
    from tokframe_dictionary.mining.sources import Source

__all__ = ["BEGINNINGS", "Required", "required_segments"]

#: Share of each source's characters that have an id, where the config does not say.
DEFAULT_COVERAGE = 0.9999
#: Of each script in the text at least so many characters have one, which is all of an alphabet,
SCRIPT_CHARACTERS = 256
#: and so many that they make up this share of what is written in it.
SCRIPT_COVERAGE = 0.99
#: Largest share of the learned ids that characters take where the config does not say, and that beginnings take.
CHARACTERS_SHARE, BEGINNINGS_SHARE = 1 / 4, 1 / 16
#: Bytes of a source whose characters are counted at a time.
PART_BYTES = 4 << 20

_ASCII = 0x80
_CODE_POINTS = 0x110000
#: Coverages that are tried for one that fits.
_LESS = (0.9999, 0.9995, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8)
#: Blocks of pictographs and of scripts in use whose characters have four bytes.
_FOUR_BYTES = """
Osage; Hanifi Rohingya; Sora Sompeng; Chakma; Newa; Tirhuta; Warang Citi; Masaram Gondi; Gunjala Gondi; Mro; Tangsa;
Bassa Vah; Pahawh Hmong; Medefaidrin; Miao; Nyiakeng Puachue Hmong; Toto; Wancho; Nag Mundari; Mende Kikakui; Adlam;
Enclosed Alphanumeric Supplement; Miscellaneous Symbols and Pictographs; Emoticons; Transport and Map Symbols;
Supplemental Symbols and Pictographs; Symbols and Pictographs Extended-A
"""

IntArray = npt.NDArray[np.int64]


def _beginnings() -> Iterator[bytes]:
    for code in range(0x800, 0x10000, 64):
        if not 0xD800 <= code < 0xF900:  # surrogates and private use
            yield chr(code).encode()[:2]
    for name in _FOUR_BYTES.split(";"):
        for code in block_range(name.strip())[::64]:
            yield chr(code).encode()[:3]


#: All but the last byte of every character of three bytes, and of the characters of four bytes that are in use.
BEGINNINGS = tuple(dict.fromkeys(_beginnings()))
_IS_BEGINNING = frozenset(BEGINNINGS).__contains__


@frozen
class Required:
    """The characters that have an id, and beginnings of others; of each the first before the others."""

    characters: tuple[bytes, ...] = ()
    beginnings: tuple[bytes, ...] = ()

    @property
    def all(self) -> tuple[bytes, ...]:
        """All of them."""
        return self.characters + self.beginnings

    def within(self, size: int) -> set[bytes]:
        """Return those of a smaller vocabulary with `size` learned ids: as many as take their usual share of it."""
        characters = self.characters[: int(size * CHARACTERS_SHARE)]
        return {*characters, *self.beginnings[: int(size * BEGINNINGS_SHARE)]}


def required_segments(sources: Sequence[Source], config: MiningConfig, size: int, longest: int) -> Required:
    """Return the segments of at most `longest` bytes that must be among the `size` learned ones.

    A character that occurs fewer than `config.least` times in all is none of them, unless its block is asked for.
    Raises: ConfigError if the blocks, or the coverage that the config asks for, do not fit the size.
    """
    text = _Text(sources, config.least)
    blocks = [code for name in config.blocks for code in map(ord, block_characters(name)) if code >= _ASCII]
    beginnings = _chosen_beginnings(text.counts, size) if config.prefixes else []
    room = size - len(beginnings)
    if len(blocks) > room:
        raise _does_not_fit("blocks", f"{len(blocks):,} characters", len(blocks), room, size, "leave some out")

    def characters(coverage: float) -> list[int]:
        return list(dict.fromkeys([*blocks, *text.covered(coverage)]))

    asked = config.character_coverage
    found = characters(DEFAULT_COVERAGE if asked is None else asked)
    if asked is None:
        found = found[: max(len(blocks), min(room, int(size * CHARACTERS_SHARE)))]
    elif len(found) > room:
        less = ((share, len(characters(share))) for share in _LESS if share < asked)
        advice = next((f"use {share} ({count:,})" for share, count in less if count <= room), "leave it out")
        raise _does_not_fit(
            "character_coverage", f"{asked} takes {len(found):,} characters", len(found), room, size, advice
        )
    return Required(
        tuple(character for code in found if len(character := chr(code).encode()) <= longest),
        tuple(beginning for beginning in beginnings if len(beginning) <= longest),
    )


class _Text:
    """The characters beyond ASCII of all sources: `counts` (code points,), and which make up how much of what."""

    def __init__(self, sources: Sequence[Source], least: int) -> None:
        self.counts, self._weighted = np.zeros(_CODE_POINTS, np.int64), np.zeros(_CODE_POINTS)
        self._least = least
        self._sources: list[tuple[IntArray, IntArray, int]] = []
        for source in sources:
            counts, ascii_characters = _count(source.data)
            codes = np.flatnonzero(counts)
            self._sources.append((codes, counts[codes], ascii_characters))
            self.counts += counts
            self._weighted[codes] += source.weight * counts[codes]
        scripts: defaultdict[str, list[int]] = defaultdict(list)
        for code in np.flatnonzero(self.counts).tolist():
            if unicodedata.category(chr(code))[0] in "LM":  # letters, and marks on them
                scripts[unicodedata.name(chr(code), "").split(" ")[0]].append(code)
        self._scripts = [np.asarray(codes, np.int64) for codes in scripts.values()]

    def covered(self, coverage: float) -> list[int]:
        """Return the characters that have an id at a coverage, those of most weight first; none at 0."""
        if not coverage:
            return []
        found = [_most_frequent(*source, coverage) for source in self._sources]
        for codes in self._scripts:
            ordered = _most_frequent(codes, self.counts[codes], 0, 1.0)
            needed = len(_most_frequent(codes, self.counts[codes], 0, SCRIPT_COVERAGE))
            found.append(ordered[: max(SCRIPT_CHARACTERS, needed)])
        codes = np.unique(np.concatenate(found))
        codes = codes[self.counts[codes] >= self._least]
        ranked: list[int] = codes[np.argsort(-self._weighted[codes], kind="stable")].tolist()
        return ranked


def _count(data: bytes) -> tuple[IntArray, int]:
    """How often each code point beyond ASCII occurs, and how many characters are ASCII."""
    counts = np.zeros(_CODE_POINTS, np.int64)
    for part in cut(data, PART_BYTES):
        codes = np.frombuffer(str(part, "utf-8", "ignore").encode("utf-32-le"), np.uint32)
        found = np.bincount(codes)
        counts[: len(found)] += found
    ascii_characters = int(counts[:_ASCII].sum())
    counts[:_ASCII] = 0
    return counts, ascii_characters


def _most_frequent(codes: IntArray, counts: IntArray, others: int, share: float) -> IntArray:
    """The fewest characters that make up, with `others` that need no id, this share of all; most frequent first."""
    order = np.argsort(-counts, kind="stable")
    reached = others + np.cumsum(counts[order])
    wanted = share * (others + int(counts.sum()))
    return codes[order[: int(np.searchsorted(reached, wanted)) + 1]] if others < wanted else codes[:0]


def _chosen_beginnings(counts: IntArray, size: int) -> list[bytes]:
    """All beginnings, or only those of the text where all would take too many ids; first those that begin most."""
    room = int(size * BEGINNINGS_SHARE)
    begun: Counter[bytes] = Counter()
    for code in np.flatnonzero(counts[0x800:]).tolist():
        begun[chr(code + 0x800).encode()[:-1]] += int(counts[code + 0x800])
    used = [beginning for beginning, _ in begun.most_common()]
    return list(dict.fromkeys([*filter(_IS_BEGINNING, used), *BEGINNINGS])) if len(BEGINNINGS) <= room else used[:room]


def _does_not_fit(key: str, what: str, needed: int, room: int, size: int, advice: str) -> ConfigError:
    least = FIRST_LEARNED + size + needed - room
    return ConfigError(
        "config",
        [
            (
                f"$.mining.{key}",
                f"{what}, and a vocabulary of {FIRST_LEARNED + size:,} ids has room for {room:,}; "
                f"{advice}, or use a vocab_size of at least {least:,}",
            )
        ],
    )

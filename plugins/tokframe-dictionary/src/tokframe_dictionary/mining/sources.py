"""Source: text of one kind with the weight of its bytes, so that the largest kind does not take every id.

Which files make up a source is left to the caller (`tokframe.corpus.files` groups them by name).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from tokframe.corpus.sources import pattern_of
from tokframe_dictionary.mining.aims import Aim
from tokframe_dictionary.mining.config import MiningConfig

__all__ = ["Gathered", "Source", "balance", "weigh"]

#: Bytes of text that are cut as one where a source is over its budget.
STRETCH_BYTES = 1 << 20


@frozen(kw_only=True, eq=False)
class Source:
    """Text of one kind; a token saved in it counts `weight` times.

    `data` is the text of which `characters` is the number, or where that was over a budget, one byte of `thinned`.
    """

    name: str
    data: bytes = field(repr=False)
    weight: float = 1.0
    characters: int = 0
    thinned: float = 1.0


class Gathered:
    """The documents of one source, added one by one: all of them up to `budget` bytes, then only their sizes.

    Where they are more than `budget`, `again` is asked for all of them once more, when the source is thinned: so memory
    holds at most `budget` bytes of a source, twice while they are joined. Documents that do not end in a newline are
    given one, so that none runs into the next.
    """

    def __init__(self, budget: int, again: Callable[[], Iterable[bytes]]) -> None:
        self.size, self.characters = 0, 0
        self._budget, self._again = budget, again
        self._kept: list[bytes] = []

    def add(self, document: bytes) -> None:
        """Add the next document."""
        document = _ended(document)
        self.size += len(document)
        self.characters += _characters(document)
        if self.size <= self._budget:
            self._kept.append(document)
        else:
            self._kept.clear()

    def text(self) -> bytes:
        """Return the source's text: all of it, or thinned to about the budget."""
        if self.size > self._budget:
            return b"".join(_thin(map(_ended, self._again()), self.size, self._budget))
        kept, self._kept = self._kept, []
        return b"".join(kept)


def balance(texts: Mapping[str, Gathered], config: MiningConfig) -> tuple[Source, ...]:
    """Give each source its weight: `factor * megabytes ** -flatness * (bytes per character) ** script`.

    `flatness` 0 treats all bytes alike, 1 all sources alike. `script` makes up for characters of several bytes,
    which cost ids that English spends on words. `weights` holds factors by name or pattern (`help-*`), 1 where a name
    is absent. Where the config has an aim, the weights are those that follow from it before there are segments. A
    source thinned to `budget` bytes weighs as much as it did whole.
    Sources without text are left out.
    """
    made = []
    for name, text in texts.items():
        if text.size:
            weight = float(config.weights.get(pattern_of(name, config.weights) or "", 1.0))
            weight *= (text.size / 1e6) ** -config.flatness * (text.size / max(1, text.characters)) ** config.script
            thinned = max(1.0, text.size / config.budget)
            data, characters = text.text(), max(1, text.characters)
            made.append(Source(name=name, data=data, weight=weight * thinned, characters=characters, thinned=thinned))
    sources = tuple(made)
    if config.aim:
        aim = Aim.of(config, [source.name for source in sources])
        return weigh(sources, aim, {source.name: len(source.data) for source in sources})
    return sources


def weigh(sources: Sequence[Source], aim: Aim, tokens: Mapping[str, int]) -> tuple[Source, ...]:
    """Return the sources with the weights that follow from an aim and the tokens that their texts have now."""
    whole = {source.name: tokens[source.name] * source.thinned for source in sources}
    weights = aim.weights(whole, {source.name: source.characters for source in sources})
    return tuple(evolve(source, weight=weights[source.name] * source.thinned) for source in sources)


#: Bytes that begin a UTF-8 character.
_LEADING_AND_ASCII = bytes(value for value in range(256) if value & 0xC0 != 0x80)


def _characters(data: bytes) -> int:
    return len(data) - len(data.translate(None, _LEADING_AND_ASCII))


def _ended(document: bytes) -> bytes:
    return document if document.endswith(b"\n") else document + b"\n"


def _thin(stretches: Iterable[bytes], total: int, budget: int) -> Iterator[bytes]:
    """Yield evenly spaced stretches of whole lines, about `budget` bytes in all, of a text of `total` bytes."""
    count = max(1, budget // STRETCH_BYTES)
    size = budget // count
    window = _Window(stretches)
    for number in range(count):
        window.drop(total * number // count)
        start = window.after_newline(window.start) if number else 0
        yield window.read(start, window.after_newline(start + size))


class _Window:
    """The part of a text that is looked at, which only moves on; offsets are those of the text."""

    def __init__(self, stretches: Iterable[bytes]) -> None:
        self.start = 0
        self._held = bytearray()
        self._stretches = iter(stretches)

    def _more(self) -> bool:
        stretch = next(self._stretches, None)
        self._held += stretch or b""
        return stretch is not None

    def drop(self, to: int) -> None:
        """Drop what is before an offset."""
        while self.start + len(self._held) < to:
            self.start += len(self._held)
            self._held.clear()
            if not self._more():
                return
        del self._held[: to - self.start]
        self.start = to

    def after_newline(self, offset: int) -> int:
        """Return the offset after the first newline from `offset` on, or the text's end."""
        looked = offset - self.start
        while (found := self._held.find(b"\n", looked)) < 0:
            looked = max(looked, len(self._held))
            if not self._more():
                return self.start + len(self._held)
        return self.start + found + 1

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two offsets that were looked at."""
        return bytes(self._held[start - self.start : end - self.start])

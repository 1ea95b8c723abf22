"""Added tokens: those of an export that are found in texts and which the compiled search does not know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import attrs
from tokenizers import Encoding

from tokframe.tokenizer.base import ITokenizer

__all__ = ["AddedTokens", "Finder"]


@attrs.frozen
class Finder:
    """Finds added tokens in texts, as Hugging Face does: the first, and of those that begin there the longest."""

    pattern: re.Pattern[str] | None
    ids: dict[str, int]
    #: Texts that hold one of these are left to the export, which knows what they strip and where they count.
    others: re.Pattern[str] | None
    backend: Any
    split: bool

    @classmethod
    def of(cls, tokens: Sequence[tuple[str, int, bool, bool]], backend: Any, *, split: bool) -> Finder:
        """Return a finder of tokens, each its text, its id, whether it is found wherever it stands, whether special."""

        def pattern(texts: list[str]) -> re.Pattern[str] | None:
            ordered = sorted(filter(None, texts), key=len, reverse=True)
            return re.compile(f"({'|'.join(map(re.escape, ordered))})") if ordered else None

        return cls(
            pattern=pattern([text for text, _, plain, _ in tokens if plain]),
            ids={text: number for text, number, plain, _ in tokens if plain},
            others=pattern([text for text, _, plain, _ in tokens if not plain]),
            backend=backend,
            split=split,
        )

    def encode(self, tokenizer: ITokenizer, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text."""
        special = [place for place, text in enumerate(texts) if self._holds_any(text)]
        if not special:
            return tokenizer.encode_batch(texts, False)
        parts = {place: self._parts(texts[place]) for place in special}
        rows = tokenizer.encode_batch(["" if place in parts else text for place, text in enumerate(texts)], False)
        for place, found in parts.items():
            if found is None:
                rows[place] = self._by_backend(texts[place]).ids
                continue
            for part in found:
                number = self.ids.get(part)
                rows[place] += [number] if number is not None else tokenizer.encode(part, False)
        return rows

    def encode_with_offsets(self, tokenizer: ITokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text and the characters of each."""
        parts = self._parts(text) if self._holds_any(text) else [text]
        if parts is None:
            encoding = self._by_backend(text)
            return encoding.ids, encoding.offsets
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        start = 0
        for part in parts:
            number = self.ids.get(part)
            if number is not None:
                ids.append(number)
                spans.append((start, start + len(part)))
            else:
                found = tokenizer.offsets(part)
                ids += found.ids.tolist()
                spans += zip(*(found.char_spans + start).T.tolist(), strict=True)
            start += len(part)
        return ids, spans

    def _holds_any(self, text: str) -> bool:
        return bool(
            (self.pattern is not None and self.pattern.search(text))
            or (self.others is not None and self.others.search(text))
        )

    def _parts(self, text: str) -> list[str] | None:
        """Return the tokens found and the texts between them; None where the export has to look."""
        if self.others is not None and self.others.search(text):
            return None
        return [part for part in self.pattern.split(text) if part] if self.pattern is not None else [text]

    def _by_backend(self, text: str) -> Encoding:
        self.backend.no_truncation()
        self.backend.no_padding()
        self.backend.encode_special_tokens = self.split
        return self.backend.encode(text, add_special_tokens=False)  # type: ignore[no-any-return]


@attrs.frozen
class AddedTokens:
    """The tokens that are found in texts, with special tokens and without."""

    all: Finder
    ordinary: Finder

    @classmethod
    def of(cls, backend: Any) -> Self:
        """Return those of a tokenizer of `tokenizers`."""
        tokens = backend.get_added_tokens_decoder().items()
        every = [(token.content, number, _plain(token), token.special) for number, token in tokens]
        return cls(
            all=Finder.of(every, backend, split=False),
            ordinary=Finder.of([token for token in every if not token[3]], backend, split=True),
        )


def _plain(token: Any) -> bool:
    """Return whether a token is found wherever its text stands, before anything else is done to the text."""
    return not (token.lstrip or token.rstrip or token.single_word or token.normalized)

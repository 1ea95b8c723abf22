"""TiktokenTokenizer: a tiktoken file (base64 of tokens, ranks) with its pattern, run by tiktoken."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Self

import numpy as np
import tiktoken

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.manifest import is_count
from tokframe.storage.state import State
from tokframe.storage.strictjson import shortened
from tokframe.tokenizer.results import Capabilities, IntArray
from tokframe.tokenizer.table import TableTokenizer, encode_mixed
from tokframe_huggingface.imported.common import (
    content_of,
    corrupt,
    from_library,
    is_lossless,
    refused,
    table_of,
    unencodable,
)

__all__ = ["FILE", "TiktokenTokenizer", "read_ranks"]

FILE = "ranks.tiktoken"


class TiktokenTokenizer(TableTokenizer):
    """Byte-level BPE by ranks: lossless unless its pattern omits characters.

    Special tokens are those given when it was imported, and `<unused N>` for unused ids.
    """

    capabilities = Capabilities(lossless=True, bytes_input=True, streaming=False)

    def __init__(self, content: bytes, pattern: str, special: Mapping[str, int]) -> None:
        """Build from the content of the file, the pattern that cuts text, and special tokens, which the file lacks.

        Raises: ArtifactCorruptError.
        """
        self._content, self._pattern, self._given = content, pattern, dict(special)
        ranks = read_ranks(content)
        known = {number: token for token, number in ranks.items()}
        for text, number in special.items():
            try:
                spelled = text.encode()
            except (AttributeError, UnicodeEncodeError):  # no text, or a lone surrogate
                spelled = b""
            if not spelled or not is_count(number):
                what = f"cannot have a special token {shortened(text)} of the id {shortened(number)}"
                raise refused(FILE, f"{what}: give it a text and an id")
            if number in known:
                other = known[number].decode("utf-8", "replace")
                raise refused(
                    FILE,
                    f"has the token {other!r} of the id of special token {text!r}, {number}. Give each its own id",
                )
            known[number] = spelled
        named = dict(special)
        super().__init__(table_of(known, named, FILE), named)
        try:
            self._encoding = tiktoken.Encoding(
                "imported", pat_str=pattern, mergeable_ranks=ranks, special_tokens=self._given
            )
            self._encoding.encode_ordinary("")  # fails where the pattern matches nothing at all
        except BaseException as cause:  # the binding raises what its regular expressions raise
            if not from_library(cause):
                raise
            raise corrupt(FILE, f"does not work with the pattern {pattern!r:.80} ({cause})") from cause
        self._byte_ids = np.asarray([ranks[bytes([byte])] for byte in range(256)], np.int32)
        exact = is_lossless(self, special)
        self.capabilities = Capabilities(  # type: ignore[misc]  # of this pattern, not of the class
            lossless=exact, bytes_input=exact, offsets=exact, streaming=False
        )

    @property
    def unknown_id(self) -> None:
        """None: every byte has an id."""

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of any bytes. Raises: EncodingError where the pattern fails."""
        return encode_mixed(data, lambda texts: map(self._ids, texts), self._byte_ids)

    def state(self) -> State:
        """Return the file, byte for byte, with pattern and special tokens."""
        return State(config={"pattern": self._pattern, "special": dict(self._given)}, files={FILE: self._content})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build from a state. Raises: ArtifactCorruptError."""
        pattern, special = state.config.get("pattern"), state.config.get("special", {})
        if not isinstance(pattern, str) or not isinstance(special, Mapping):
            raise ArtifactCorruptError("config.json has no pattern or no special tokens", file="config.json")
        return cls(content_of(state, FILE), pattern, special)

    def _ids(self, text: str) -> list[int]:
        try:
            return self._encoding.encode_ordinary(text)
        except BaseException as cause:  # a panic of its regular expressions, e.g. one that backtracks without end
            if not from_library(cause):
                raise
            raise unencodable(self, text, cause) from cause


def read_ranks(content: bytes) -> dict[bytes, int]:
    """Return the tokens of a tiktoken file with their ranks. Raises: ArtifactCorruptError naming the line."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError:
            raise corrupt(FILE, f"needs base64 and a rank in line {number}, found {line!r:.60}") from None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise corrupt(FILE, f"has no token for the byte 0x{missing[0]:02x}")
    if len(set(ranks.values())) != len(ranks) or min(ranks.values()) < 0:
        raise corrupt(FILE, "has duplicate or negative ranks")
    return ranks

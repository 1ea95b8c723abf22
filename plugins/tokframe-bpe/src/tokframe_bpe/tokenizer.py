"""BPETokenizer: byte-level BPE. Hugging Face `tokenizers` encodes UTF-8 text; other bytes get byte ids.

Hugging Face is given plain text only: it knows no special tokens, and its decoder, which replaces bytes that are not
UTF-8, is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tokframe.storage.state import State
from tokframe.tokenizer.results import Capabilities, IntArray, TokenizerModel
from tokframe.tokenizer.table import GPT2_PATTERN, SPECIAL_TOKENS, TableTokenizer, encode_mixed, to_alphabet
from tokframe_bpe.safe_cuts import FOLLOWERS, chunks, open_pieces, stable_bytes
from tokframe_bpe.tokenizer_json import FILE, corrupt, merges, read

if TYPE_CHECKING:
    from tokframe.tokenizer.bigrams import ImpossiblePairs
    from tokframe.tokenizer.prompts import Cover
    from tokframe.training.job import TrainJob

__all__ = ["BPETokenizer"]

_IDS_OF_A_PIECE = 24  # looked at for its beginning; in a longer one any id may follow
CHUNKS_PER_CALL = 64  # bounds the memory of the encodings that Hugging Face keeps in full


class BPETokenizer(TableTokenizer):
    """Byte-level BPE: lossless for any bytes; `<unk>` is never used. Thread-safe."""

    capabilities: ClassVar[Capabilities] = Capabilities(lossless=True, bytes_input=True)

    def __init__(self, content: bytes, config: Mapping[str, Any]) -> None:
        """Build from the content of `tokenizer.json`. Raises: ArtifactCorruptError."""
        self._content = content
        self._config = dict(config)
        self._tokenizer, table = read(content)
        super().__init__(table, SPECIAL_TOKENS)
        self._byte_ids = np.zeros(256, np.int32)
        for number, token in enumerate(table):
            if len(token) == 1:
                self._byte_ids[token[0]] = number

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of any bytes."""
        found: list[IntArray] = []
        parts = chunks(data)
        while group := list(islice(parts, CHUNKS_PER_CALL)):
            try:
                found += self._encode(part.decode() for part in group)
            except UnicodeDecodeError:
                found += (encode_mixed(part, self._encode, self._byte_ids) for part in group)
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes have the same ids whatever follows."""
        return stable_bytes(data)

    def settled_ids(self, data: bytes) -> tuple[list[int], int]:
        """Return the ids of all pre-tokens that no text behind them changes, and how many bytes they stand for."""
        ids, end = self.encode_raw_list(data), len(data)
        settled = stable_bytes(data)
        with suppress(UnicodeDecodeError):
            text = data[settled:].decode()
            # In the byte-level alphabet, so that lengths are bytes.
            pieces = [piece for piece, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]
            settled = len(data) - sum(map(len, pieces[-open_pieces(pieces) :]))
        while end > settled:
            end -= len(self._table[ids.pop()])
        return ids, end

    def open_covers(self, data: bytes, settled: int) -> list[Cover]:
        """Return how ids may go on after the settled ones: for each way in which what follows may split the open bytes.

        Merges stay within a pre-token and never depend on what follows it, so ids of a beginning of one are its first.
        """
        try:
            text = data[settled:].decode()
        except UnicodeDecodeError:  # text cannot follow what is none
            return super().open_covers(data, settled)
        size, tokens, covers = len(data), self._sorted_tokens, dict[tuple[int, ...], bytes]()
        for follower in FOLLOWERS:
            place, ids = settled, list[int]()
            for piece, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text + follower):
                if place + len(piece) > size:
                    break
                ids += self._merged(piece)
                place += len(piece)
            for end in range(max(place, size + 1 - tokens.longest), size):
                if len(tokens.beyond(data[end:])):
                    covers[*ids, *self._merged(to_alphabet(data[place:end]))] = data[end:]
            covers[*ids, *self._merged(to_alphabet(data[place:]))] = b""
        return sorted(((list(ids), rest) for ids, rest in covers.items()), key=lambda cover: -len(cover[1]))

    def may_follow(self, ids: Sequence[int], token: int) -> bool:
        """Return whether merges leave `token` behind the ids of a text, as far as it is whole characters.

        Raises: InvalidTokenError.
        """
        last = [*ids[-_IDS_OF_A_PIECE:], self.check_token(token)]
        after = next((n for n in range(len(last), 0, -1) if 0 <= last[n - 1] < len(SPECIAL_TOKENS)), 0)
        begun = not after and len(ids) > _IDS_OF_A_PIECE  # then the first piece may be the end of one
        last = last[after:]
        try:
            text = self.decode_bytes(last).decode()
        except UnicodeDecodeError:
            return True
        pieces = [piece for piece, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)][begun:]
        found = [merged for piece in pieces for merged in self._merged(piece)]
        return last[len(last) - len(found) :] == found

    def _merged(self, piece: str) -> list[int]:
        """Return the ids of a part of a pre-token, which may cut a character, in the byte-level alphabet."""
        return [token.id for token in self._tokenizer.model.tokenize(piece)] if piece else []

    def impossible_pairs(self) -> ImpossiblePairs:
        """Return the pairs of ids that merging never leaves side by side; computed at each call, in about a second."""
        from tokframe_bpe.bigrams import impossible_pairs

        return impossible_pairs(merges(self._content), self._table, len(SPECIAL_TOKENS))

    def model(self) -> TokenizerModel:
        """Return pieces and merges."""
        return TokenizerModel(
            algorithm="bpe",
            pieces=self._table,
            special=self.special_tokens,
            merges=tuple(merges(self._content)),
            pattern=GPT2_PATTERN,
        )

    def state(self) -> State:
        """Return `tokenizer.json`, byte for byte as it was read."""
        return State(config=dict(self._config), files={FILE: self._content})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build a tokenizer from its state. Raises: ArtifactCorruptError."""
        if FILE not in state.files:
            raise corrupt("is missing")
        return cls(state.files[FILE], state.config)

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Learn merges from a corpus. Raises: as `training.learn_merges`."""
        from tokframe.storage.config import structure, unstructure
        from tokframe_bpe.config import BPEConfig
        from tokframe_bpe.training import learn_merges

        job.check_cpu()
        config = structure(BPEConfig, job.config)
        return cls(learn_merges(job, config), unstructure(config))

    def _encode(self, texts: Iterable[str]) -> Iterator[IntArray]:
        # "fast" omits offsets, which `ITokenizer.offsets` computes from the bytes of the tokens
        for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
            yield np.array(encoding.ids, np.int32)

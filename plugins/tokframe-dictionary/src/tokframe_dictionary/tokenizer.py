"""DictionaryTokenizer: text to ids by the search over a vocabulary. Training is in `pipeline`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard

import numpy as np
import numpy.typing as npt

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.manifest import is_count
from tokframe.storage.state import State
from tokframe.storage.strictjson import canonical_json, parse_json
from tokframe.tokenizer.base import ITokenizer, utf8
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray, TokenizerModel
from tokframe.tokenizer.streams import adjacent
from tokframe.tokenizer.table import SPECIAL_TOKENS
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES
from tokframe_dictionary.segmenter.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, Vocabulary

if TYPE_CHECKING:
    from tokframe.tokenizer.bigrams import ImpossiblePairs
    from tokframe.training.job import TrainJob
    from tokframe_dictionary.vocabulary.bigrams import NeverNext

__all__ = ["DictionaryTokenizer"]

#: The file of an artifact that says which size it was pruned from.
PRUNED_FILE = "pruned.json"
#: The file of an artifact that says how many ids were added to it, and from what text.
EXTENDED_FILE = "extended.json"
_IDS_OF_A_LINE = 64  # looked at for its beginning, then four times as many


class DictionaryTokenizer(ITokenizer):
    """A vocabulary of mined byte segments, searched for the fewest tokens; lossless for any bytes."""

    capabilities: ClassVar[Capabilities] = Capabilities(lossless=True, bytes_input=True)
    state_version: ClassVar[int] = 1
    #: The group of tensors, and so the file, that holds the vocabulary in an artifact.
    group: ClassVar[str] = "vocabulary"

    def __init__(
        self, vocabulary: Vocabulary, *, config: Mapping[str, Any], files: Mapping[str, bytes] | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.config = config
        self._files = dict(files or {})
        try:
            self._segmenter = Segmenter.from_packed(
                vocabulary.blob,
                vocabulary.offsets,
                np.arange(FIRST_BYTE, vocabulary.vocab_size, dtype=np.int32),
                block=_block(config),
            )
        except ValueError as error:  # a segment twice, too long, or with a newline inside
            file = f"{self.group}.safetensors"
            raise ArtifactCorruptError(f"{file} holds segments that cannot be searched: {error}", file=file) from error

        self._encode_text = self._segmenter.encode_text
        self._framed = type(self).template is not ITokenizer.template

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.vocabulary.vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """`<pad> <unk> <s> </s>`; `<unk>` is never produced; it keeps ids aligned with other tokenizers."""
        return SPECIAL_TOKENS

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes an id stands for. Raises: InvalidTokenError."""
        return self.vocabulary.token_bytes(self.check_token(token))

    def encode(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of `text`, as `ITokenizer.encode` does; one call of the search if there is no more to do."""
        if not allowed_special and not (add_special and self._framed):
            try:
                return self._encode_text(text)
            except (UnicodeEncodeError, TypeError, AttributeError):  # below, with the error that says what is wrong
                pass
        return super().encode(text, add_special, allowed_special=allowed_special)

    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of any bytes: the path of fewest tokens."""
        return self._segmenter.encode(data)

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return `encode_raw` as a list, made without an array between."""
        return self._segmenter.encode_list(data)

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added. Raises: EncodingError."""
        ids = self.encode_raw(utf8(text))
        return adjacent(ids, *(counts[ids - FIRST_BYTE] for counts in self._sizes))

    @cached_property
    def _sizes(self) -> tuple[IntArray, IntArray, IntArray]:
        """Of each id behind the special ones: its bytes, the characters that begin in it, whether it begins in one."""
        offsets = self.vocabulary.offsets
        begins = self.vocabulary.blob & 0xC0 != 0x80
        before = np.concatenate([[0], np.cumsum(begins)])
        sizes = np.diff(offsets), np.diff(before[offsets]), ~begins[offsets[:-1]]
        return tuple(counts.astype(np.int32) for counts in sizes)  # type: ignore[return-value]  # three of them

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text without special tokens, as lists. Raises: EncodingError."""
        try:
            return self._segmenter.encode_lists(texts)
        except (UnicodeEncodeError, TypeError, AttributeError):  # one by one, for the error that says what is wrong
            return super().encode_lists(texts)

    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the exact bytes of ids."""
        if len(ids) and int(ids.min()) < FIRST_BYTE:
            return b"".join(self.vocabulary.token_bytes(token) for token in ids.tolist())
        return self._segmenter.decode(ids)

    def decode(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> str:
        """Return the text of ids, as `ITokenizer.decode` does. Raises: InvalidTokenError."""
        found = self._segmenter.decode_known_text(tokens) if _plain(tokens) else None
        return super().decode(tokens, skip_special) if found is None else found

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the exact bytes of ids. Raises: InvalidTokenError."""
        found = self._segmenter.decode_known(tokens) if _plain(tokens) else None
        return super().decode_bytes(tokens, skip_special) if found is None else found

    def count(self, text: str) -> int:
        """Return how many ids `text` has."""
        return self._segmenter.count(utf8(text))

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes are whole lines or blocks, which encode the same whatever follows."""
        return self._segmenter.stable_prefix(data)

    def settled_ids(self, data: bytes) -> tuple[list[int], int]:
        """Return the ids that every path has in common which the search may take, whatever follows; and their bytes."""
        return self._segmenter.settled_ids(data)

    def never_next(self, ids: Sequence[int]) -> IntArray:
        """Return the ids that the search never puts behind `ids`, which are its own for their text: all of them.

        Raises: InvalidTokenError.
        """
        unit = self._last_unit(ids)
        room = _block(self.config) - len(unit)
        if not room:  # the next id begins a block
            return np.empty(0, np.int32)
        never = self._never_next.after(unit)
        if room >= self._sorted_tokens.longest:
            return never
        too_long = FIRST_BYTE + np.flatnonzero(np.diff(self.vocabulary.offsets) > room)
        return np.union1d(never, too_long).astype(np.int32)

    def may_follow(self, ids: Sequence[int], token: int) -> bool:
        """Return whether the search puts `token` behind `ids`, its own for their text. Raises: InvalidTokenError."""
        piece = self.token_bytes(token)
        if token < FIRST_BYTE:
            return True
        # The best path to where the token begins is the same with it.
        return self._segmenter.encode_list(self._last_unit(ids) + piece)[-1] == token

    @cached_property
    def _never_next(self) -> NeverNext:
        from tokframe_dictionary.vocabulary.bigrams import NeverNext

        return NeverNext(self.vocabulary, self._sorted_tokens, self._segmenter.count)

    def _last_unit(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of the last line of ids, or of the last block of an overlong one."""
        size = _IDS_OF_A_LINE
        while True:
            last = list(ids[-size:])
            whole = len(last) == len(ids)
            if min(last, default=FIRST_BYTE) < FIRST_BYTE:
                after = next((n for n in range(len(last), 0, -1) if 0 <= last[n - 1] < FIRST_BYTE), 0)
                last, whole = last[after:], True
            data = self.decode_bytes(last)
            begin = data.rstrip(b"\n").rfind(b"\n") + 1
            if begin or whole:
                return data[begin + self._segmenter.stable_prefix(data[begin:]) :]
            size *= 4

    def impossible_pairs(self) -> ImpossiblePairs:
        """Return the pairs of ids that the search never gives; made at each call, in about half a second."""
        from tokframe_dictionary.vocabulary.bigrams import impossible_pairs

        return impossible_pairs(self.vocabulary)

    def training_counts(self) -> npt.NDArray[np.int64]:
        """Return how often training text used each id, (vocab_size,) int64."""
        return self.vocabulary.counts.copy()

    def model(self) -> TokenizerModel:
        """Return the search as a unigram model of equally likely segments: the same paths, by the same tie rule."""
        return TokenizerModel(
            algorithm="unigram",
            pieces=tuple(map(self.vocabulary.token_bytes, range(self.vocab_size))),
            special=self.special_tokens,
            unknown=SPECIAL_TOKENS["<unk>"],
            scores=(-1.0,) * self.vocab_size,
            max_line_bytes=_block(self.config),
        )

    def prune(self, vocab_size: int) -> Self:
        """Return a tokenizer of the `vocab_size` ids that matter most: larger sizes hold all that smaller ones have.

        Raises: ConfigError for a size that cannot be; UnsupportedError if its artifact does not say which ids.
        """
        vocabulary = self.vocabulary.pruned(vocab_size)
        record = canonical_json({"ids": {"before": self.vocab_size, "after": vocab_size}})
        files = {**self._files, PRUNED_FILE: record}
        if vocab_size <= self.vocab_size - self.added_ids:
            files.pop(EXTENDED_FILE, None)
        made = self._with(vocabulary, self.vocabulary.kept(vocab_size), files)
        made.name = self.name
        return made

    def extend(self, job: TrainJob, vocab_size: int) -> Self:
        """Return a tokenizer with more ids, for the text of a job, behind its own, which stay as they are.

        Raises: ConfigError for a size that is no larger; CorpusError; TrainingError if no segment saves anything;
        TrainingInterrupted on request.
        """
        from tokframe_dictionary.pipeline import extend

        vocabulary, record = extend(job, self.vocabulary, self.config, vocab_size, self.longest_segment)
        record["ids"]["added"] = self.added_ids + vocabulary.vocab_size - self.vocab_size
        origins = np.full(vocabulary.vocab_size, -1, np.int64)
        origins[: self.vocab_size] = np.arange(self.vocab_size)
        made = self._with(vocabulary, origins, {**self._files, EXTENDED_FILE: canonical_json(record)})
        made.name = self.name
        return made

    @property
    def longest_segment(self) -> int:
        """The most bytes that a segment may have."""
        return MAX_SEGMENT_BYTES

    @property
    def added_ids(self) -> int:
        """How many of the ids, at most, `extend` added. Raises: ArtifactCorruptError."""
        if EXTENDED_FILE not in self._files:
            return 0
        ids = parse_json(self._files[EXTENDED_FILE], EXTENDED_FILE).get("ids")
        added = ids.get("added") if isinstance(ids, Mapping) else None
        if not is_count(added):
            raise ArtifactCorruptError(f"{EXTENDED_FILE} has no number ids.added", file=EXTENDED_FILE)
        return int(added)

    def _with(self, vocabulary: Any, origins: npt.NDArray[np.int64], files: Mapping[str, bytes]) -> Self:
        """Return the tokenizer with another vocabulary; `origins` is the old id of each new one, -1 without one."""
        return type(self)(vocabulary, config=self.config, files=files)

    @property
    def files(self) -> Mapping[str, bytes]:
        """Further files of the artifact, such as the record of its training."""
        return dict(self._files)

    def state(self) -> State:
        """Return vocabulary, config and training record."""
        return State(config=self.config, tensors={self.group: self.vocabulary.tensors()}, files=self._files)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Build a tokenizer from its state. Raises: ArtifactCorruptError."""
        return cls(Vocabulary.from_tensors(cls.tables(state)), config=state.config, files=state.files)

    @classmethod
    def tables(cls, state: State) -> Mapping[str, Any]:
        """Return the tensors that hold the vocabulary. Raises: ArtifactCorruptError where there are none."""
        if cls.group not in state.tensors:
            file = f"{cls.group}.safetensors"
            raise ArtifactCorruptError(f"the artifact has no {file}", file=file)
        return state.tensors[cls.group]

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Mine, prune and compile. Raises: ConfigError; CorpusError; TrainingError; TrainingInterrupted."""
        from tokframe.storage.config import structure
        from tokframe_dictionary.config import DictionaryConfig
        from tokframe_dictionary.pipeline import train

        job.check_cpu()
        config = structure(DictionaryConfig, job.config)
        vocabulary, record = train(job, config)
        return cls(vocabulary, config=record["config"], files={"training.json": canonical_json(record)})


def _plain(tokens: Sequence[int] | IntArray) -> TypeGuard[list[int] | IntArray]:
    """Whether ids are what the compiled look-up reads as they stand."""
    return type(tokens) is list or (
        type(tokens) is np.ndarray and tokens.dtype == np.int32 and tokens.ndim == 1 and tokens.flags.c_contiguous
    )


def _block(config: Mapping[str, Any]) -> int:
    section = config.get("selection", {})
    block = section.get("block", 4096) if isinstance(section, Mapping) else section
    if isinstance(block, bool) or not isinstance(block, int) or not 64 <= block <= 1 << 20:
        raise ArtifactCorruptError(f"config.json has selection.block {block!r}; 64 to 1048576", file="config.json")
    return block

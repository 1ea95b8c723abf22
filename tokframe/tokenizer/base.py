"""ITokenizer: text to ids and back. How bytes become ids is left to subclasses.

A tokenizer implements seven small methods on bytes; everything users call is derived from them here.
"""

from __future__ import annotations

import codecs
import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tokframe.errors import EncodingError, TokframeError, UnsupportedError
from tokframe.plugins.discovery import host, rebuild
from tokframe.plugins.registry import load_config
from tokframe.storage import artifact
from tokframe.storage.strictjson import parse_json
from tokframe.tokenizer import batching, streams
from tokframe.tokenizer.ids import id_array, one_id
from tokframe.tokenizer.inputs import bytes_of, in_order, whole_number
from tokframe.tokenizer.prompts import Cover, Growth, Prompt, SortedTokens
from tokframe.tokenizer.results import Capabilities, Encoding, IntArray, PaddedBatch, TokenizerModel, TrainingRecord
from tokframe.tokenizer.roles import roles_of
from tokframe.tokenizer.segments import SegmentedText, segmented

if TYPE_CHECKING:
    from tokframe.plugins.registry import Registry, TokenizerSpec
    from tokframe.storage.state import State
    from tokframe.tokenizer.bigrams import ImpossiblePairs
    from tokframe.training.job import TrainJob

__all__ = ["ITokenizer", "utf8"]

_ONE_TEXT = "; for one text there is encode"


class ITokenizer(ABC):
    """Text to ids and back.

    Subclasses implement `vocab_size`, `special_tokens`, `token_bytes`, `encode_raw`, `decode_raw`, `state` and
    `from_state`. Special tokens are only ever added by `add_special` or found where `allowed_special` says so:
    their text inside user text is ordinary text.
    """

    #: The registered name; set by the loader.
    name: str = ""
    capabilities: ClassVar[Capabilities]
    #: The version of what `state` returns; an artifact records it (see `plugins.migrations`).
    state_version: ClassVar[int] = 1
    #: Whether `train` may be called in several processes at once, which train together (see `training.torchrun`).
    trains_in_processes: ClassVar[bool] = False
    #: Whether `train` can keep the ids of another tokenizer, `job.vocabulary`, and add to what is known of them.
    trains_over_vocabulary: ClassVar[bool] = False

    # -- what a tokenizer implements ------------------------------------------------------------------------

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of ids; valid ids are 0 to `vocab_size - 1`."""

    @property
    @abstractmethod
    def special_tokens(self) -> Mapping[str, int]:
        """Special token text to id, e.g. `{"<pad>": 0}`."""

    @abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """Return the bytes an id stands for (a special token: its text). Raises: InvalidTokenError."""

    @abstractmethod
    def encode_raw(self, data: bytes) -> IntArray:
        """Return the ids of bytes, without special tokens.

        Raises: UnsupportedError where `capabilities.bytes_input` is False and `data` is not UTF-8.
        """

    @abstractmethod
    def decode_raw(self, ids: IntArray) -> bytes:
        """Return the bytes of valid ids, special tokens included as their text. Raises: InvalidTokenError."""

    @abstractmethod
    def state(self) -> State:
        """Return all that is needed to build this tokenizer again, as plain data."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: State) -> Self:
        """Build a tokenizer from its state. Raises: ArtifactCorruptError where the state makes no sense."""

    @classmethod
    def train(cls, job: TrainJob) -> Self:
        """Train on `job.corpus` with `job.config`. Raises: UnsupportedError where this tokenizer has no training."""
        raise UnsupportedError(f"{cls.__name__} has no training", capability="train")

    @classmethod
    def sized_config(
        cls, config: Mapping[str, Any], vocab_size: int, registry: Registry, defaults: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a training config that asks for so many ids; overridden where its key is not `vocab_size`."""
        return {**config, "vocab_size": vocab_size}

    @classmethod
    def config_classes(cls, spec: TokenizerSpec, registry: Registry) -> Mapping[str, type[Any]]:
        """Return the config classes of training by section, "" for the keys outside of sections.

        By default the one that the registered `spec` names. Raises: ComponentImportError.
        """
        return {"": load_config(spec)} if spec.config else {}

    @classmethod
    def full_config(cls, config: Mapping[str, Any], spec: TokenizerSpec, registry: Registry) -> dict[str, Any]:
        """Return a training config with every default written out. Raises: ConfigError."""
        from tokframe.storage.config import structure, unstructure  # cattrs, which loading does without

        return unstructure(structure(load_config(spec), config)) if spec.config else dict(config)

    def encode_raw_list(self, data: bytes) -> list[int]:
        """Return `encode_raw` as a list; overridden where lists can be made without an array."""
        ids: list[int] = self.encode_raw(data).tolist()
        return ids

    def encode_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """Return `encode` of each text without special tokens; overridden where many texts at once are cheaper.

        `encode_batch` calls it on each of its threads with some kB of texts at a time. Raises: EncodingError.
        """
        return [self.encode(text, False) for text in texts]

    def stable_prefix(self, data: bytes) -> int:
        """Return how many leading bytes encode the same whatever follows; 0 where that is unknown."""
        return 0

    def settled_ids(self, data: bytes) -> tuple[list[int], int]:
        """Return the ids that stay whatever follows `data`, and how many of its bytes they stand for.

        By default those of the stable prefix; overridden where more of them are known to stay.
        """
        stable = self._streamed_prefix(data)
        return self.encode_raw_list(data[:stable]), stable

    def open_covers(self, data: bytes, settled: int) -> list[Cover]:
        """Return what `Prompt.covers` does: how ids may go on after those of the first `settled` bytes, which stay.

        By default the ids of each beginning of `data` from which a token goes beyond its end: all there are where the
        ids of a beginning that ends between two ids of a text are the first of these. Overridden where they are not.
        """
        start = self._streamed_prefix(data)
        skipped = len(self.encode_raw_list(data[start:settled]))
        covers: list[Cover] = []
        if self._spells:
            tokens = self._sorted_tokens
            for place in range(max(settled, len(data) + 1 - tokens.longest), len(data)):
                if len(tokens.beyond(data[place:])):
                    covers.append((self.encode_raw_list(data[start:place])[skipped:], data[place:]))
        return [*covers, (self.encode_raw_list(data[start:])[skipped:], b"")]

    def never_next(self, ids: Sequence[int]) -> IntArray:
        """Return the ids that no text has after `ids`, which are those of some text: all of them, or none if unknown.

        By default none; `impossible_pairs` rules some out by the last id alone.
        """
        return np.empty(0, np.int32)

    def may_follow(self, ids: Sequence[int], token: int) -> bool:
        """Return whether some text has `token` after `ids`, as `never_next` says or where that is unknown.

        It is faster than `never_next` for one id.
        """
        return token not in self.never_next(ids)

    def impossible_pairs(self) -> ImpossiblePairs | None:
        """Return the pairs of ids that no text is encoded to; None where they are unknown."""
        return None

    def model(self) -> TokenizerModel:
        """Return this tokenizer as plain data, which exporters read. Raises: UnsupportedError by default."""
        raise UnsupportedError(
            f"{self.name or type(self).__name__} cannot be exported. Supported: tokenizers that implement model()",
            capability="export",
        )

    def template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids that `add_special` puts before and after a text; by default none."""
        return (), ()

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary does not know, which hides its text; None without one.

        By default that of the special token `<unk>`, `[UNK]` or another of that role.
        """
        text = self.special_roles.get("unk")
        return None if text is None else self.special_tokens[text]

    @property
    def special_roles(self) -> Mapping[str, str]:
        """Role ("pad", "unk", "bos", "eos", "cls", "sep", "mask") to the special token that has it, where one does.

        By default those of the usual names.
        """
        return roles_of(self.special_tokens)

    @property
    def textless_ids(self) -> frozenset[int]:
        """The ids that stand for no text of their own: special tokens and the unknown one."""
        unknown = self.unknown_id
        return frozenset(self.special_tokens.values()).union(() if unknown is None else (unknown,))

    # -- text -----------------------------------------------------------------------------------------------

    def encode(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of `text`.

        `add_special` adds the tokens of `template()`. Special-token text is ordinary text, except for the names
        in `allowed_special`. Raises: EncodingError naming the position of a lone surrogate.
        """
        if allowed_special:
            found: list[int] = self.encode_array(text, add_special, allowed_special=allowed_special).tolist()
            return found
        return self._listed(utf8(text), add_special)

    def encode_array(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> IntArray:
        """Return the ids of `text` as an int32 array; otherwise as `encode`."""
        if allowed_special:
            ids = self._encode_with_special(text, allowed_special)
        else:
            ids = self.encode_raw(utf8(text))
        before, after = self.template() if add_special else ((), ())
        if not before and not after:
            return ids
        return np.concatenate([np.asarray(before, np.int32), ids, np.asarray(after, np.int32)])

    def decode(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> str:
        """Return the text of ids; bytes that are not UTF-8 become U+FFFD (see `decode_bytes`).

        Raises: InvalidTokenError naming an id outside the vocabulary and its position.
        """
        return self.decode_bytes(tokens, skip_special).decode("utf-8", errors="replace")

    def __call__(self, text: str, add_special: bool = True, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of `text`, as `encode` does."""
        return self.encode(text, add_special, allowed_special=allowed_special)

    def tokens(self, text: str) -> list[str]:
        r"""Return what each id of `text` stands for, special tokens not added, to see how a text is segmented.

        Bytes that are not a whole character are written as escapes, e.g. `\xf0`. Raises: EncodingError.
        """
        ids = self.encode_raw(utf8(text)).tolist()
        return [self.token_bytes(token).decode("utf-8", "backslashreplace") for token in ids]

    def show(self, text: str) -> SegmentedText:
        """Return a text in segments, colored where a notebook or a terminal shows it. Raises: EncodingError."""
        data = utf8(text)
        ids = self.encode_raw(data).tolist()
        return segmented(data, ids, [self.token_bytes(token) for token in ids], self.label)

    # -- the vocabulary -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of ids, `vocab_size`."""
        return self.vocab_size

    def vocab(self) -> dict[int, bytes]:
        """Return the bytes of each id, in order of ids (a special token: its text)."""
        return {token: self.token_bytes(token) for token in range(self.vocab_size)}

    # -- bytes ----------------------------------------------------------------------------------------------

    def encode_bytes(self, data: bytes, add_special: bool = True) -> list[int]:
        """Return the ids of any bytes.

        Raises: UnsupportedError where the tokenizer encodes only text; EncodingError where `data` is not bytes.
        """
        return self._listed(bytes_of(data), add_special)

    def decode_bytes(self, tokens: Sequence[int] | IntArray, skip_special: bool = True) -> bytes:
        """Return the exact bytes of ids. Raises: InvalidTokenError."""
        ids = self.as_ids(tokens)
        if skip_special and len(ids) and self.special_tokens:
            ids = self._without_special(ids)
        return self.decode_raw(ids)

    # -- many -----------------------------------------------------------------------------------------------

    def encode_batch(
        self,
        texts: Iterable[str],
        add_special: bool = True,
        *,
        max_length: int | None = None,
        threads: int | None = None,
    ) -> list[list[int]]:
        """Return the ids of each text, in order, as `encode` returns them.

        `texts` is a list, a tuple, an array, a Series (by position) or an iterator. `max_length` truncates each to that
        many ids, keeping the closing special tokens. `threads` is the number of worker threads; by default one per
        core. Raises: EncodingError naming the text that failed, or where `texts` has no order.
        """
        texts = in_order(texts, "texts", _ONE_TEXT)
        before, after, room = self._frame(add_special, max_length)

        def encode(part: list[str]) -> list[list[int]]:
            rows = self.encode_lists(part)
            if room is not None:
                for ids in rows:
                    del ids[room:]
            return [[*before, *ids, *after] for ids in rows] if before or after else rows

        return batching.map_texts(encode, texts, threads)

    def encode_batch_padded(
        self,
        texts: Iterable[str],
        add_special: bool = True,
        *,
        max_length: int | None = None,
        pad_to: int | None = None,
        threads: int | None = None,
    ) -> PaddedBatch:
        """Return ids and mask as `(batch, width)` arrays, padded to the longest or to `pad_to`.

        The padding token is `<pad>`, or what other libraries call it, e.g. `[PAD]`.
        Raises: UnsupportedError without one; EncodingError if a text is longer than `pad_to`.
        """
        pad = self.special_tokens.get(self.special_roles.get("pad", ""))
        if pad is None:
            raise UnsupportedError(f"{self.name} has no '<pad>' token to pad with", capability="padding")
        if pad_to is not None:
            pad_to = whole_number(pad_to, "pad_to", at_least=0)
        texts = in_order(texts, "texts", _ONE_TEXT)
        before, after, room = self._frame(add_special, max_length)
        first, last = np.asarray(before, np.int32), np.asarray(after, np.int32)

        def encode(part: list[str]) -> list[IntArray]:
            rows = [self.encode_array(text, False)[:room] for text in part]
            return [np.concatenate([first, ids, last]) for ids in rows] if before or after else rows

        rows = batching.map_texts(encode, texts, threads)
        return PaddedBatch.of_rows(rows, pad, pad_to)

    def decode_batch(
        self, batch: Iterable[Sequence[int] | IntArray], skip_special: bool = True, *, threads: int | None = None
    ) -> list[str]:
        """Return the text of each sequence of ids, in order, as `decode` returns it; by default in one thread."""
        # Reading lists and making strings needs the interpreter's lock: several threads are slower than one.
        rows = in_order(batch, "rows of ids", "; for the ids of one text there is decode")
        return batching.map_shares(lambda part: [self.decode(rows[i], skip_special) for i in part], rows, threads or 1)

    # -- counts and spans -------------------------------------------------------------------------------------

    def count(self, text: str) -> int:
        """Return how many ids `text` has, special tokens not counted."""
        return len(self.encode_raw(utf8(text)))

    def offsets(self, text: str) -> Encoding:
        """Return ids with the byte and character span of each, special tokens not added.

        Raises: UnsupportedError where ids do not spell the text (a lossy tokenizer).
        """
        if not self.capabilities.offsets:
            raise UnsupportedError(f"{self.name or type(self).__name__} has no offsets", capability="offsets")
        data = utf8(text)
        ids = self.encode_raw(data)
        return streams.spans(data, ids, [len(self.token_bytes(t)) for t in ids.tolist()])

    def stream_encoder(self) -> streams.StreamEncoder:
        """Return an incremental encoder: the ids of the parts are those of the whole text."""
        if not self.capabilities.streaming:
            raise UnsupportedError(f"{self.name} cannot encode a stream", capability="streaming")
        return streams.StreamEncoder(self)

    def stream_decoder(self, skip_special: bool = True) -> streams.StreamDecoder:
        """Return an incremental decoder: the text of the parts is that of the whole, never half a character.

        Overridden where an id's text depends on the ids beside it (see `streams.StreamDecoder`).
        """
        return streams.StreamDecoder(self, skip_special)

    # -- texts that go on -----------------------------------------------------------------------------------

    def prompt(self, text: str, add_special: bool = True) -> Prompt:
        """Return the ids of a text that something follows: those that stay, and the bytes whose ids are open.

        Whatever is appended, `encode` of the whole begins with these ids. `add_special` puts those of `template()` in
        front. Raises: EncodingError.
        """
        data = utf8(text)
        ids, size = self.settled_ids(data)
        before = self.template()[0] if add_special else ()
        return Prompt(
            ids=[*before, *ids],
            open=data[size:],
            tokens=partial(getattr, self, "_sorted_tokens"),
            covers=partial(self.open_covers, data, size),
        )

    def encode_parts(self, parts: Iterable[tuple[str, bool]], add_special: bool = True) -> list[int]:
        """Return the ids of texts joined, given as `(text, trusted)`: special tokens are found in trusted ones alone.

        Text between special tokens has the ids that it has as one text, wherever the parts are cut. Raises:
        EncodingError.
        """
        pieces: list[tuple[str, bool]] = []
        for part in in_order(parts, "pairs (text, trusted)", "; for one text there is encode"):
            match part:
                case (str() as text, bool() as trusted):
                    special = self.special_tokens if trusted else ()
                    pieces += streams.split_special(text, special) if special else [(text, False)]
                case _:
                    raise EncodingError(f"expected a pair (text, trusted) of str and bool, got {part!r:.60}")
        ids: list[int] = []
        for special, run in itertools.groupby(pieces, key=lambda piece: piece[1]):
            if special:
                ids += [self.special_tokens[text] for text, _ in run]
            else:
                ids += self.encode_raw_list(utf8("".join(text for text, _ in run)))
        before, after = self.template() if add_special else ((), ())
        return [*before, *ids, *after]

    def encode_more(self, previous: Growth | None, text: str) -> Growth:
        """Return what becomes of a text's ids when `text` is appended; `previous` is None for the first part.

        The ids of all parts are those of the whole, special tokens not added. The cost is that of `text` and of what is
        behind `stable_prefix`: less than a line or a few kB in the first-party tokenizers, all of the text where that
        is unknown. `previous` is not changed, so that one text can be continued in several ways. Raises: EncodingError.
        """
        if not isinstance(previous, Growth | None):
            raise EncodingError(f"previous is what encode_more returned, or None; got {type(previous).__name__}")
        settled, pending, tail = (0, b"", []) if previous is None else previous.state
        data = pending + utf8(text)
        stable = self._streamed_prefix(data)
        head, rest = self.encode_raw_list(data[:stable]), self.encode_raw_list(data[stable:])
        ids = head + rest
        both = zip(tail, ids, strict=False)
        same = next((n for n, (old, new) in enumerate(both) if old != new), min(len(tail), len(ids)))
        state = (settled + len(head), data[stable:], rest)
        return Growth(kept=settled + same, added=ids[same:], state=state)

    def canonicalize(self, tokens: Sequence[int] | IntArray) -> list[int]:
        """Return the ids that `encode` gives to the text of `tokens`; special tokens stay where they are.

        Raises: InvalidTokenError; UnsupportedError where ids do not spell the text (a lossy tokenizer).
        """
        self._check_spelling()
        textless = self.textless_ids
        ids: list[int] = []
        for special, run in itertools.groupby(self.as_ids(tokens).tolist(), textless.__contains__):
            found = list(run)
            ids += found if special else self.encode_raw_list(self.decode_raw(np.asarray(found, np.int32)))
        return ids

    def is_canonical(self, tokens: Sequence[int] | IntArray) -> bool:
        """Return whether `tokens` are the ids that `encode` gives to their text. Raises: as `canonicalize`."""
        ids = self.as_ids(tokens)
        return self.canonicalize(ids) == list(ids)

    # -- storage --------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the artifact folder `path`.

        Raises: ArtifactExistsError unless `overwrite`; ArtifactError; UnknownNameError if `name` is not registered.
        """
        return artifact.write(path, *self._saved_form(), overwrite=overwrite)

    def sha256(self) -> str:
        """Return the SHA-256 that identifies this tokenizer: of its name, version and files as `save` writes them.

        Raises: ArtifactError; UnknownNameError if `name` is not registered.
        """
        return artifact.state_sha256(*self._saved_form())

    def _saved_form(self) -> tuple[dict[str, Any], State]:
        state = self.state()
        return host().registry.header(self.name, state.components, self.state_version), state

    @property
    def training(self) -> TrainingRecord | None:
        """How this tokenizer was trained, losses included; None where it keeps no `training.json`."""
        file = "training.json"
        content = self.state().files.get(file)
        return None if content is None else TrainingRecord(tokenizer=self.label, facts=parse_json(content, file))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (self.name, self.state())

    def __repr__(self) -> str:
        parts = "".join(f" {kind}={name!r}" for kind, name in self.other_parts.items())
        return f"<{type(self).__name__} {self.name or 'unnamed'!r}{parts} vocab_size={self.vocab_size}>"

    @property
    def components(self) -> Mapping[str, str]:
        """Kind of each part inside ("encoder", "quantizer", ...) to its name; empty for a tokenizer without parts."""
        return {}

    @property
    def other_parts(self) -> Mapping[str, str]:
        """The `components` that are not those that a tokenizer of this name has by default."""
        found = dict(self.components)
        with suppress(TokframeError):  # its plugin may not be here
            defaults = host().registry.tokenizer(self.name).defaults if found else {}
            found = {kind: name for kind, name in found.items() if name != defaults.get(kind)}
        return found

    @property
    def label(self) -> str:
        """The name as tables and plots show it: with the parts that are not its default ones, where there are such."""
        parts = ", ".join(f"{kind} {name}" for kind, name in self.other_parts.items())
        name = self.name or type(self).__name__
        return f"{name} ({parts})" if parts else name

    # -- shared parts ---------------------------------------------------------------------------------------

    def as_ids(self, tokens: Sequence[int] | IntArray) -> IntArray:
        """Return ids as an int32 array. Raises: InvalidTokenError naming the first that is not an id; EncodingError."""
        return id_array(tokens, self.vocab_size)

    def check_token(self, token: int) -> int:
        """Return the id as an int. Raises: InvalidTokenError if it is not an id of the vocabulary."""
        return one_id(token, self.vocab_size)

    def _frame(self, add_special: bool, max_length: int | None) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
        """Return the ids before and after each text, and how many ids of its own it may have. Raises: EncodingError."""
        if max_length is not None:
            max_length = whole_number(max_length, "max_length", at_least=0)
        before, after = self.template() if add_special else ((), ())
        room = None if max_length is None else max_length - len(before) - len(after)
        if room is not None and room < 0:
            raise EncodingError(f"max_length {max_length} leaves no room for {len(before) + len(after)} special tokens")
        return before, after, room

    def _listed(self, data: bytes, add_special: bool) -> list[int]:
        ids = self.encode_raw_list(data)
        if add_special:
            before, after = self.template()
            if before or after:
                return [*before, *ids, *after]
        return ids

    def _streamed_prefix(self, data: bytes) -> int:
        return self.stable_prefix(data) if self.capabilities.streaming else 0

    @cached_property
    def _sorted_tokens(self) -> SortedTokens:
        self._check_spelling()
        return SortedTokens(list(map(self.token_bytes, range(self.vocab_size))), self.textless_ids)

    @property
    def _spells(self) -> bool:
        """Whether ids spell the text byte for byte."""
        return self.capabilities.lossless and self.capabilities.offsets

    def _check_spelling(self) -> None:
        if not self._spells:
            raise UnsupportedError(
                f"the ids of {self.name or type(self).__name__} do not spell its texts byte for byte, so which ids "
                "stand for a text is not known from their bytes. Use a lossless one, such as tokframe.load('bpe')",
                capability="lossless",
            )

    def _without_special(self, ids: IntArray) -> IntArray:
        special = sorted(self.special_tokens.values())
        if special[-1] - special[0] == len(special) - 1:  # a block of ids, as first-party tokenizers have it
            others = (ids < special[0]) | (ids > special[-1])
        else:
            others = ~np.isin(ids, special)
        return ids if others.all() else ids[others]

    def _encode_with_special(self, text: str, allowed: Collection[str]) -> IntArray:
        known = self.special_tokens
        if isinstance(allowed, str) or not isinstance(allowed, Iterable):
            raise EncodingError(f"allowed_special is a collection of names such as ['<s>'], got {allowed!r}")
        unknown = sorted(set(allowed) - set(known))
        if unknown:
            names = ", ".join(known) or "none"
            raise EncodingError(f"{unknown[0]!r} is not a special token of {self.name}; it has {names}")
        parts = [
            np.asarray([known[piece]], np.int32) if special else self.encode_raw(utf8(piece))
            for piece, special in streams.split_special(text, allowed)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)


def utf8(text: str) -> bytes:
    """Return the UTF-8 of text. Raises: EncodingError naming the position of a lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodingError(
            f"character {error.start} is the lone surrogate U+{ord(text[error.start]):04X}, which no UTF-8 text can "
            "hold. Replace it, e.g. text.encode('utf-8', 'replace').decode(), or encode the bytes you mean with "
            "encode_bytes",
            position=error.start,
        ) from None
    except AttributeError:
        hint = ""
        if isinstance(text, (bytes, bytearray, memoryview)):
            hint = "; for bytes there is encode_bytes"
        elif isinstance(text, Iterable):
            hint = "; for several texts there is encode_batch"
        raise EncodingError(f"expected str, got {type(text).__name__}{hint}") from None


def decode_text(data: bytes, name: str, *, final: bool = True) -> str:
    """Return UTF-8 as text; unless `final`, without an incomplete last character.

    Raises: UnsupportedError saying that the tokenizer `name` takes only text.
    """
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError as error:
        raise UnsupportedError(
            f"byte 0x{data[error.start]:02x} at position {error.start} is not UTF-8, and {name} encodes only text. For "
            "any bytes use a tokenizer with capabilities.bytes_input, such as tokframe.load('bpe')",
            capability="bytes_input",
        ) from None

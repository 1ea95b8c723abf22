"""TokframeTokenizer: a fast tokenizer of transformers whose ids come from tokframe's compiled search.

Everything but ids (templates, added tokens, pairs, decoding, files) is left to the export that it derives from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, overload

import attrs
import numpy as np
from tokenizers import Encoding as BackendEncoding
from transformers import BatchEncoding, PreTrainedTokenizerFast
from transformers import __version__ as transformers_version
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils.generic import PaddingStrategy

import tokframe
from tokframe.errors import ArtifactCorruptError, ArtifactNotFoundError, UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe_huggingface.added_tokens import AddedTokens, Finder
from tokframe_huggingface.export import CONFIG, set_tokenizer_class, write

__all__ = ["FOLDER", "TokframeTokenizer"]

FOLDER = "tokframe"  # beside tokenizer.json: the artifact
_PROBE = "The quick brown fox, naïve café 漢字 🙂\n\tjumps  over 1,234 dogs.\n\n"
_NOT_AN_EXPORT = "Try: tokframe_huggingface.TokframeTokenizer.from_tokframe(NAME).save_pretrained(DIR)"


class TokframeTokenizer(PreTrainedTokenizerFast):
    """A `PreTrainedTokenizerFast` that encodes texts and batches at tokframe's speed.

    Ids, offsets, padding, truncation, special tokens and chat templates are those of the export that
    `tokframe export --format huggingface` writes. Pairs of texts, texts split into words, `stride` and overflowing
    tokens go through the export, at its speed; so does what reads `encodings`, such as `word_ids()`, when it is called.
    """

    #: Tokens added to the vocabulary, as texts are searched for them; None until it is needed.
    _finder: AddedTokens | None = None
    _tokenizer: Any  # of tokenizers

    def __init__(self, *args: Any, tokenizer: ITokenizer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._encoder = tokenizer
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        if self._tokenizer.encode(_PROBE, add_special_tokens=False).ids != tokenizer.encode(_PROBE, False):
            raise ArtifactCorruptError(
                f"tokenizer.json and the tokenizer {tokenizer.name!r} beside it give different ids. {_NOT_AN_EXPORT}"
            )

    @classmethod
    def from_tokframe(cls, tokenizer: ITokenizer | str | Path, *, special_tokens: str = "auto", **kwargs: Any) -> Self:
        """Return a tokenizer of tokframe as one of transformers.

        `tokenizer` is one, or what `tokframe.load` takes. `special_tokens` is "found", "text" or "auto", as in
        `tokframe export`. `kwargs` are those of `from_pretrained`, e.g. `model_max_length=1024, padding_side="left"`.

        Raises: UnsupportedError for a tokenizer that cannot be exported; ArtifactError; UnknownNameError.
        """
        made = tokenizer if isinstance(tokenizer, ITokenizer) else tokframe.load(tokenizer)
        with tempfile.TemporaryDirectory() as folder:
            write(made, Path(folder), special_tokens=special_tokens)
            found = cls.from_pretrained(folder, tokenizer=made, **kwargs)
        found.name_or_path = made.name
        return found

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Self:
        """Return the tokenizer that `save_pretrained` wrote to a folder, or that was uploaded to a hub from one.

        Raises: ArtifactNotFoundError for an export without the tokframe artifact; ArtifactCorruptError; OSError.
        """
        if int(transformers_version.partition(".")[0]) < 5:
            raise UnsupportedError(
                f"TokframeTokenizer needs transformers 5, this is {transformers_version}. Try: pip install "
                "'transformers>=5', or load the export with AutoTokenizer",
                capability="transformers",
            )
        place = pretrained_model_name_or_path
        if not Path(place).is_dir():
            from huggingface_hub import snapshot_download

            chosen = {
                key: kwargs[key] for key in ("revision", "token", "cache_dir", "local_files_only") if key in kwargs
            }
            place = snapshot_download(str(place), allow_patterns=["*.json", "*.jinja", f"*{FOLDER}/*"], **chosen)
        if kwargs.get("tokenizer") is None:
            folder = Path(place, kwargs.get("subfolder") or "")
            if not (folder / FOLDER).is_dir():
                raise ArtifactNotFoundError(
                    f"no folder {FOLDER!r} in {str(folder)!r}: it may be an export, which AutoTokenizer reads. "
                    f"{_NOT_AN_EXPORT}"
                )
            kwargs["tokenizer"] = tokframe.load(folder / FOLDER)
        return super().from_pretrained(place, *args, **kwargs)  # type: ignore[no-any-return]

    @classmethod
    def convert_to_native_format(cls, trust_remote_code: bool = False, **kwargs: Any) -> dict[str, Any]:
        """Read `tokenizer.json` as it is: else transformers would take its vocabulary alone."""
        return kwargs

    def train_new_from_iterator(self, *args: Any, **kwargs: Any) -> PreTrainedTokenizerFast:
        """Raise UnsupportedError: transformers would train its own algorithm. `tokframe.train` trains tokframe's."""
        raise UnsupportedError(
            "train_new_from_iterator trains another algorithm than tokframe's. Use tokframe.train(...), or load the "
            "folder with AutoTokenizer",
            capability="train",
        )

    def _add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        self._finder = None
        return super()._add_tokens(new_tokens, special_tokens=special_tokens)

    def _save_pretrained(self, save_directory: Any, file_names: tuple[str, ...], *args: Any, **kwargs: Any) -> Any:
        names = super()._save_pretrained(save_directory, file_names, *args, **kwargs)
        self._encoder.save(Path(save_directory) / FOLDER, overwrite=True)
        # A name that transformers knows, so that AutoTokenizer reads the folder where tokframe is not installed.
        set_tokenizer_class(Path(save_directory) / CONFIG)
        return (*names, *(str(path) for path in sorted((Path(save_directory) / FOLDER).iterdir())))

    def _encode_plus(
        self,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = TruncationStrategy.DO_NOT_TRUNCATE,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        side = self.padding_side if padding_side is None else padding_side
        split = self.split_special_tokens if split_special_tokens is None else split_special_tokens
        encode: Any = super()._encode_plus
        by_export = partial(
            encode,
            text=text,
            text_pair=text_pair,
            add_special_tokens=add_special_tokens,
            padding_strategy=padding_strategy,
            truncation_strategy=truncation_strategy,
            max_length=max_length,
            stride=stride,
            is_split_into_words=is_split_into_words,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=side,
            return_overflowing_tokens=return_overflowing_tokens,
            split_special_tokens=split,
            **kwargs,
        )
        asked = {
            "return_token_type_ids": return_token_type_ids,
            "return_attention_mask": return_attention_mask,
            "return_special_tokens_mask": return_special_tokens_mask,
            "return_offsets_mapping": return_offsets_mapping,
            "return_length": return_length,
        }
        single = isinstance(text, str)
        texts = [text] if single else text
        frame = _Frame.of(self._tokenizer.encode("a", add_special_tokens=True)) if add_special_tokens else _Frame()
        truncated = truncation_strategy != TruncationStrategy.DO_NOT_TRUNCATE
        room = max_length - frame.size if truncated and max_length is not None and frame is not None else None
        if (
            text_pair is not None
            or frame is None
            or is_split_into_words
            or return_overflowing_tokens
            or stride
            or kwargs.get("sanitize_control_tokens")
            or (truncated and (truncation_strategy == TruncationStrategy.ONLY_SECOND or room is None or room < 0))
            or (return_offsets_mapping and not self._encoder.capabilities.offsets)
            or not (isinstance(texts, (list, tuple)) and texts and all(isinstance(one, str) for one in texts))
        ):
            exported: BatchEncoding = by_export(return_tensors=return_tensors, verbose=verbose, **asked)
            return exported

        finder = self._added_tokens_finder(split)
        rows: list[list[int]]
        offsets: list[list[tuple[int, int]]] = []
        if return_offsets_mapping:
            found = [finder.encode_with_offsets(self._encoder, one) for one in texts]
            rows, offsets = [ids for ids, _ in found], [spans for _, spans in found]
        else:
            rows = finder.encode(self._encoder, texts)
        cut = self._cut(room)
        rows = [frame.around(cut(row)) for row in rows]
        sizes = [len(row) for row in rows]
        for row in rows:
            self._eventual_warn_about_too_long_sequence(row, max_length, verbose)
        pad = partial(
            _pad, widths=_widths(sizes, padding_strategy, max_length, pad_to_multiple_of), left=side == "left"
        )
        names = self.model_input_names
        data: dict[str, list[Any]] = {"input_ids": pad(rows, self.pad_token_id)}
        if return_token_type_ids if return_token_type_ids is not None else "token_type_ids" in names:
            data["token_type_ids"] = pad([[0] * size for size in sizes], self.pad_token_type_id)
        if return_attention_mask if return_attention_mask is not None else "attention_mask" in names:
            data["attention_mask"] = pad([[1] * size for size in sizes], 0)
        if return_special_tokens_mask:
            data["special_tokens_mask"] = pad([frame.mask(size) for size in sizes], 1)
        if return_offsets_mapping:
            data["offset_mapping"] = pad([frame.framed_offsets(cut(spans)) for spans in offsets], (0, 0))
        if return_length:
            data["length"] = [len(row) for row in data["input_ids"]]
        if return_tensors in ("pt", "np"):
            data = {key: _arrays(value, whole=return_tensors == "np") for key, value in data.items()}
        encodings = _Encodings(lambda: by_export(**asked).encodings, len(rows))
        if single and return_tensors is None:
            data = {key: value[0] if isinstance(value[0], list) else value for key, value in data.items()}
        return BatchEncoding(data, encodings, tensor_type=return_tensors, n_sequences=1)

    def _cut(self, room: int | None) -> Callable[[list[Any]], list[Any]]:
        """Return what truncates a row to so many ids, on the side that this tokenizer truncates."""
        if room is None:
            return lambda row: row
        if self.truncation_side == "left":
            return lambda row: row[max(0, len(row) - room) :]
        return lambda row: row[:room]

    def _added_tokens_finder(self, split_special_tokens: bool) -> Finder:
        if self._finder is None:
            self._finder = AddedTokens.of(self._tokenizer)
        return self._finder.ordinary if split_special_tokens else self._finder.all


@attrs.frozen
class _Frame:
    """The ids that a template puts before and after a text."""

    before: list[int] = attrs.field(factory=list)
    after: list[int] = attrs.field(factory=list)

    @classmethod
    def of(cls, probe: BackendEncoding) -> _Frame | None:
        """Return what is around the text of `probe`; None where a template does more than that."""
        mask, ids = probe.special_tokens_mask, probe.ids
        if 0 not in mask or any(probe.type_ids):
            return None
        first, last = mask.index(0), len(mask) - mask[::-1].index(0)
        return cls(ids[:first], ids[last:]) if not any(mask[first:last]) else None

    @property
    def size(self) -> int:
        return len(self.before) + len(self.after)

    def around(self, row: list[int]) -> list[int]:
        return [*self.before, *row, *self.after] if self.size else row

    def mask(self, size: int) -> list[int]:
        return [1] * len(self.before) + [0] * (size - self.size) + [1] * len(self.after)

    def framed_offsets(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(0, 0)] * len(self.before) + spans + [(0, 0)] * len(self.after)


class _Encodings(Sequence[BackendEncoding]):
    """The encodings of a batch, made by the export when one of them is asked for. Pickled as none."""

    def __init__(self, make: Callable[[], Sequence[BackendEncoding]], size: int) -> None:
        self._make, self._size = make, size
        self._made: Sequence[BackendEncoding] | None = None

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> BackendEncoding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[BackendEncoding]: ...
    def __getitem__(self, index: int | slice) -> BackendEncoding | Sequence[BackendEncoding]:
        if self._made is None:
            self._made = self._make()
        return self._made[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def _arrays(rows: list[Any], *, whole: bool) -> Any:
    """Return rows of one width as arrays, which become a tensor without a look at each number; others as they are."""
    if not (isinstance(rows[0], list) and rows[0] and len({*map(len, rows)}) == 1):
        return rows
    table = np.asarray(rows, np.int64)
    return table if whole else [*table]


def _widths(sizes: list[int], strategy: PaddingStrategy, max_length: int | None, multiple: int | None) -> list[int]:
    """Return how many ids each row has when it is padded."""
    if strategy == PaddingStrategy.DO_NOT_PAD:
        return sizes
    width = max_length if strategy == PaddingStrategy.MAX_LENGTH and max_length is not None else max(sizes)
    if multiple:
        width = -(-width // multiple) * multiple
    return [max(size, width) for size in sizes]


def _pad(rows: list[list[Any]], fill: Any, *, widths: list[int], left: bool) -> list[list[Any]]:
    if left:
        return [[fill] * (width - len(row)) + row for row, width in zip(rows, widths, strict=True)]
    return [
        row + [fill] * (width - len(row)) if width > len(row) else row for row, width in zip(rows, widths, strict=True)
    ]

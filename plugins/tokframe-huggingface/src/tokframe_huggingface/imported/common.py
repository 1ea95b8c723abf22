"""Helpers of imported tokenizers: their tables of bytes, offsets, errors, and the checks of what one promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tokframe.errors import ArtifactCorruptError, EncodingError, TokframeError
from tokframe.storage.state import State
from tokframe.storage.strictjson import shortened
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe.tokenizer.results import Encoding

__all__ = [
    "SUPPORTED",
    "check_reach",
    "content_of",
    "corrupt",
    "from_library",
    "is_lossless",
    "refused",
    "spans",
    "table_of",
    "unencodable",
]

#: What is told where a file is none of these.
SUPPORTED = (
    "tokframe import reads a vocabulary of words (vocab.txt, vocab.json), a tokenizer.json, a tiktoken file or a "
    "sentencepiece model"
)
MAX_UNUSED_IDS = 100_000  # each becomes a special token, so that a line of a file takes a second, not a minute
_EVERY_CHARACTER = "".join(map(chr, range(0x250)))  # of the first blocks: a pattern may omit any one
_HARD_BYTES = (bytes(range(256)), b"a\xff", b"\xe6\xbc", b"\x80 \xf0\x9f\x99")


def content_of(state: State, file: str) -> bytes:
    """Return a file of a state. Raises: ArtifactCorruptError."""
    if file not in state.files:
        raise corrupt(file, "is missing")
    return state.files[file]


def corrupt(file: str, what: str) -> ArtifactCorruptError:
    """Return the error for a damaged imported file."""
    return refused(file, f"{what}. Import the original again: tokframe import FILE --out DIR")


def refused(file: str, what: str) -> ArtifactCorruptError:
    """Return the error for a file that contradicts itself, where `what` says how to change it."""
    return ArtifactCorruptError(f"{file} {what}", file=file)


def from_library(error: BaseException) -> bool:
    """Return whether a library raised an error, panics of Rust included, which are not an `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def unencodable(tokenizer: ITokenizer, text: str, cause: BaseException) -> EncodingError:
    """Return the error for a text on which the library that runs a tokenizer failed."""
    return EncodingError(f"{tokenizer.name or 'this tokenizer'} cannot encode {text!r:.60}: {cause}")


def table_of(known: Mapping[int, bytes], special: dict[str, int], file: str) -> list[bytes]:
    """Return the bytes of every id up to the largest; unused ids become special tokens `<unused N>`.

    Raises: ArtifactCorruptError for more than `MAX_UNUSED_IDS` of those.
    """
    size = max(known, default=-1) + 1
    if size - len(known) > MAX_UNUSED_IDS:
        raise corrupt(
            file, f"has {len(known):,} tokens and ids up to {shortened(size - 1)}: too sparse for a vocabulary"
        )
    table = []
    for number in range(size):
        piece = known.get(number)
        if not piece:
            name = f"<unused {number}>"
            while name in special:
                name = f"<{name}>"
            special[name], piece = number, name.encode()
        table.append(piece)
    return table


def spans(text: str, ids: Sequence[int], characters: Sequence[tuple[int, int]]) -> Encoding:
    """Return ids with spans, from spans in characters."""
    at = np.zeros(len(text) + 1, np.int32)
    np.cumsum(np.fromiter((len(c.encode()) for c in text), np.int32, len(text)), out=at[1:])
    chars = np.asarray(characters, np.int32).reshape(-1, 2)
    return Encoding(ids=np.asarray(ids, np.int32), byte_spans=at[chars], char_spans=chars)


def is_lossless(tokenizer: ITokenizer, surfaces: Iterable[str]) -> bool:
    """Return whether hard texts, the texts of added tokens and hard bytes all come back from encode and decode."""
    surfaces = list(surfaces)
    texts = (*HARD_TEXTS, _EVERY_CHARACTER, *surfaces, "".join(surfaces), " ".join(surfaces), "\n".join(surfaces))
    try:
        return all(tokenizer.decode(tokenizer.encode(text)) == text for text in texts) and all(
            tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data for data in _HARD_BYTES
        )
    except TokframeError:
        return False


def check_reach(tokenizer: ITokenizer, file: str, special: Mapping[str, int]) -> None:
    """Raise ArtifactCorruptError where the text of a special token is encoded to a special id, not the unknown one."""
    names = {number: text for text, number in special.items() if number != tokenizer.unknown_id}
    together = [joint.join(special) for joint in ("", " ", "x", "\n")]
    for text in (*special, *together, together[0].lower(), together[0].upper()):
        try:
            reached = names.keys() & {*tokenizer.encode(text, False)}
        except TokframeError:  # nor does that give an id
            continue
        for number in sorted(reached):
            raise refused(
                file,
                f"encodes text to the id {number} of its special token {names[number]!r}, as in {text!r:.60}. Make it "
                "an ordinary token of the file, or give it another text",
            )

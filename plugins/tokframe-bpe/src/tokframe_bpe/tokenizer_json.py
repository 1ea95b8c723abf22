"""tokenizer.json: the saved form of a BPE tokenizer, checked when read, and the bytes of each id in it.

Special tokens have ids but are not "added tokens" of the file: Hugging Face would search all text for those.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

from tokframe.errors import ArtifactCorruptError
from tokframe.tokenizer.table import SPECIAL_TOKENS, from_alphabet

__all__ = ["FILE", "blank", "corrupt", "dump", "merges", "pre_tokenizer", "read"]

FILE = "tokenizer.json"
#: What the model of a file must not set. A prefix or suffix that tokens lack even makes the library abort.
_OPTIONS = ("dropout", "ignore_merges", "unk_token", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix")


def pre_tokenizer() -> Any:
    """Return the split of GPT-2: contractions, letters, digits, others (with a space before), white space."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def blank() -> Any:
    """Return an untrained Hugging Face tokenizer."""
    from tokenizers import models

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer()
    return tokenizer


def dump(tokenizer: Any) -> bytes:
    """Return a trained Hugging Face tokenizer as the content of `tokenizer.json`."""
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = []
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read(content: bytes) -> tuple[Any, list[bytes]]:
    """Return the Hugging Face tokenizer and the bytes of each id. Raises: ArtifactCorruptError."""
    try:
        data = json.loads(content)
        vocab: dict[str, int] = data["model"]["vocab"]
        expected = json.loads(pre_tokenizer().__getstate__())
        if data["model"]["type"] != "BPE" or data["pre_tokenizer"] != expected:
            raise corrupt("is not byte-level BPE with the split of GPT-2")
        for part in ("added_tokens", "normalizer", "post_processor", "truncation", "padding"):
            if data.get(part):
                raise corrupt(f"has a {part!r}, which would change the ids of plain text")
        if any(data["model"].get(key) for key in _OPTIONS):
            raise corrupt("has a model option that would change the ids of plain text")
        tokenizer = Tokenizer.from_str(content.decode())
        names = {number: name for name, number in vocab.items()}
        ordered = [names[number] for number in range(len(vocab))]
        if tokenizer.get_vocab_size() != len(vocab):
            raise corrupt("has a token twice")
    except (ArtifactCorruptError, KeyboardInterrupt, SystemExit):
        raise
    except KeyError as cause:
        raise corrupt(f"has no {cause}") from cause
    except BaseException as cause:  # the binding raises plain Exception for a file it cannot read, or panics
        raise corrupt(f"cannot be read by Hugging Face tokenizers ({cause})") from cause
    if ordered[: len(SPECIAL_TOKENS)] != list(SPECIAL_TOKENS):
        raise corrupt(f"does not begin with {', '.join(SPECIAL_TOKENS)}")
    return tokenizer, [text.encode() for text in SPECIAL_TOKENS] + _token_bytes(ordered[len(SPECIAL_TOKENS) :])


def merges(content: bytes) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the rank of each merge, from 0 on, and the id that it makes, by the two ids that it joins."""
    model = json.loads(content)["model"]
    vocab: dict[str, int] = model["vocab"]
    # older versions of Hugging Face tokenizers write a merge as one string
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    return {(vocab[a], vocab[b]): (rank, vocab[a + b]) for rank, (a, b) in enumerate(pairs)}


def corrupt(what: str) -> ArtifactCorruptError:
    """Return the error that says what is wrong with `tokenizer.json`."""
    return ArtifactCorruptError(
        f"{FILE} {what}: it was altered or not made by tokframe. Train it again: "
        "tokframe train bpe --corpus FILE --out DIR",
        file=FILE,
    )


def _token_bytes(names: list[str]) -> list[bytes]:
    """Return the bytes of tokens spelled in the byte-level alphabet. Raises: ArtifactCorruptError."""
    try:
        table = [from_alphabet(name) for name in names]
    except KeyError as cause:
        raise corrupt(f"has a token with {cause}, which stands for no byte") from cause
    missing = set(range(256)) - {token[0] for token in table if len(token) == 1}
    if missing:
        raise corrupt(f"has no token for the byte 0x{min(missing):02x}")
    return table

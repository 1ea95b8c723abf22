"""Files of other libraries, small enough to be made for each test."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def tiktoken_file(merges: Iterable[bytes] = ()) -> bytes:
    """Return a tiktoken file of the 256 bytes and some merges."""
    tokens = [bytes([byte]) for byte in range(256)] + list(merges)
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def sentencepiece_model(text: str, **options: Any) -> bytes:
    """Return a sentencepiece model, with byte fallback unless `options` say otherwise."""
    made = io.BytesIO()
    pytest.importorskip("sentencepiece").SentencePieceTrainer.train(
        sentence_iterator=iter([text] * 20),
        model_writer=made,
        **{"vocab_size": 300, "byte_fallback": True, "hard_vocab_limit": False, "minloglevel": 2, **options},
    )
    return made.getvalue()


def byte_level(merge: tuple[str, str], special: Sequence[str], merges: Sequence[tuple[str, str]] = ()) -> Any:
    """Return a byte-level BPE of Hugging Face's with nothing but bytes and one merge, or more that go on from it."""
    tokenizers = pytest.importorskip("tokenizers")
    names = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *map("".join, (merge, *merges))]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({name: n for n, name in enumerate(names)}, [merge, *merges]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(list(special))
    return made


def word_pieces(words: Iterable[str], special: Sequence[str], unknown: str = "[UNK]") -> Any:
    """Return word pieces as BERT has them; `words` begin with the unknown one."""
    tokenizers = pytest.importorskip("tokenizers")
    vocab = {name: number for number, name in enumerate(dict.fromkeys(words))}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocab, unk_token=unknown))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.decoder = tokenizers.decoders.WordPiece()
    made.add_special_tokens(list(special))
    return made


def unigram(special: Sequence[str]) -> Any:
    """Return a unigram model as T5 and XLM-R have it: special tokens are pieces of score 0, likelier than any text."""
    tokenizers = pytest.importorskip("tokenizers")
    letters = [(letter, -5.0) for letter in "▁abcdefghijklmnopqrstuvwxyz<>/"]
    vocab = [("<unk>", 0.0), *((text, 0.0) for text in special), *letters]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(vocab, 0, False))
    made.pre_tokenizer, made.decoder = tokenizers.pre_tokenizers.Metaspace(), tokenizers.decoders.Metaspace()
    made.add_special_tokens(["<unk>", *special])
    return made

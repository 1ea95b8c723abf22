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


def byte_level(merge: tuple[str, str], special: Sequence[str]) -> Any:
    """Return a byte-level BPE of Hugging Face's with nothing but bytes and one merge."""
    tokenizers = pytest.importorskip("tokenizers")
    names = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "".join(merge)]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({name: n for n, name in enumerate(names)}, [merge]))
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

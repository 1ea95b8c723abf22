"""The peers, each from its own package, with the merges of the shipped BPE; sentencepiece with a model of its own.

Imports a peer only when it is built, so that one that is missing is reported and harms no other.
"""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import tokframe
from benchmarks.lab import unigram
from benchmarks.systems import Builder, System, version_of

__all__ = ["HF", "TIKTOKEN", "builders", "ranks", "tokenizer_json"]

TIKTOKEN = "tiktoken"
HF = "tokenizers"
_TIKTOKEN_CL100K = "tiktoken (cl100k split)"


def builders() -> dict[str, Builder]:
    """Return how to build each peer, by name."""
    return {
        TIKTOKEN: _tiktoken,
        HF: _hugging_face,
        "gigatoken": _gigatoken,
        _TIKTOKEN_CL100K: _tiktoken_cl100k,
        "quicktok (cl100k split)": _quicktok,
        "sentencepiece": _sentencepiece,
    }


@lru_cache
def _bpe() -> Any:
    return tokframe.load("bpe")


def tokenizer_json() -> bytes:
    """Return the file of the shipped BPE."""
    return bytes(_bpe().state().files["tokenizer.json"])


@lru_cache
def ranks() -> dict[bytes, int]:
    """Return the ids of the shipped BPE by bytes, special tokens left out."""
    special = set(_bpe().special_tokens.values())
    return {_bpe().token_bytes(token): token for token in range(_bpe().vocab_size) if token not in special}


def _encoding(name: str, pattern: str, oracle: str, note: str) -> System:
    version = version_of("tiktoken")
    import tiktoken

    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks(), special_tokens={})
    return System(
        name=name,
        version=version,
        encode=encoding.encode_ordinary,
        array=lambda text: encoding.encode_to_numpy(text, disallowed_special=()),
        decode=encoding.decode,
        oracle=oracle,
        note=note,
    )


def _tiktoken() -> System:
    version_of("tiktoken")
    from tiktoken_ext.openai_public import r50k_pat_str

    return _encoding(TIKTOKEN, r50k_pat_str, HF, "the shipped BPE's merges as ranks, GPT-2 split")


def _tiktoken_cl100k() -> System:
    version_of("quicktok-v1")
    return _encoding(_TIKTOKEN_CL100K, _cl100k_pattern(), "", "the same ranks, split as quicktok knows it; its oracle")


def _cl100k_pattern() -> str:
    from quicktok._import_core import CL100K_PAT_POSSESSIVE  # the one spelling that quicktok recognizes

    return str(CL100K_PAT_POSSESSIVE)


def _hugging_face() -> System:
    version = version_of("tokenizers")
    from tokenizers import Tokenizer, decoders

    tokenizer = Tokenizer.from_str(tokenizer_json().decode())
    tokenizer.decoder = decoders.ByteLevel()  # the shipped file names none
    return System(
        name=HF,
        version=version,
        encode=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        decode=lambda ids: tokenizer.decode(ids, skip_special_tokens=False),
        note="the shipped tokenizer.json",
    )


def _gigatoken() -> System:
    version = version_of("gigatoken")
    from gigatoken import Tokenizer

    tokenizer = Tokenizer.from_json(tokenizer_json())
    return System(
        name="gigatoken",
        version=version,
        encode=lambda text: tokenizer.encode(text).tolist(),
        array=tokenizer.encode,
        decode=lambda ids: tokenizer.decode(ids).decode(),
        fresh=_gigatoken,
        oracle=HF,
        note="the shipped tokenizer.json",
    )


def _quicktok() -> System:
    version = version_of("quicktok-v1")
    import quicktok

    data = json.loads(tokenizer_json())
    split = {"type": "Split", "pattern": {"Regex": _cl100k_pattern()}, "behavior": "Isolated", "invert": False}
    data["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [split, {**data["pre_tokenizer"], "use_regex": False}],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_text(json.dumps(data), encoding="utf-8")
        # Refuses a split it has no scanner for, and compares with Hugging Face before it agrees.
        quicktok.import_tokenizer(str(path), "tokframe-bpe", data_dir=folder)
        encoding = quicktok.get_encoding("tokframe-bpe", folder)
    return System(
        name="quicktok (cl100k split)",
        version=version,
        encode=encoding.encode_ordinary,
        decode=encoding.decode,
        oracle=_TIKTOKEN_CL100K,
        note="the shipped BPE's merges; it has no scanner for the GPT-2 split, so the cl100k one",
    )


def _sentencepiece() -> System:
    version = version_of("sentencepiece")
    model, note = unigram.model()
    return System(
        name="sentencepiece",
        version=version,
        encode=model.encode_as_ids,
        decode=model.decode_ids,
        note=note,
    )

"""A sentencepiece unigram model with lossless settings, trained on a few MB once and kept in `results/`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from benchmarks.texts import mix

__all__ = ["model"]

_KEPT = Path(__file__).parents[1] / "results" / "unigram.model"
_TEXT = 3_000_000  # bytes; more takes minutes and changes its speed little
_SIZE = 32_768


def model() -> tuple[Any, str]:
    """Return the processor and what it is, training it if it is not kept. Raises: ImportError."""
    import sentencepiece

    if not _KEPT.is_file():
        _KEPT.parent.mkdir(exist_ok=True)
        _KEPT.write_bytes(_train(sentencepiece))
    processor = sentencepiece.SentencePieceProcessor(model_proto=_KEPT.read_bytes())
    return processor, f"unigram, lossless settings, {processor.get_piece_size():,} ids, trained on {_TEXT / 1e6:.0f} MB"


def _train(sentencepiece: Any) -> bytes:
    lines = (line for text in mix(_TEXT, "train").texts for line in text.splitlines(keepends=True))
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=made,
        model_type="unigram",
        vocab_size=_SIZE,
        hard_vocab_limit=False,
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_whitespace=True,
        user_defined_symbols=["\n"],
        character_coverage=1.0,
        max_sentence_length=1 << 20,
        num_threads=1,
        minloglevel=2,
    )
    return made.getvalue()

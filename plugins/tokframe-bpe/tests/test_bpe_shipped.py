"""What tokframe-bpe ships: found by name, small, of the full size, exact on text that training never saw."""

from __future__ import annotations

import pytest

import tokframe
from tokframe.corpus.files import Corpus


def test_the_shipped_tokenizer_has_all_its_ids_and_is_small():
    tokenizer = tokframe.load("bpe")
    assert tokenizer.vocab_size == 32768
    assert len(tokenizer.state().files["tokenizer.json"]) < 3_000_000


@pytest.mark.slow
def test_unseen_code_comes_back_in_few_ids():
    tokenizer = tokframe.load("bpe")
    data = "".join(text for file in Corpus.open("stdlib:heldout").files[:10] for text in file.documents()).encode()
    ids = tokenizer.encode_bytes(data)
    assert tokenizer.decode_bytes(ids) == data
    assert len(data) / len(ids) > 3

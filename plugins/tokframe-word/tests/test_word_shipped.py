"""What tokframe-word ships: found by name, small, of the full size, of use on text that training never saw."""

from __future__ import annotations

import pytest

import tokframe
from tokframe.corpus.files import Corpus


def test_the_shipped_tokenizer_has_all_its_ids_and_is_small():
    tokenizer = tokframe.load("word")
    assert tokenizer.vocab_size == 32768
    assert len(tokenizer.state().files["vocab.json"]) < 1_500_000


@pytest.mark.slow
def test_few_pieces_of_unseen_code_are_unknown():
    tokenizer = tokframe.load("word")
    text = "".join(text for file in Corpus.open("stdlib:heldout").files[:20] for text in file.documents())
    ids = tokenizer.encode_array(text)
    assert 0 < (ids == tokenizer.special_tokens["<unk>"]).mean() < 0.1


def test_common_words_of_many_scripts_come_back():
    tokenizer = tokframe.load("word")
    text = "don't say that this is 1984; für das, для на, यह है, 的是, です, ที่\n\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text

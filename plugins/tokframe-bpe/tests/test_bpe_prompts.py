"""Prompts of BPE: exact probabilities of text, whatever what follows makes of the last pre-tokens."""

from __future__ import annotations

import numpy as np
import pytest
from support.likelihoods import TextModel, check_against_texts, cuts_of

import tokframe
from tokframe.errors import InvalidTokenError


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "text.txt").write_text("a'll ab  'l ll'll aa a'l  \n\n aé é1 1a 'll" * 50, encoding="utf-8")
    tokframe.train("bpe", corpus=[folder / "text.txt"], out=folder / "out", config={"vocab_size": 290})
    return tokframe.load(str(folder / "out"))


@pytest.mark.parametrize("alphabet", ["al'", "a \n", "é a", "1a "])
def test_scores_and_what_comes_next_are_those_of_all_texts(merged, alphabet):
    model = TextModel(merged, alphabet, 5)
    check_against_texts(model, cuts_of(model, 80))


def test_covers_split_white_space_as_what_follows_does(merged):
    prompt = merged.prompt("aa  ")
    spelled = [([merged.token_bytes(token) for token in ids], rest) for ids, rest in prompt.covers()]
    assert ([b" ", b" "], b"") in spelled and ([b"  "], b"") in spelled and ([b" "], b" ") in spelled


TEXTS = (
    "The cat doesn't sit  on\n\n the mat, 12345 times!",
    "Où est le café? 漢字 🙂  x",
    " a   b\t\nc'll we've",
    "and so it goes on " * 9,
)


@pytest.mark.parametrize("text", TEXTS)
def test_an_id_may_follow_where_a_text_has_it_and_no_other_changes_those_before(text):
    tokenizer = tokframe.load("bpe")
    ids = tokenizer.encode(text)
    random = np.random.default_rng(0)
    for place, token in enumerate(ids):
        assert tokenizer.may_follow(ids[:place], token)
        for other in random.integers(4, tokenizer.vocab_size, 20).tolist():
            found = [*ids[:place], other]
            try:
                read = tokenizer.decode_bytes(found).decode()
            except UnicodeDecodeError:
                continue
            assert tokenizer.may_follow(found[:-1], other) == (tokenizer.encode(read) == found)


def test_special_tokens_part_texts_and_ids_outside_are_refused():
    tokenizer = tokframe.load("bpe")
    first, second = tokenizer.encode("t")[0], tokenizer.encode("he")[0]
    assert not tokenizer.may_follow([first], second)
    assert tokenizer.may_follow([first, 3], second) and tokenizer.may_follow([first], 3)
    for ids, token in (([first], -1), ([first], 10**6), ([-1], second)):
        with pytest.raises(InvalidTokenError):
            tokenizer.may_follow(ids, token)

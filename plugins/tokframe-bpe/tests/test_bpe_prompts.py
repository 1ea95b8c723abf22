"""Prompts of BPE: exact probabilities of text, whatever what follows makes of the last pre-tokens."""

from __future__ import annotations

import pytest
from support.likelihoods import TextModel, check_against_texts, cuts_of

import tokframe


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

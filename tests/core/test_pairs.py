"""Impossible pairs of the shipped tokenizers: in no text, and few that could be named are missing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import tokframe
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.bigrams import ImpossiblePairs

pytestmark = pytest.mark.slow

TELLING = ("autoencoder-fsq", "bpe")


@pytest.fixture(scope="module", params=TELLING)
def telling(request):
    tokenizer = tokframe.load(request.param)
    return tokenizer, tokenizer.impossible_pairs()


def test_ids_share_lists_and_what_follows_none_is_empty():
    pairs = ImpossiblePairs.of_lists([[], ["ing"], ["g", "ing"], []], {"ing": [3, 1], "unused": [2], "g": [1]})
    assert [pairs.after(token).tolist() for token in range(4)] == [[], [1, 3], [1, 3], []]
    none = ImpossiblePairs.of_lists([[], []], {})
    assert [none.after(token).tolist() for token in range(2)] == [[], []]


def test_a_tokenizer_that_cannot_tell_says_none():
    assert tokframe.load("word").impossible_pairs() is None
    assert ITokenizer.impossible_pairs(tokframe.load("bpe")) is None


def test_a_pair_is_impossible_where_its_own_bytes_are_encoded_otherwise(telling):
    """Both ways, for pairs drawn from neighbors in text, where such pairs are frequent, and from all ids."""
    tokenizer, pairs = telling
    rng = np.random.default_rng(0)
    text = tokenizer.encode(" ".join(map(str, range(300))) + " of the house in which the children were singing", False)
    found, missed = 0, 0
    for first in [*text[-12:], *rng.integers(260, tokenizer.vocab_size, 40).tolist()]:
        never = set(pairs.after(first).tolist())
        for second in [*list(never)[:40], *rng.integers(4, tokenizer.vocab_size, 100).tolist()]:
            data = tokenizer.token_bytes(first) + tokenizer.token_bytes(second)
            try:
                data.decode()
            except UnicodeDecodeError:
                continue
            otherwise = tokenizer.encode_bytes(data, False) != [first, second]
            assert otherwise or second not in never
            found += otherwise and second in never
            missed += otherwise and second not in never
    assert found > 100
    assert missed < 0.02 * found


def test_special_tokens_may_follow_and_be_followed_by_anything(telling):
    tokenizer, pairs = telling
    special = set(tokenizer.special_tokens.values())
    assert all(not len(pairs.after(token)) for token in special)
    assert not special & set(pairs.members.tolist())


def test_a_trained_bpe_and_a_copy_of_another_version_s_form_tell_the_same(tmp_path):
    from tokframe_bpe.tokenizer_json import merges

    source = tmp_path / "text.txt"
    source.write_text("the cat and the hat, the rat and that bat\n" * 20)
    trained = tokframe.train("bpe", corpus=[source], out=tmp_path / "out", config={"vocab_size": 300})
    pairs = trained.impossible_pairs()
    assert not [(a, b) for a, b in pairwise(trained.encode(source.read_text(), False)) if b in pairs.after(a)]
    joined = b'{"model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}'
    assert merges(joined) == merges(joined.replace(b'"a b"', b'["a", "b"]')) == {(0, 1): (0, 2)}

"""Prompts of the dictionary: exact probabilities of text, and which ids never come next, by trying all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.likelihoods import TextModel, check_against_texts, cuts_of
from tokframe_dictionary.tokenizer import DictionaryTokenizer
from tokframe_dictionary.vocabulary.table import Vocabulary

from tokframe.errors import InvalidTokenError

segments = st.lists(
    st.tuples(st.text(alphabet="ab ", min_size=1, max_size=4), st.sampled_from(["", "", "", "\n", "\n\n"])), max_size=12
).map(lambda pairs: sorted({(text + end).encode() for text, end in pairs if len(text + end) > 1}))


def dictionary(learned, block=4096):
    return DictionaryTokenizer(Vocabulary.build(learned), config={"selection": {"block": block}})


@pytest.mark.parametrize("seed", range(4))
def test_scores_and_what_comes_next_are_those_of_all_texts(seed):
    random = np.random.default_rng(seed)
    alphabet = ["ab ", "ab\n", "aé ", "abc"][seed]
    letters = [letter.encode() for letter in alphabet]
    learned = {b"".join(random.choice(letters, random.integers(2, 5))) for _ in range(10)}
    tokenizer = dictionary(sorted(one for one in learned if b"\n" not in one.rstrip(b"\n")))
    model = TextModel(tokenizer, alphabet, 5, seed)
    check_against_texts(model, cuts_of(model, 80, seed))


def never_by_trying(tokenizer, data, ids, candidates):
    return {
        token for token in candidates if tokenizer.encode_bytes(data + tokenizer.token_bytes(token)) != [*ids, token]
    }


@given(segments, st.text(alphabet="ab \n", max_size=14))
@settings(max_examples=80, deadline=None)
def test_never_next_are_the_ids_that_would_change_those_before(learned, text):
    tokenizer = dictionary(learned)
    ids = tokenizer.encode(text)
    candidates = [*(4 + byte for byte in b"ab \n"), *range(260, tokenizer.vocab_size)]
    never = set(tokenizer.never_next(ids).tolist())
    assert never & set(candidates) == never_by_trying(tokenizer, text.encode(), ids, candidates)
    for token in candidates:
        assert tokenizer.may_follow(ids, token) == (token not in never)
    assert tokenizer.may_follow(ids, 2)


@pytest.mark.parametrize("size", [60, 63, 64, 65, 70])
def test_no_id_goes_over_the_edge_of_a_block(size):
    tokenizer = dictionary([b"aa", b"aaaaa"], block=64)
    ids = tokenizer.encode("a" * size)
    candidates = [4 + ord("a"), 260, 261]
    never = set(tokenizer.never_next(ids).tolist())
    assert never & set(candidates) == never_by_trying(tokenizer, b"a" * size, ids, candidates)


def test_special_tokens_end_what_the_search_sees():
    tokenizer = dictionary([b"ab"])
    a, b = tokenizer.encode("a")[0], tokenizer.encode("b")[0]
    assert not tokenizer.may_follow([a], b) and b in tokenizer.never_next([a])
    assert tokenizer.may_follow([a, 2], b) and b not in tokenizer.never_next([a, 2])
    assert tokenizer.never_next([]).tolist() == []


@pytest.mark.parametrize(("size", "lines", "block"), [(300, 0, 4096), (300, 5, 4096), (700, 1, 64), (700, 3, 150)])
def test_the_last_line_is_found_behind_many_ids(size, lines, block):
    """Also where it is longer than what is looked at first, or cut into blocks."""
    random = np.random.default_rng(size + lines)
    letters = random.choice([b"a", b"b", b" "], size)
    letters[random.integers(0, size, lines)] = b"\n"
    data = b"".join(letters)
    tokenizer = dictionary([b"ab", b"ba", b"b a", b" b", b"aab\n"], block)
    whole = tokenizer.encode_bytes(data)
    candidates = [*(4 + byte for byte in b"ab \n"), *range(260, tokenizer.vocab_size)]
    for count in range(len(whole) - 12, len(whole)):
        ids = whole[:count]
        never = never_by_trying(tokenizer, tokenizer.decode_bytes(ids), ids, candidates)
        assert {token for token in candidates if not tokenizer.may_follow(ids, token)} == never
        assert set(tokenizer.never_next(ids).tolist()) & set(candidates) == never
    assert tokenizer.may_follow([*whole, 3], 260)


@pytest.mark.parametrize("outside", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_refused(outside):
    tokenizer = dictionary([b"ab"])
    for ask in (lambda: tokenizer.may_follow([outside], 260), lambda: tokenizer.may_follow([260], outside)):
        with pytest.raises(InvalidTokenError):
            ask()
    with pytest.raises(InvalidTokenError):
        tokenizer.never_next([260, outside])

"""Words kept whole: where a text may be cut, and which segments are mined then."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.mining.words import borders, keeps_words


def cut(text: str) -> list[str]:
    data = text.encode()
    places = [place for place, border in enumerate(borders(data)) if border]
    return [data[start:end].decode() for start, end in pairwise(places)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("It was, he said.\n", ["It", " was", ",", " he", " said", ".", "\n"]),
        ("a  b", ["a", " ", " b"]),
        ("    return x_1", [" ", " ", " ", " return", " x", "_", "1"]),
        ("end \r\n\nnext", ["end", " ", "\r\n\n", "next"]),
        ("une naïve, oui", ["une", " naïve", ",", " oui"]),
        ("été chaud, dit-il", ["été chaud", ",", " dit", "-", "il"]),
        ("это было\nтак", ["это было\n", "так"]),
        ("中文。没有空格", ["中文。没有空格"]),
        ("12cm", ["12", "cm"]),
    ],
)
def test_where_words_begin(text: str, words: list[str]) -> None:
    assert cut(text) == words


@given(st.text("ab7, \n—é", max_size=60))
def test_a_text_is_its_words(text: str) -> None:
    assert "".join(cut(text)) == text


def test_what_keeps_words_whole() -> None:
    text = b"of the moths"
    found = borders(text)
    assert keeps_words(found, 2, 6)  # " the": a word
    assert keeps_words(found, 0, 6)  # "of the": two words
    assert keeps_words(found, 8, 10)  # "ot": within a word
    assert not keeps_words(found, 0, 9)  # "of the mo"
    assert not keeps_words(found, 1, 6)  # "f the"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["the ", "moth", "s, ", "he ", "x1 ", "é ", "\n"]), min_size=20, max_size=200))
def test_mined_segments_occur_as_words_or_within_one(parts: list[str]) -> None:
    text = "".join(parts).encode()
    found, every = borders(text), mine([Source(name="x", data=text)], MiningConfig(least=2, words=False)).segments
    kept = mine([Source(name="x", data=text)], MiningConfig(least=2))
    assert set(kept.segments) <= set(every)
    for piece, count in zip(kept.segments, kept.counts, strict=True):
        places = [i for i in range(len(text)) if text.startswith(piece, i)]
        assert sum(keeps_words(found, i, i + len(piece)) for i in places) == count >= 2


def test_segments_that_cut_words_are_not_mined() -> None:
    text = b"the cat sat on the mat and the dog sat on the rug\n" * 20
    kept, every = (
        set(mine([Source(name="x", data=text)], MiningConfig(words=words)).segments) for words in (True, False)
    )
    assert {b" on the", b" sat on the", b"at", b"the"} <= kept
    assert {b"t sat", b"e mat", b"on the r"} <= every - kept


def test_a_space_before_marks_is_part_of_the_segment() -> None:
    text = b'a <unk> b @-@ c (of d) [e] {f} "g" = h, i\n' * 20
    mined = set(mine([Source(name="x", data=text)], MiningConfig()).segments)
    assert {b" <", b" @", b" @-@", b" (", b" [", b" {", b' "', b" ="} <= mined

"""Words kept whole: where a text may be cut, and which segments are mined then."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.mining.words import Words, borders, keeps_words

from tokframe.errors import ConfigError
from tokframe.storage.config import structure


def cut(text: str, rule: Words = Words.PHRASES) -> list[str]:
    data = text.encode()
    places = [place for place, border in enumerate(borders(data, rule)) if border]
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("He didn't go (home).\n\nSo", ["He", " didn't", " go", " (", "home", ").\n\n", "So"]),
        ("    return x_1  \n", ["   ", " return", " x", "_", "1", "  ", "\n"]),
        ("été chaud, dit-il", ["été", " chaud", ",", " dit", "-", "il"]),
        ("l’été “à Paris”…", ["l’été", " “", "à", " Paris", "”…"]),
        ("это было\nтак", ["это", " было", "\n", "так"]),
        ("“中文”。没有\u3000空格，々", ["“", "中文", "”。", "没有", "\u3000空格", "，", "々"]),
        ("x='a' 'b'", ["x", "='", "a", "'", " '", "b", "'"]),
        ("10\u00a0cm Ｆ９！", ["10", "\u00a0cm", " Ｆ９", "！"]),
    ],
)
def test_where_words_begin_that_no_segment_crosses(text: str, words: list[str]) -> None:
    assert cut(text, Words.WITHIN) == words


@given(st.text("ab7, \n—é'", max_size=60), st.sampled_from([Words.PHRASES, Words.WITHIN]))
def test_a_text_is_its_words(text: str, rule: Words) -> None:
    assert "".join(cut(text, rule)) == text


def test_what_keeps_words_whole() -> None:
    text = b"of the moths"
    found = borders(text)
    assert not keeps_words(found, 0, 6, Words.WITHIN) and keeps_words(found, 2, 6, Words.WITHIN)
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


def test_within_words_no_segment_has_parts_of_two() -> None:
    text = "the cat sat on the mat, said she; très très bien — the cat didn't\n".encode() * 20
    within = mine([Source(name="x", data=text)], MiningConfig(words="within")).segments
    assert {b" the", b"at", b" didn't", " très".encode(), " —".encode()} <= set(within)
    crossing = [piece for piece in within if b" " in piece.strip(b" ") or (b"," in piece and piece != b",")]
    assert not crossing


@pytest.mark.parametrize(("value", "rule"), [("phrases", 1), ("within", 2), (True, 1), (False, 0)])
def test_the_config_names_the_rule(value: str | bool, rule: int) -> None:
    assert structure(MiningConfig, {"words": value}).rule == rule
    assert MiningConfig().rule == Words.PHRASES


@pytest.mark.parametrize("value", ["whole", 1, None])
def test_other_rules_are_refused(value: object) -> None:
    with pytest.raises(
        ConfigError, match=r"\$\.words: (is 'whole', must be 'phrases', 'within' or false|expected str)"
    ):
        structure(MiningConfig, {"words": value})

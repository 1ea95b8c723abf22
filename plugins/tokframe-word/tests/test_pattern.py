"""How tokframe_word cuts text: letters with their marks, digits, white space; nothing lost in between."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_word import pattern

#: Characters that meet at borders of pieces, and any others.
TEXTS = st.text(
    st.one_of(
        st.sampled_from(list("aZ'’ \n\t\r1٣_.\x00\x85\xa0\u3000\u200c\u200d\u0301\u093fक่กあ漢é😀\ufe0f")),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


def cut(text: str) -> list[str]:
    return [piece for part in pattern.pieces(text) for piece in part]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", ["The", " ", "cat", " ", "sat", "."]),
        ("don't l’eau 'a' rock'n'roll", ["don't", " ", "l’eau", " ", "'", "a", "'", " ", "rock'n'roll"]),
        ("snake_case", ["snake", "_", "case"]),
        ("abc123456", ["abc", "123", "456"]),
        ("naïve cafe\u0301s", ["naïve", " ", "cafe\u0301s"]),
        ("यह किताब है", ["यह", " ", "किताब", " ", "है"]),
        ("தமிழ் বাংলা", ["தமிழ்", " ", "বাংলা"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("الْعَرَبِيَّة", ["الْعَرَبِيَّة"]),
        ("漢字かな", ["漢", "字", "か", "な"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("❤\ufe0f", ["❤", "\ufe0f"]),
        ("\u0301a", ["\u0301", "a"]),
        ("a\n\n\n\n\nb\r\nc", ["a", "\n\n\n\n", "\n", "b", "\r\n", "c"]),
        (" " * 20 + "x", [" " * 16, " " * 4, "x"]),
        ("\x00\ufeff", ["\x00", "\ufeff"]),
        ("", []),
    ],
)
def test_text_is_cut_into_words_numbers_punctuation_and_white_space(text, expected):
    assert cut(text) == expected


@given(TEXTS)
def test_pieces_joined_are_the_text(text):
    assert "".join(cut(text)) == text


@settings(max_examples=200)
@given(TEXTS, st.integers(1, 7))
def test_cutting_in_windows_makes_no_difference(text, window):
    whole = cut(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pattern, "WINDOW_CHARS", window)
        assert cut(text) == whole


@settings(max_examples=300)
@given(TEXTS, TEXTS)
def test_stable_pieces_do_not_change_whatever_follows(before, after):
    stable = pattern.stable_chars(before)
    assert cut(before[:stable]) + cut(before[stable:] + after) == cut(before + after)


def test_all_but_two_pieces_are_stable():
    assert pattern.stable_chars("one two three") == len("one two")
    assert pattern.stable_chars("a line\nand") == len("a line\n")


@pytest.mark.parametrize("text", ["a" * 100_000, "漢" * 100_000, "'" * 100_000, "e\u0301" * 50_000])
def test_one_character_repeated_is_cut_exactly(text):
    assert "".join(cut(text)) == text


@pytest.mark.skipif(int(unicodedata.unidata_version.split(".")[0]) > 17, reason="the table is of Unicode 17")
def test_every_mark_that_this_python_knows_stays_in_its_word():
    marks = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)).startswith("M")]
    assert [f"U+{ord(mark):04X}" for mark in marks if cut(f"a{mark}a") != [f"a{mark}a"]] == []


def test_no_group_is_possessive():
    # Python 3.11.0 to 3.11.4 match such a group wrongly (cpython issue 106052), and words would be cut otherwise there.
    assert [sign for sign in (")++", ")*+", ")?+", "}+", "(?>") if sign in pattern._PIECE.pattern] == []

"""What every tokenizer gets from ITokenizer, shown on the toy: text, bytes, arrays, spans, special tokens, errors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_bytes.tokenizer import SPECIAL, ToyTokenizer

from tokframe.errors import EncodingError, InvalidTokenError, UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import Capabilities

FIRST = len(SPECIAL)
PIECES = [b"th", b"the ", b"\xa9x", "🙂".encode(), "é".encode() * 2, b"\xf0\x9f"]
toy = ToyTokenizer(PIECES)
wrapped = ToyTokenizer(PIECES, wrap=True)
texts = st.lists(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(["th", "the ", "é", "éx", "🙂", "<s>", "\0"])
).map("".join)
SURROGATES = [("\ud800", 0), ("abc\udfff", 3), ("🙂\ud83d", 1), ("a\ud83d\ude42", 1)]


class Lossy(ToyTokenizer):
    capabilities = Capabilities(lossless=False, bytes_input=False, offsets=False, streaming=False)


class NoPadding(ToyTokenizer):
    special_tokens: ClassVar = {}
    name = "plain"


# -- round trips ------------------------------------------------------------------------------------------------


def test_template_tokens_are_added_and_skipped():
    assert wrapped.encode("th") == [2, 260, 3]
    assert wrapped.encode("th", add_special=False) == wrapped.encode("th", False) == [260]
    assert all(type(i) is int for i in wrapped.encode("th"))
    assert wrapped.encode_bytes(b"th") == wrapped.encode_bytes(bytearray(b"th")) == [2, 260, 3]
    assert wrapped.encode_bytes(b"th", False) == [260]
    assert wrapped.encode("") == [2, 3]
    assert wrapped.decode([2, 260, 3]) == "th"
    assert wrapped.decode([2, 260, 3, 0], skip_special=False) == "<s>th</s><pad>"
    assert wrapped.decode_bytes([2, 260], False) == b"<s>th"
    assert toy.encode("") == [] and toy.decode([]) == "" and toy.decode_bytes([]) == b""


@pytest.mark.parametrize("special", [{"a": 0, "b": 1}, {"a": 7, "b": 9}, {"a": 3}, {"a": 4, "b": 5, "c": 6}])
def test_special_ids_are_skipped_wherever_they_lie(special):
    tokenizer = type("T", (ToyTokenizer,), {"special_tokens": special})()
    ids = list(range(20))
    want = b"".join(tokenizer.token_bytes(i) for i in ids if i not in special.values())
    assert tokenizer.decode_bytes(ids) == want
    assert tokenizer.decode_bytes(list(special.values())) == b""


def test_incomplete_characters_become_replacement_characters():
    assert toy.decode([FIRST + 0xC3]) == "�"
    assert toy.decode_bytes([FIRST + 0xC3]) == b"\xc3"


# -- special tokens ---------------------------------------------------------------------------------------------


def test_special_tokens_are_found_where_the_caller_allows_them():
    ids = toy.encode("th<s>th<pad></s>", allowed_special={"<s>", "</s>"})
    assert ids[:3] == [260, 2, 260] and ids[-1] == 3 and 0 not in ids
    assert toy.decode(ids, skip_special=False) == "th<s>th<pad></s>"
    assert toy.decode(ids) == "thth<pad>"
    assert toy.encode("<s>", allowed_special=["<s>"]) == [2]
    assert toy.encode("", allowed_special=["<s>"]) == []
    assert wrapped.encode("<s>", allowed_special=["<s>"]) == [2, 2, 3]
    assert toy.encode_array("<s>", allowed_special=["<s>"]).dtype == np.int32


def test_of_two_special_tokens_at_one_place_the_longer_is_taken():
    tokenizer = type("T", (ToyTokenizer,), {"special_tokens": {"<s>": 0, "<s>>": 1}})()
    assert tokenizer.encode("<s>><s>", allowed_special={"<s>", "<s>>"}) == [1, 0]


@given(texts)
def test_allowing_special_tokens_that_are_not_there_changes_nothing(text):
    assert toy.encode(text, allowed_special=["<unk>"]) == toy.encode(text) or "<unk>" in text


def test_allowing_what_is_no_special_token_is_an_error_that_names_it():
    with pytest.raises(EncodingError, match=r"'<eos>' is not a special token of .*it has <pad>, <unk>, <s>, </s>"):
        toy.encode("x", allowed_special=["<s>", "<eos>"])


# -- text that is none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "position"), SURROGATES)
def test_a_lone_surrogate_is_an_error_with_its_position(text, position):
    for call in (toy.encode, toy.encode_array, toy.count, toy.offsets):
        with pytest.raises(EncodingError, match=rf"character {position} is the lone surrogate U\+D") as caught:
            call(text)
        assert caught.value.position == position
        assert isinstance(caught.value, ValueError) and "encode_bytes" in str(caught.value)


@pytest.mark.parametrize("text", [None, b"bytes", 5, ["a"]])
def test_what_is_no_text_is_an_error_that_says_so(text):
    with pytest.raises(EncodingError, match=f"expected str, got {type(text).__name__}"):
        toy.encode(text)


# -- ids that are none ------------------------------------------------------------------------------------------

SIZE = toy.vocab_size


@pytest.mark.parametrize(
    ("ids", "token", "position"),
    [
        ([-1], -1, 0),
        ([5, 6, -7, -8], -7, 2),
        ([SIZE], SIZE, 0),
        ((5, SIZE + 3), SIZE + 3, 1),
        ([5, 2**31], 2**31, 1),
        ([2**32 + 5], 2**32 + 5, 0),
        ([2**63], 2**63, 0),
        ([-1, 2**63], -1, 0),
        ([5, 2**64], 2**64, 1),
        ([5, 6, -(2**70)], -(2**70), 2),
        (np.array([5, -3], np.int32), -3, 1),
        (np.array([5, SIZE], np.int32), SIZE, 1),
        (np.array([5, 2**40], np.int64), 2**40, 1),
        (np.array([2**64 - 1], np.uint64), 2**64 - 1, 0),
        (np.array([7, -56], np.int8), -56, 1),
        (iter([5, -1]), -1, 1),
    ],
)
def test_an_id_outside_the_vocabulary_is_named_with_its_position(ids, token, position):
    with pytest.raises(InvalidTokenError) as caught:
        toy.decode(ids)
    error = caught.value
    assert (error.token, error.position) == (token, position)
    assert f"id {token} at position {position} is outside the vocabulary; ids are 0 to {SIZE - 1}" in str(error)


@pytest.mark.parametrize(
    ("ids", "position"),
    [
        ([5, 1.0], 1),
        ([True], 0),
        ([5, "6"], 1),
        (["5"], 0),
        ([5, None], 1),
        ([[5, 6]], 0),
        ([5, [6]], 1),
        ([[5], [6, 7]], 0),
        (np.array([[5, 6]]), 0),
        (np.array([5.0]), 0),
        (np.array([True, False]), 0),
        ([5, object()], 1),
    ],
)
def test_what_is_no_id_is_an_error_with_its_position(ids, position):
    for call in (toy.decode, toy.decode_bytes):
        with pytest.raises(EncodingError, match="is not an id; ids are integers") as caught:
            call(ids)
        assert caught.value.position == position
        assert f"at position {position}" in str(caught.value)


@pytest.mark.parametrize(
    "data", [5, "text", None, [97], np.array([97, 98]), np.array([True]), memoryview(np.array([97], np.uint16))]
)
def test_what_is_not_bytes_is_an_error_that_says_so(data):
    with pytest.raises(EncodingError, match=f"expected bytes, got {type(data).__name__}"):
        toy.encode_bytes(data)
    if not isinstance(data, str):
        with pytest.raises(EncodingError, match="expected bytes"):
            toy.stream_encoder().feed(data)


def test_every_kind_of_bytes_is_taken():
    raw = b"the x"
    for data in (bytearray(raw), memoryview(raw), np.frombuffer(raw, np.uint8), np.frombuffer(raw * 2, np.uint8)[:5]):
        assert toy.encode_bytes(data) == toy.encode_bytes(raw)
        stream = toy.stream_encoder()
        assert stream.feed(data) + stream.finish() == toy.encode_bytes(raw)


@pytest.mark.parametrize(
    "ids", [5, None, np.int64(5), np.array(5), b"abc", bytearray(b"abc"), memoryview(b"abc"), "", "abc", {5, 6}, {5: 6}]
)
def test_what_is_no_sequence_of_ids_or_several(ids):
    with pytest.raises(EncodingError, match="expected a sequence of ids, got"):
        toy.decode(ids)
    with pytest.raises(EncodingError, match="for several sequences there is decode_batch"):
        toy.decode([[5, 6], [7, 8]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_every_integer_array_is_taken(dtype):
    ids = toy.encode("AB")
    assert toy.decode(np.array(ids, dtype)) == "AB"
    assert toy.decode([dtype(i) for i in ids]) == "AB"
    assert toy.decode(np.array(ids, dtype)[::-1]) == "BA"


@pytest.mark.parametrize("empty", [[], (), np.array([]), np.zeros(0, np.int64), iter([]), range(0)])
def test_no_ids_are_no_text(empty):
    assert toy.decode(empty) == ""


def test_any_iterable_of_ids_is_taken():
    ids = toy.encode("the x")
    assert toy.decode(iter(ids)) == toy.decode(tuple(ids)) == toy.decode(np.array(ids, object)) == "the x"


def test_the_callers_array_is_not_changed():
    ids = wrapped.encode_array("the x")
    before = ids.copy()
    wrapped.decode(ids)
    np.testing.assert_array_equal(ids, before)


def test_every_id_has_bytes_and_others_are_named():
    assert all(toy.token_bytes(token) for token in range(SIZE))
    assert toy.token_bytes(0) == b"<pad>" and toy.token_bytes(np.int64(FIRST + 65)) == b"A"
    for token in (-1, SIZE, 2**70):
        with pytest.raises(InvalidTokenError) as caught:
            toy.token_bytes(token)
        assert caught.value.token == token
    for token in (1.0, "1", None, True):
        with pytest.raises(EncodingError, match="is not an id"):
            toy.token_bytes(token)


# -- spans ------------------------------------------------------------------------------------------------------


@given(texts)
def test_spans_of_characters_hold_every_character_a_token_touches(text):
    owner = [i for i, character in enumerate(text) for _ in character.encode()]
    found = toy.offsets(text)
    for (start, stop), (first, last) in zip(found.byte_spans.tolist(), found.char_spans.tolist(), strict=True):
        assert (first, last) == (owner[start], owner[stop - 1] + 1)


def test_tokens_that_cut_characters():
    found = toy.offsets("éx🙂😀")  # é is c3 a9, and a9 78 is a token; of 😀 the first two bytes are one
    assert found.ids.dtype == found.byte_spans.dtype == found.char_spans.dtype == np.int32
    pieces = [toy.token_bytes(i) for i in found.ids.tolist()]
    assert pieces == [b"\xc3", b"\xa9x", "🙂".encode(), b"\xf0\x9f", b"\x98", b"\x80"]
    assert found.byte_spans.tolist() == [[0, 1], [1, 3], [3, 7], [7, 9], [9, 10], [10, 11]]
    assert found.char_spans.tolist() == [[0, 1], [0, 2], [2, 3], [3, 4], [3, 4], [3, 4]]


def test_spans_of_nothing():
    found = toy.offsets("")
    assert found.ids.shape == (0,) and found.byte_spans.shape == found.char_spans.shape == (0, 2)


# -- what a tokenizer does not promise --------------------------------------------------------------------------


def test_what_is_not_promised_is_an_error_that_names_it():
    lossy = Lossy()
    lossy.name = "lossy"
    with pytest.raises(UnsupportedError, match="lossy has no offsets") as caught:
        lossy.offsets("x")
    assert caught.value.capability == "offsets"
    with pytest.raises(UnsupportedError, match="lossy cannot encode a stream") as caught:
        lossy.stream_encoder()
    assert caught.value.capability == "streaming"
    with pytest.raises(UnsupportedError, match="plain has no '<pad>' token") as caught:
        NoPadding().encode_batch_padded(["x"])
    assert NoPadding().decode(NoPadding().encode("<pad>")) == "<pad>"
    assert caught.value.capability == "padding"
    assert isinstance(caught.value, NotImplementedError)


def test_padding_is_known_by_its_role():
    class Theirs(ToyTokenizer):
        @property
        def special_tokens(self):
            return {"[UNK]": 1, "[PAD]": 2}

    assert Theirs().encode_batch_padded(["a", ""]).ids.tolist() == [[4 + ord("a")], [2]]


def test_an_incomplete_tokenizer_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (ITokenizer,), {"vocab_size": 3})()


def test_repr_says_what_it_is():
    named = ToyTokenizer()
    assert repr(named) == "<ToyTokenizer 'unnamed' vocab_size=260>"
    named.name = "toy"
    assert repr(named) == "<ToyTokenizer 'toy' vocab_size=260>"

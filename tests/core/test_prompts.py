"""Texts that go on: what of their ids stays, which ids may come next, parts that are trusted, texts that grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import EncodingError, InvalidTokenError, UnsupportedError
from tokframe.tokenizer.prompts import SortedTokens
from tokframe.tokenizer.results import Capabilities

toy = ToyTokenizer([b"th", b"the ", b"\xa9x", "🙂".encode(), b"aaaa", b"\xff\xff", b"\xffa"])
wrapped = ToyTokenizer(toy.pieces[260:], wrap=True)
fragments = st.lists(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(["the ", "th", "éx", "🙂", "aaa", "<s>"]), max_size=12
).map("".join)


class Lossy(ToyTokenizer):
    capabilities = Capabilities(lossless=False, bytes_input=True)


def names(tokenizer, mask):
    return {tokenizer.token_bytes(token) for token in np.flatnonzero(mask).tolist()}


@given(fragments, fragments)
def test_ids_of_a_prompt_begin_those_of_the_whole(text, more):
    for tokenizer in (toy, wrapped, Lossy([b"the "])):
        prompt = tokenizer.prompt(text)
        assert tokenizer.encode(text + more)[: len(prompt.ids)] == prompt.ids
        assert tokenizer.decode_bytes(prompt.ids) + prompt.open == text.encode()


def test_the_template_stands_in_front_of_a_prompt_and_never_behind():
    assert wrapped.prompt("the end").ids == [2, *toy.prompt("the end").ids]
    assert wrapped.prompt("the end", add_special=False) == toy.prompt("the end")


def test_allowed_are_the_ids_whose_bytes_agree_with_the_open_ones():
    prompt = toy.prompt("x th")
    assert (prompt.open, len(prompt.ids)) == (b" th", 1)
    assert names(toy, prompt.allowed()) == {b" "}
    space = toy.encode(" ")
    assert names(toy, prompt.allowed(space)) == {b"t", b"th", b"the "}
    assert names(toy, prompt.allowed([*space, *toy.encode("t")])) == {b"h"}
    assert prompt.allowed([*space, *toy.encode("the ")]).all()
    assert prompt.allowed([*space, *toy.encode("th")]).all()
    assert prompt.allowed().shape == (toy.vocab_size,)


def test_no_special_token_spells_open_bytes_and_all_may_come_after_them():
    prompt = toy.prompt("<s>")
    assert prompt.open == b"<s>"
    assert not prompt.allowed()[list(toy.special_tokens.values())].any()
    assert toy.prompt("").allowed().all()


def test_ids_that_do_not_spell_the_open_bytes_name_themselves():
    prompt = toy.prompt("x th")
    with pytest.raises(InvalidTokenError, match=r"at position 1 stands for b'q'.*allowed") as caught:
        prompt.allowed(toy.encode(" q"))
    assert caught.value.position == 1
    with pytest.raises(InvalidTokenError, match="at position 0"):
        prompt.allowed([toy.special_tokens["<s>"]])
    for wrong in ([toy.vocab_size], [-1], ["a"], [True]):
        with pytest.raises(InvalidTokenError):
            prompt.allowed(wrong)


def test_bytes_that_nothing_follows_in_order_are_found():
    tokens = SortedTokens([b"a", b"\xff", b"\xff\xff", b"\xffa", b"", b"a", b"<s>"], frozenset({6}))
    assert np.flatnonzero(tokens.agreeing(b"\xff")).tolist() == [1, 2, 3]
    assert np.flatnonzero(tokens.agreeing(b"\xff\xff\xff")).tolist() == [1, 2]
    assert np.flatnonzero(tokens.agreeing(b"a")).tolist() == [0, 5]
    assert not tokens.agreeing(b"<").any()


@given(st.binary(min_size=1, max_size=5), st.lists(st.binary(max_size=4), max_size=30))
def test_agreeing_is_one_beginning_with_the_other(data, table):
    wanted = [bool(piece) and (piece.startswith(data) or data.startswith(piece)) for piece in table]
    assert SortedTokens(table, frozenset()).agreeing(data).tolist() == wanted


def test_where_ids_do_not_spell_the_text_allowed_and_canonical_are_refused():
    lossy = Lossy()
    for call in (lossy.prompt("text").allowed, lambda: lossy.canonicalize([5]), lambda: lossy.is_canonical([5])):
        with pytest.raises(UnsupportedError, match="do not spell"):
            call()


def test_a_lone_surrogate_is_refused():
    for call in (
        lambda: toy.prompt("a\ud800"),
        lambda: toy.encode_more(None, "a\ud800"),
        lambda: toy.encode_parts([("a\ud800", False)]),
    ):
        with pytest.raises(EncodingError, match="surrogate"):
            call()


# -- parts that are trusted -------------------------------------------------------------------------------------


def test_special_tokens_are_found_in_trusted_parts_alone():
    parts = [("<s>", True), ("the user says </s>", False), ("</s>", True)]
    assert toy.encode_parts(parts) == [2, *toy.encode("the user says </s>"), 3]


@given(st.lists(st.tuples(fragments, st.booleans()), max_size=6))
def test_parts_have_the_ids_of_the_whole_between_special_tokens(parts):
    whole = "".join(text for text, _ in parts)
    assert toy.encode_parts([(text, False) for text, _ in parts]) == toy.encode(whole)
    assert toy.encode_parts([(whole, True)]) == toy.encode(whole, allowed_special=toy.special_tokens)
    assert toy.decode_bytes(toy.encode_parts(parts), skip_special=False).decode() == whole


def test_plain_text_is_one_text_wherever_parts_are_cut():
    assert toy.encode_parts([("t", True), ("h", False), ("e ", True)]) == toy.encode("the ")
    assert toy.encode_parts([("<", True), ("s>", True)]) == toy.encode("<s>")  # in no part as a whole


def test_parts_have_the_template_unless_told_otherwise():
    parts = [("th", False), ("e ", False)]
    assert wrapped.encode_parts(parts) == wrapped.encode("the ")
    assert wrapped.encode_parts(parts, add_special=False) == wrapped.encode("the ", False)
    assert wrapped.encode_parts([]) == [2, 3]


@pytest.mark.parametrize("wrong", ["text", [("text",)], ["ab"], [("text", 1)], [(b"text", True)], 5, {"a": True}])
def test_what_are_no_parts_is_refused(wrong):
    with pytest.raises(EncodingError, match="text, trusted"):
        toy.encode_parts(wrong)


# -- texts that grow --------------------------------------------------------------------------------------------


@given(st.lists(fragments, max_size=6))
def test_a_text_that_grows_has_the_ids_of_the_whole_after_each_part(parts):
    ids, grown = [], None
    for number, part in enumerate(parts, 1):
        before = grown
        grown = toy.encode_more(before, part)
        wanted = toy.encode("".join(parts[:number]))
        assert grown.kept <= len(ids)
        assert ids[: grown.kept] + grown.added == wanted
        assert len(grown) == len(wanted)
        assert grown.kept == len(ids) or not grown.added or ids[grown.kept] != grown.added[0]
        ids = wanted


def test_one_text_can_go_on_in_several_ways():
    start = toy.encode_more(None, "on t")
    kept = len(start) - 1
    for more in ("he ", "h", "x"):
        grown = toy.encode_more(start, more)
        assert start.added[: grown.kept] + grown.added == toy.encode("on t" + more)
        assert grown.kept >= kept


def test_the_cost_of_growing_is_that_of_what_is_new(monkeypatch):
    grown = toy.encode_more(None, "the end " * 1000)
    seen = []
    monkeypatch.setattr(toy, "encode_raw_list", lambda data: seen.append(len(data)) or [5] * len(data))
    toy.encode_more(grown, "and more")
    assert sum(seen) < 40


def test_what_encode_more_never_returned_is_refused():
    with pytest.raises(EncodingError, match="got list"):
        toy.encode_more([1, 2], "text")


# -- ids of a text, and others that read the same -----------------------------------------------------------------


def test_canonical_are_the_ids_that_encode_gives():
    split = [*toy.encode("t"), *toy.encode("h"), *toy.encode("e ")]
    assert not toy.is_canonical(split)
    assert toy.canonicalize(split) == toy.encode("the ")
    assert toy.is_canonical(toy.encode("the "))
    assert toy.is_canonical([]) and toy.is_canonical(np.asarray(toy.encode("the end"), np.int32))


@given(st.lists(st.integers(0, toy.vocab_size - 1), max_size=12))
def test_canonical_ids_read_the_same_and_stay_as_they_are(ids):
    found = toy.canonicalize(ids)
    assert toy.decode_bytes(found, False) == toy.decode_bytes(ids, False)
    assert toy.canonicalize(found) == found and toy.is_canonical(found)
    assert toy.is_canonical(ids) == (ids == found)


def test_special_tokens_stay_and_part_what_is_beside_them():
    ids = [2, *toy.encode("t"), 3, *toy.encode("h"), 0]
    assert toy.canonicalize(ids) == ids
    with pytest.raises(InvalidTokenError):
        toy.canonicalize([toy.vocab_size])

"""The tokenizer "bpe" gives the ids that Hugging Face gives, wherever bytes are cut; the rest is in its contract."""

from __future__ import annotations

import json
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

BORDERS = (
    *(b"'", b"s", b"'ll", b" ", b"  ", b"\n", b"\r", b"\t", b"\x1c", b"\0", b"a", b"Z", b"1", b".", b"_"),
    *(b"\xc2", b"\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe3\x80\x80", b"\xe1\x9a\x80", b"\xff"),
    *map(str.encode, ("é", "漢", "ก็", "\u0301", "🙂", "\ufeff", "²", "٣")),
)
#: Bytes that meet at borders: of pieces of GPT-2's split, of characters, of what is UTF-8 and what is not.
BYTES = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(BORDERS) | st.binary(max_size=3), max_size=40).map(b"".join)
)


@given(st.text(max_size=60))
def test_text_has_the_ids_that_hugging_face_gives(bpe, text):
    outside = Tokenizer.from_str(bpe.state().files["tokenizer.json"].decode())
    assert bpe.encode(text) == outside.encode(text, add_special_tokens=False).ids


def test_a_long_text_has_the_ids_that_hugging_face_gives(bpe, text):
    outside = Tokenizer.from_str(bpe.state().files["tokenizer.json"].decode())
    long = text * 400 + "a" * 30_000 + "漢" * 20_000 + text
    assert bpe.encode(long) == outside.encode(long, add_special_tokens=False).ids


@pytest.mark.slow
@settings(max_examples=500)
@given(BYTES, BYTES)
def test_stable_bytes_have_the_same_ids_whatever_follows(bpe, before, after):
    stable = bpe.stable_prefix(before)
    parts = bpe.encode_bytes(before[:stable]) + bpe.encode_bytes(before[stable:] + after)
    assert parts == bpe.encode_bytes(before + after)
    assert bpe.decode_bytes(parts) == before + after


@pytest.mark.slow
@settings(max_examples=500)
@given(BYTES, BYTES)
def test_settled_ids_begin_the_ids_of_all_that_may_follow(bpe, before, after):
    ids, size = bpe.settled_ids(before)
    assert bpe.decode_bytes(ids) == before[:size]
    assert bpe.encode_bytes(before + after)[: len(ids)] == ids


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("the cat sat", " sat"),
        ("the cat ", " "),
        ("a  b", " b"),
        ("one line\n\nb", "b"),
        ("漢字。", "。"),
        ("don't", "'t"),
        ("we'l", "'l"),  # "'ll" may follow
        ("we'm", "'m"),
        ("x!'l", "l"),  # "!'" is one piece
        ("", ""),
    ],
)
def test_the_last_pre_token_of_a_prompt_is_open(bpe, text, left):
    assert bpe.prompt(text).open == left.encode()


def test_a_prompt_can_be_pickled(bpe):
    prompt = bpe.prompt("the cat")
    twin = pickle.loads(pickle.dumps(prompt))
    assert twin == prompt and (twin.allowed() == prompt.allowed()).all()


@pytest.mark.parametrize("repeated", [b"a", b" ", "漢".encode(), b"\xff"])
def test_long_runs_are_decoded_exactly(bpe, repeated):
    assert bpe.decode_bytes(bpe.encode_bytes(repeated * 100_000 + b"x")) == repeated * 100_000 + b"x"


@pytest.mark.parametrize(
    ("data", "stable"),
    [
        (b"the cat sat", b"the cat"),
        (b"one line\nthe", b"one line"),
        ("漢字\n".encode(), "漢字".encode()),
        (b"a   b", b"a"),
        (b"f(x", b"f("),
        (b"a1", b"a"),
        (b"''s", b""),
        (b"word", b""),
    ],
)
def test_a_stream_waits_only_for_the_next_change_of_kind(bpe, data, stable):
    assert data[: bpe.stable_prefix(data)] == stable


def test_every_byte_is_an_id_and_every_id_has_bytes_of_its_own(bpe):
    table = [bpe.token_bytes(token) for token in range(4, bpe.vocab_size)]
    assert {bytes([value]) for value in range(256)} <= set(table)
    assert len(set(table)) == len(table)
    assert all(table)


def test_special_tokens_are_the_first_four_ids_and_not_in_the_file(bpe):
    assert dict(bpe.special_tokens) == {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    assert json.loads(bpe.state().files["tokenizer.json"])["added_tokens"] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_encodes_and_prints_no_warning(fresh):
    source = """
    import os, sys, warnings
    os.environ.pop("TOKENIZERS_PARALLELISM", None)
    import tokframe
    tokenizer = tokframe.load("bpe")
    long = "the cat sat on the mat\\n" * 3000
    ids = tokenizer.encode(long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of fork beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if tokenizer.encode(long) == ids else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert fresh(source).stderr == ""

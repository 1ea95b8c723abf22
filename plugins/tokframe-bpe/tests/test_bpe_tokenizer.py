"""The tokenizer "bpe" is exact for any bytes, sees no special tokens in text, and agrees with Hugging Face."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tokframe
from tokframe.errors import EncodingError, InvalidTokenError

#: Bytes that meet at borders: of pieces of GPT-2's split, of characters, of what is UTF-8 and what is not.
BYTES = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *(
                        b"'",
                        b"s",
                        b"'ll",
                        b" ",
                        b"  ",
                        b"\n",
                        b"\r",
                        b"\t",
                        b"\x1c",
                        b"\0",
                        b"a",
                        b"Z",
                        b"1",
                        b".",
                        b"_",
                    ),
                    *(
                        b"\xc2",
                        b"\x85",
                        b"\xc2\xa0",
                        b"\xe2\x80\xa8",
                        b"\xe3\x80\x80",
                        b"\xe1\x9a\x80",
                        b"\xff",
                    ),
                    *("é", "漢", "ก็", "\u0301", "🙂", "\ufeff", "²", "٣"),
                ]
            ).map(lambda item: item.encode() if isinstance(item, str) else item),
            st.binary(max_size=3),
        ),
        max_size=40,
    ).map(b"".join),
)
HARD = {
    "all bytes": bytes(range(256)),
    "all bytes backwards": bytes(range(255, -1, -1)),
    "nothing": b"",
    "nul": b"a\0b\0\0",
    "byte order mark": "\ufeffa".encode(),
    "lone carriage return": b"a\rb\r\n\rc",
    "truncated character": "漢".encode()[:2],
    "encoded surrogate": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
    "combining mark alone": "\u0301".encode(),
    "family": "👨‍👩‍👧‍👦".encode(),
    "right to left": "שלום العربية".encode(),
    "no-break spaces": "a\u00a0 \u3000\u2028b".encode(),
    "100,000 letters": b"a" * 100_000,
    "100,000 spaces": b" " * 100_000 + b"x",
    "100,000 ideographs": "漢".encode() * 100_000,
    "100,000 that are no text": b"\xff" * 100_000,
}


@settings(max_examples=300)
@given(BYTES)
def test_any_bytes_come_back_exactly(bpe, data):
    assert bpe.decode_bytes(bpe.encode_bytes(data)) == data


@pytest.mark.parametrize("name", HARD)
def test_hard_bytes_come_back_exactly(bpe, name):
    ids = bpe.encode_bytes(HARD[name])
    assert bpe.decode_bytes(ids) == HARD[name]
    assert not {0, 1, 2, 3} & set(ids)


@given(st.text(max_size=60))
def test_any_text_comes_back_exactly(bpe, text):
    assert bpe.decode(bpe.encode(text)) == text


@given(st.text(max_size=60))
def test_text_has_the_ids_that_hugging_face_gives(bpe, text):
    outside = Tokenizer.from_str(bpe.state().files["tokenizer.json"].decode())
    assert bpe.encode(text) == outside.encode(text, add_special_tokens=False).ids


def test_a_long_text_has_the_ids_that_hugging_face_gives(bpe, text):
    outside = Tokenizer.from_str(bpe.state().files["tokenizer.json"].decode())
    long = text * 400 + "a" * 30_000 + "漢" * 20_000 + text
    assert bpe.encode(long) == outside.encode(long, add_special_tokens=False).ids


@settings(max_examples=300)
@given(BYTES, st.data())
def test_a_stream_has_the_ids_of_the_whole(bpe, data, draw):
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    encoder, ids = bpe.stream_encoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        ids += encoder.feed(data[start:end])
    assert ids + encoder.finish() == bpe.encode_bytes(data)


@settings(max_examples=500)
@given(BYTES, BYTES)
def test_stable_bytes_have_the_same_ids_whatever_follows(bpe, before, after):
    stable = bpe.stable_prefix(before)
    parts = bpe.encode_bytes(before[:stable]) + bpe.encode_bytes(before[stable:] + after)
    assert parts == bpe.encode_bytes(before + after)


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


@given(st.text(max_size=40))
def test_offsets_give_the_bytes_of_every_token(bpe, text):
    found, data = bpe.offsets(text), text.encode()
    assert found.ids.tolist() == bpe.encode(text)
    assert [data[a:b] for a, b in found.byte_spans] == [bpe.token_bytes(token) for token in found.ids.tolist()]


def test_the_special_tokens_are_the_first_four_ids_and_ordinary_in_text(bpe):
    assert dict(bpe.special_tokens) == {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    hostile = "<pad><unk><s></s> <s>"
    assert not {0, 1, 2, 3} & set(bpe.encode(hostile))
    assert bpe.decode(bpe.encode(hostile)) == hostile
    assert bpe.encode("<s>a", allowed_special=["<s>"])[0] == 2
    assert bpe.decode([2, *bpe.encode("a"), 3]) == "a"
    assert bpe.decode([2, *bpe.encode("a"), 3], skip_special=False) == "<s>a</s>"


def test_every_byte_is_an_id_and_every_id_has_bytes_of_its_own(bpe):
    table = [bpe.token_bytes(token) for token in range(4, bpe.vocab_size)]
    assert {bytes([value]) for value in range(256)} <= set(table)
    assert len(set(table)) == len(table)
    assert all(table)


def test_ids_are_int32_and_those_outside_are_named(bpe):
    assert bpe.encode_array("the cat").dtype == np.int32
    assert bpe.encode_array("").dtype == np.int32
    for bad in (-1, bpe.vocab_size):
        with pytest.raises(InvalidTokenError, match=str(bad)):
            bpe.decode([4, bad])
        with pytest.raises(InvalidTokenError, match=str(bad)):
            bpe.token_bytes(bad)


def test_a_lone_surrogate_is_an_error_that_names_its_position(bpe):
    with pytest.raises(EncodingError, match="character 3"):
        bpe.encode("cat\udc80")


def test_it_is_the_same_after_pickling_saving_and_loading(bpe, text, tmp_path):
    bpe.save(tmp_path / "saved")
    for again in (pickle.loads(pickle.dumps(bpe)), tokframe.load(tmp_path / "saved")):
        assert again.encode(text) == bpe.encode(text)
        assert again.state().files == bpe.state().files
        assert dict(again.state().config) == {"vocab_size": 700, "min_frequency": 2}


def test_the_saved_file_registers_no_special_tokens(bpe):
    assert json.loads(bpe.state().files["tokenizer.json"])["added_tokens"] == []


def test_many_threads_give_the_ids_of_one(bpe, text):
    texts = [text[start:] * 20 for start in range(24)]
    alone = [bpe.encode(item) for item in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(bpe.encode, texts)) == alone
    assert bpe.encode_batch(texts, threads=4) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_encodes_and_prints_no_warning(bpe, tmp_path):
    bpe.save(tmp_path / "saved")
    source = textwrap.dedent(
        """
        import os, sys, warnings
        from pathlib import Path
        import tokframe
        tokenizer = tokframe.load(Path(sys.argv[1]))
        long = "the cat sat on the mat\\n" * 3000
        ids = tokenizer.encode(long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of fork beside threads
            child = os.fork()
        if child == 0:
            os._exit(0 if tokenizer.encode(long) == ids else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    environment = {key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"}
    command = [sys.executable, "-W", "error", "-c", source, str(tmp_path / "saved")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

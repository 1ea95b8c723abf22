"""Ids of imported tokenizers decoded in parts: the text of the whole, as early as no later id can change it."""

from __future__ import annotations

import itertools
import json
import random
import re

import pytest
from support.imported import sentencepiece_model
from tokenizers import Tokenizer, decoders, models
from tokframe_huggingface.reading import read

from tokframe.errors import EncodingError

WORDS = """<unk> <s> <pad> ▁ ▁▁ ▁cat cat ##s s ## n't ▁not do . , ! 'm x é é▁ a▁b ▁a▁b </w> cat</w> | 中 < 0x > Ġ Ã ©
<0x41> <0xE6> <0xBC> <0xA2> <0xFF> <0xC3>"""
PIECES = [*WORDS.split(), " ", "  ", " .", "  y", "\n"]
LLAMA = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
#: Decoders whose text comes while ids come.
EARLY = {
    "none": None,
    "Metaspace": decoders.Metaspace(),
    "Metaspace never": decoders.Metaspace(prepend_scheme="never"),
    "WordPiece": decoders.WordPiece(),
    "WordPiece plain": decoders.WordPiece("##", cleanup=False),
    "Llama": decoders.Sequence(LLAMA),
    "Gemma": decoders.Sequence(LLAMA[:3]),
    "nested": decoders.Sequence([decoders.Sequence(LLAMA[:2]), decoders.Sequence(LLAMA[2:])]),
    "bytes, then words": decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
    "removes": decoders.Sequence([decoders.Replace("▁", ""), decoders.Fuse(), decoders.Strip(" ", 2, 0)]),
}
#: Decoders that look ahead, over borders of tokens or at the end: all text comes at the end.
LATE = {
    "BPE": decoders.BPEDecoder(),
    "CTC": decoders.CTC(),
    "ByteLevel": decoders.ByteLevel(),
    "strips the end": decoders.Sequence([decoders.Fuse(), decoders.Strip("s", 0, 1)]),
    "replaces over borders": decoders.Sequence([decoders.Fuse(), decoders.Replace("ts", "-")]),
    "replaces before bytes": decoders.Sequence([decoders.Replace("E6", "E7"), decoders.ByteFallback()]),
}


def tokenizer_of(decoder, folder):
    theirs = Tokenizer(models.WordLevel({piece: n for n, piece in enumerate(PIECES)}, "<unk>"))
    theirs.add_special_tokens(["<s>", "<pad>"])
    if decoder is not None:
        theirs.decoder = decoder
    theirs.save(str(folder / "tokenizer.json"))
    return read(folder / "tokenizer.json")


def some_ids(tokenizer, rounds):
    """Yield lists of few different ids, so that what depends on neighbors is seen."""
    draw = random.Random(1)
    special = [*tokenizer.special_tokens.values()]
    for _ in range(rounds):
        few = draw.sample(range(tokenizer.vocab_size), draw.randint(1, 8)) + draw.choice([[], special])
        yield [draw.choice(few) for _ in range(draw.randint(1, 12))]


def check_same(tokenizer, rounds=150):
    for ids, skip, size in itertools.product(some_ids(tokenizer, rounds), (True, False), (1, 2)):
        stream = tokenizer.stream_decoder(skip)
        for _ in range(2):  # a decoder can be used again
            parts = [stream.feed(ids[at : at + size]) for at in range(0, len(ids), size)]
            assert "".join(parts) + stream.finish() == tokenizer.decode(ids, skip), (ids, skip, size)


@pytest.mark.parametrize("name", [*EARLY, *LATE])
def test_any_ids_in_parts_give_the_text_of_the_whole(tmp_path, name):
    check_same(tokenizer_of({**EARLY, **LATE}[name], tmp_path))


@pytest.mark.parametrize("name", EARLY)
def test_text_comes_as_soon_as_it_is_final(tmp_path, name):
    tokenizer = tokenizer_of(EARLY[name], tmp_path)
    stream = tokenizer.stream_decoder()
    ids = [PIECES.index(piece) for piece in ("cat", "▁cat", "<s>", "cat", "▁cat")]
    assert stream.feed(ids) == tokenizer.decode(ids) and stream.finish() == ""
    if "ByteFallback" in json.dumps(str(EARLY[name])):
        bytes_of_a_character = [PIECES.index(f"<0x{byte}>") for byte in ("E6", "BC", "A2")]
        assert stream.feed(bytes_of_a_character) == "" and stream.feed([PIECES.index("x")]) == "漢x"


@pytest.mark.parametrize("name", LATE)
def test_what_looks_ahead_is_decoded_at_the_end(tmp_path, name):
    stream = tokenizer_of(LATE[name], tmp_path).stream_decoder()
    assert stream.feed([PIECES.index("cat")] * 9) == "" and re.search("cat", stream.finish())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": False},
        {"treat_whitespace_as_suffix": True},
        {"user_defined_symbols": ["▁▁", "<x>"], "control_symbols": ["<c>"]},
        {"denormalization_rule_tsv": "rules.tsv"},
    ],
    ids=str,
)
def test_sentencepiece_models_give_the_text_of_the_whole(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.tsv").write_text("63 61\t7A 7A\n61\t41\n", encoding="utf-8")  # ca: zz, a: A
    (tmp_path / "m.model").write_bytes(sentencepiece_model("the cat sat on the mat é 漢字 and the dog", **options))
    tokenizer = read(tmp_path / "m.model")
    check_same(tokenizer)
    ids = tokenizer.encode("the cat")
    early = tokenizer.stream_decoder().feed(ids)
    assert early == ("" if "denormalization_rule_tsv" in options else tokenizer.decode(ids))


def test_a_decoder_that_fails_is_an_error_of_ours(tmp_path):
    tokenizer = tokenizer_of(decoders.Sequence([decoders.Replace("cat", ""), decoders.Strip(" ", 0, 1)]), tmp_path)
    assert tokenizer.decode([]) == "" and tokenizer.stream_decoder().finish() == ""
    with pytest.raises(EncodingError, match=r"cannot decode \[\d+\]"):
        tokenizer.decode([PIECES.index("cat")])

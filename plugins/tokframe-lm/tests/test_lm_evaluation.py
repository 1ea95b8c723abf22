"""Bits per byte, generation and text measures."""

from __future__ import annotations

import json
import math

import attrs
import numpy as np
import pytest
import torch
from tokframe_lm import generation, storage
from tokframe_lm.comparison.text_measures import MEASURES, measure
from tokframe_lm.evaluation.bits_per_byte import evaluate, token_nll
from tokframe_lm.evaluation.ngrams import ByteNgrams

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError, CorpusError, EncodingError
from tokframe.tokenizer.streams import StreamDecoder

pytestmark = pytest.mark.trains

NAMES = ("word", "bpe", "autoencoder-fsq")

SHORT = "The cat saw a zebra."  # few enough tokens for one window


@pytest.fixture
def short(tmp_path):
    (tmp_path / "short.txt").write_text(SHORT, encoding="utf-8")
    return Corpus.open([tmp_path / "short.txt"])


@pytest.mark.parametrize("name", ["bpe", "autoencoder-fsq"])
def test_bits_per_byte_is_the_log_probability_of_the_text(small, tmp_path, name):
    (tmp_path / "a.txt").write_text("The cat", encoding="utf-8")
    model = storage.load(small.model(name))
    ids = [model.tokenizer.special_tokens["<s>"], *model.tokenizer.encode("The cat", False)]
    with torch.no_grad():
        logs = model.model(torch.tensor([ids])).log_softmax(-1)[0].double()
    nats = -sum(float(logs[place, token]) for place, token in enumerate(ids[1:]))
    found = evaluate(model, Corpus.open([tmp_path / "a.txt"]))
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / 7, rel=1e-5)
    assert (found.bytes, found.tokens, found.bits_per_byte_unknown) == (7, len(ids) - 1, 0)


def test_each_unknown_is_charged_what_its_letters_cost(small, short):
    model = storage.load(small.model("word"))
    unknown = model.tokenizer.special_tokens["<unk>"]
    found_ids = model.tokenizer.offsets(SHORT)
    spans = found_ids.byte_spans[found_ids.ids == unknown].tolist()
    surfaces = [SHORT.encode()[start:end] for start, end in spans]
    assert b"zebra" in surfaces
    unknown_model = ByteNgrams(model.unknown_surfaces.items(), order=4, ends=True)
    found = evaluate(model, short)
    assert found.unknown == len(surfaces)
    assert found.bits_per_byte_unknown == pytest.approx(
        sum(unknown_model.bits(surface).sum() for surface in surfaces) / len(SHORT)
    )
    assert found.bits_per_byte > found.bits_per_byte_unknown > 0


def test_long_text_is_judged_in_windows_that_overlap_by_half(small):
    model = storage.load(small.model("bpe")).model
    context = model.config.context
    ids = np.arange(4 * context + 3, dtype=np.int32) % 300
    found = token_nll(model, ids)
    for place in (0, context - 1, context, 2 * context + 5, len(ids) - 2):
        start = 0 if place < context else (place - context) // (context // 2) * (context // 2) + context // 2
        window = torch.from_numpy(ids[start : place + 1].astype(np.int64))[None]
        with torch.no_grad():
            logs = model(window).log_softmax(-1)[0, -1]
        assert float(found[place]) == pytest.approx(-float(logs[ids[place + 1]]), rel=1e-4)
        assert place < context or window.shape[1] > context // 2


def test_an_empty_corpus_is_an_error(small, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError):
        evaluate(storage.load(small.model("bpe")), Corpus.open([tmp_path / "empty.txt"]))


def test_the_command_writes_documented_keys(small, short, capsys):
    words = ["lm", "eval", str(small.model("word")), "--corpus", str(short.files[0].path), "--json"]
    assert main(words) == 0
    keys = {"bits_per_byte", "bits_per_byte_unknown", "bytes", "corpus", "tokens", "unknown"}
    assert set(json.loads(capsys.readouterr().out)) == keys


# -- generation ---------------------------------------------------------------------------------------------


def text_of(model, prompt="The", size=40, **sampling):
    pieces = generation.generate(model, prompt, max_bytes=size, sampling=generation.Sampling(**sampling))
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_prompt_begins_a_new_text_past_the_context_too(small, name):
    text = text_of(storage.load(small.model(name)), "", 300)
    assert len(text.encode()) >= 250
    assert not any(special in text for special in ("<pad>", "<unk>", "<s>", "</s>"))


@pytest.mark.parametrize("held", [False, True])
def test_a_prompt_is_what_the_text_is_read_behind(small, held):
    """Of a tokenizer that leaves out the space before a text, and of one whose text all comes at the end."""

    class Spaced(type(tokframe.load(small.tokenizers["bpe"]))):
        def decode_raw(self, ids):
            return super().decode_raw(ids).removeprefix(b" ")

        def stream_decoder(self, skip_special=True):
            return StreamDecoder(self, skip_special, lambda ids: 0 if held else len(ids))

    model = storage.load(small.model("bpe"))
    spaced = attrs.evolve(model, tokenizer=Spaced.from_state(model.tokenizer.state()))
    with torch.no_grad():
        model.model.embedding.bias[model.tokenizer.encode(" the")[0]] += 1000
    expected = text_of(model, " The", temperature=0)
    assert expected.startswith(" t")
    assert text_of(spaced, " The", temperature=0) == expected


def test_a_prompt_longer_than_the_context_is_an_error_with_both_sizes(small):
    model = storage.load(small.model("bpe"))
    with pytest.raises(EncodingError, match=r"context holds 15 .*end of the prompt"):
        text_of(model, "The cat sat on the mat. " * 20)


def test_temperature_zero_needs_no_seed_and_the_cache_changes_nothing(small):
    model = storage.load(small.model("bpe"))
    assert text_of(model, temperature=0, seed=1) == text_of(model, temperature=0, seed=2)
    ids = [model.tokenizer.special_tokens["<s>"], *model.tokenizer.encode("The", False)]
    special = sorted(model.tokenizer.special_tokens.values())
    with torch.no_grad():
        for _ in range(4):
            logits = model.model(torch.tensor([ids]))[0, -1]
            logits[special] = -torch.inf
            ids.append(int(logits.argmax()))
    expected = model.tokenizer.decode(ids)[3:]
    assert expected and text_of(model, temperature=0).startswith(expected)


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_k": -3}, {"temperature": float("nan")}])
def test_sampling_that_makes_no_sense_is_refused(small, wrong):
    with pytest.raises(ConfigError):
        text_of(storage.load(small.model("bpe")), **wrong)


def test_measures_of_a_known_text():
    found = measure("the cat sat the cat sat the cat xyzzy", {"the", "cat", "sat"})
    assert found["valid_words"] == pytest.approx(8 / 9)
    assert found["distinct_1"] == pytest.approx(4 / 9)
    assert found["distinct_2"] == pytest.approx(4 / 8)
    assert found["repetition"] == pytest.approx(4 / 6)
    assert set(measure("", set()).values()) == {0}


def test_a_measure_is_one_row_which_json_note_and_help_read(small, capsys):
    words = ["lm", "generate", str(small.model("bpe")), "--bytes", "40", "--words", str(small.text)]
    assert main([*words, "--json"]) == 0
    assert {one.key for one in MEASURES} < set(json.loads(capsys.readouterr().out))
    assert main(words) == 0
    noted = capsys.readouterr().err
    assert all(f"{one.label} " in noted for one in MEASURES)
    assert main(["lm", "generate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f'"{one.key}"' in shown for one in MEASURES)

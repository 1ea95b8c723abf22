from __future__ import annotations

import json
import math

import pytest
import torch
from tokframe_lm import generation
from tokframe_lm import storage as saved
from tokframe_lm.evaluation.bits_per_byte import evaluate
from tokframe_lm.evaluation.heads import evaluate_heads
from tokframe_lm.migration.migration import migrate
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError, CorpusError, TrainingInterrupted, UnsupportedError

VECTOR = {"vector_decoder": True, "steps": 40}


@pytest.fixture(scope="module")
def model(small, learned):
    """The folder of a model with a vector decoder, frozen."""
    out = small.folder / "model-vector"
    small.train("learned", out, config=VECTOR)
    return out


@pytest.fixture(scope="module")
def loaded(model):
    return saved.load(model)


@pytest.fixture(scope="module")
def vectors():
    return torch.randn(5, 16, generator=torch.Generator().manual_seed(3))


def decoder_weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_training_lowers_the_vector_heads_loss(small, loaded, learned):
    fresh = build(LMConfig(**{**VECTOR, "d_model": 16, "layers": 1, "heads": 2}), tokframe.load(learned))
    text = small.text.read_text(encoding="utf-8")
    ids = torch.tensor([[loaded.tokenizer.special_tokens["<s>"], *loaded.tokenizer.encode(text)[:48]]])
    with torch.no_grad():
        before, after = (
            float(m.vector.loss(m.vectors(ids[:, :-1], m.embedding.table()), ids[:, 1:]))
            for m in (fresh.eval(), loaded.model)
        )
    assert after < before


@torch.no_grad()
def test_a_segment_is_as_likely_as_the_product_over_its_bytes_and_its_end(loaded, vectors):
    head, tokenizer = loaded.model.vector, loaded.tokenizer
    logs, scores = head(vectors), head.scores(vectors)
    for token in (4 + ord("e"), 4 + 0xFF, 260, tokenizer.vocab_size - 1):
        piece = [*tokenizer.token_bytes(token), 256]
        for row in range(len(vectors)):
            product = sum(float(logs[row, place, symbol]) for place, symbol in enumerate(piece))
            assert float(scores[row, token]) == pytest.approx(product, abs=1e-4)


@torch.no_grad()
def test_a_special_token_has_no_bytes_and_no_probability(loaded, vectors):
    head = loaded.model.vector
    assert torch.isinf(head.scores(vectors)[:, :4]).all()
    ids = torch.tensor([2, 300 - 1, 2, 4 + ord("a"), 3])
    alone = head.loss(vectors[[1, 3]], ids[[1, 3]])
    assert float(head.loss(vectors, ids)) == pytest.approx(float(alone), rel=1e-5)
    assert float(head.loss(vectors[:1], ids[:1])) == 0.0


@torch.no_grad()
def test_the_vocabulary_has_at_most_all_of_the_probability(loaded, vectors):
    assert (loaded.model.vector.scores(vectors * 0).double().exp().sum(1) <= 1 + 1e-6).all()
    assert (loaded.model.vector.scores(vectors).double().exp().sum(1) <= 1 + 1e-6).all()


@torch.no_grad()
def test_the_figures_are_those_of_a_count_by_hand(loaded, tmp_path):
    text = "The dog sat."
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    corpus = Corpus.open([tmp_path / "a.txt"])
    model, tokenizer = loaded.model, loaded.tokenizer
    ids = [tokenizer.special_tokens["<s>"], *tokenizer.encode(text)]
    assert len(ids) <= model.config.context
    table = model.embedding.table()
    outputs = model.vectors(torch.tensor([ids]), table)[0, :-1]
    exact = right = 0
    nats = 0.0
    for vector, token in zip(outputs, ids[1:], strict=True):
        logs = model.vector(vector[None])[0]
        said = logs.argmax(-1).tolist()
        written = bytes(said[: said.index(256)]) if 256 in said else None
        piece = tokenizer.token_bytes(token)
        exact += written == piece
        right += sum(a == b for a, b in zip(piece, said, strict=False))
        nats -= sum(float(logs[place, symbol]) for place, symbol in enumerate([*piece, 256]))
    found = evaluate_heads(loaded, corpus)
    assert found.vector.exact == exact / (len(ids) - 1)
    assert found.vector.byte_accuracy == right / len(text)
    assert found.vector.bits_per_byte == pytest.approx(nats / math.log(2) / len(text), rel=1e-5)
    softmax = model.embedding.scores(outputs, table).argmax(-1).tolist()
    assert found.softmax.exact == sum(a == b for a, b in zip(softmax, ids[1:], strict=True)) / (len(ids) - 1)
    snapped = model.vector.scores(outputs).log_softmax(-1).double()
    bits = -sum(float(snapped[place, token]) for place, token in enumerate(ids[1:])) / math.log(2) / len(text)
    assert found.vector.bits_per_byte_snapped == pytest.approx(bits, rel=1e-5)


def test_the_softmax_is_measured_as_without_a_vector_head_and_snapping_saves_bits(loaded, small):
    whole, heads = evaluate(loaded, small.corpus, max_bytes=700), evaluate_heads(loaded, small.corpus, max_bytes=700)
    assert heads.softmax.bits_per_byte == pytest.approx(whole.bits_per_byte, rel=1e-4)
    assert heads.vector.bits_per_byte_snapped < heads.vector.bits_per_byte
    assert 0 < heads.vector.exact <= 1 and 0 < heads.vector.byte_accuracy <= 1


def test_a_frozen_decoder_is_the_tokenizers_and_a_tuned_one_a_copy_that_learns(small, loaded, tmp_path):
    own = decoder_weights(loaded.tokenizer.network().decoder)
    assert torch.equal(decoder_weights(loaded.model.vector.decoder), own)
    done = small.train("learned", tmp_path / "tuned", config={**VECTOR, "decoder": "tuned"})
    assert not torch.equal(decoder_weights(done.model.vector.decoder), own)
    assert torch.equal(decoder_weights(done.tokenizer.network().decoder), own)
    again = saved.load(tmp_path / "tuned").model
    assert torch.equal(decoder_weights(again.vector), decoder_weights(done.model.vector))


def test_a_resumed_run_with_a_vector_head_is_the_uninterrupted_one(small, model, loaded, tmp_path, same):
    calls = iter(range(1000))
    with pytest.raises(TrainingInterrupted):
        small.train("learned", tmp_path / "m", config=VECTOR, should_stop=lambda: next(calls) >= 20)
    assert same(small.train("learned", tmp_path / "m", config=VECTOR, resume=True).model, loaded.model)


def test_a_model_without_a_vector_head_can_be_given_one(small, learned, tmp_path):
    plain = small.train("learned", tmp_path / "plain")
    done = small.train("learned", tmp_path / "with", start=tmp_path / "plain", config={**VECTOR, "steps": 2})
    assert plain.model.vector is None
    assert done.model.vector is not None


def test_a_moved_model_leaves_its_vector_head_behind(small, model, tmp_path):
    migrate(model, old=small.tokenizers["learned"], new=small.tokenizers["bpe"], out=tmp_path / "moved")
    assert saved.load(tmp_path / "moved").model.vector is None


@pytest.mark.parametrize("name", ["word", "bpe"])
def test_a_tokenizer_without_a_network_is_refused(small, tmp_path, name):
    with pytest.raises(UnsupportedError, match=r"has no network.*autoencoder-fsq"):
        small.train(name, tmp_path / "m", config=VECTOR)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("bad", [{"decoder": "melted"}, {"vector_weight": -1.0}])
def test_settings_of_the_head_that_make_no_sense_are_named(small, learned, tmp_path, bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        small.train("learned", tmp_path / "m", config={**VECTOR, **bad})


def test_the_same_seed_gives_the_same_text_and_the_heads_differ(loaded):
    def write(**options):
        pieces = generation.generate(loaded, "The cat", max_bytes=60, **options)
        return "".join(piece.text for piece in pieces)

    assert write(head="vector") == write(head="vector")
    assert write(head="vector") != write(head="softmax")


def test_the_likeliest_segment_is_written_at_temperature_zero(loaded):
    sampling = generation.Sampling(temperature=0)
    piece = next(generation.generate(loaded, "The ", max_bytes=1, sampling=sampling, head="vector"))
    ids = torch.tensor([[loaded.tokenizer.special_tokens["<s>"], *loaded.tokenizer.encode("The ")]])
    with torch.no_grad():
        vector = loaded.model.vectors(ids, loaded.model.embedding.table())[0, -1:]
        best = int(loaded.model.vector.scores(vector).argmax())
    assert piece.text.encode() == loaded.tokenizer.token_bytes(best)


def test_a_head_that_is_not_there_is_an_error_that_says_what_to_do(small, loaded):
    plain = saved.load(small.model("bpe"))
    with pytest.raises(UnsupportedError, match="vector_decoder"):
        next(generation.generate(plain, "The", max_bytes=9, head="vector"))
    with pytest.raises(ConfigError, match="softmax, vector"):
        next(generation.generate(loaded, "The", max_bytes=9, head="hydra"))
    with pytest.raises(UnsupportedError, match="vector_decoder"):
        evaluate_heads(plain, small.corpus)


def test_a_limit_that_leaves_no_text_is_refused(loaded, tmp_path):
    (tmp_path / "a.txt").write_text("🙂", encoding="utf-8")
    with pytest.raises(CorpusError, match="no text"):
        evaluate_heads(loaded, Corpus.open([tmp_path / "a.txt"]), max_bytes=1)


def test_the_command_line_shows_both_heads(small, model, capsys):
    given = ["lm", "eval", str(model), "--corpus", str(small.text), "--max-bytes", "300"]
    assert main([*given, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["heads"]
    assert set(found["softmax"]) == {"exact", "byte_accuracy", "bits_per_byte"}
    assert set(found["vector"]) == {*found["softmax"], "exact_snapped", "bits_per_byte_snapped"}
    assert main(given) == 0
    assert "vector" in capsys.readouterr().out
    assert main(["lm", "eval", str(small.model("bpe")), "--corpus", str(small.text), "--json", "-"]) == 0
    assert "heads" not in json.loads(capsys.readouterr().out)
    assert main(["lm", "generate", str(model), "--prompt", "The", "--bytes", "20", "--head", "vector"]) == 0
    assert capsys.readouterr().out.startswith("The")

"""Fine-tuning a model with its tokenizer: losses, lossless result, resuming, refusals."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from attrs import evolve
from support.stopping import stop_after
from tokframe_lm import storage
from tokframe_lm.evaluation.bits_per_byte import evaluate
from tokframe_lm.finetuning.finetuning import finetune
from tokframe_lm.finetuning.joint import JointModel, _margin_loss

import tokframe
from tokframe.cli.main import main
from tokframe.errors import (
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ConfigError,
    TrainingError,
    TrainingInterrupted,
    UnsupportedError,
)
from tokframe.loading.inspection import verify
from tokframe.storage import artifact
from tokframe.training.progress import SilentReporter

pytestmark = pytest.mark.trains

#: Few steps at rates high enough for codes to move.
QUICK = {
    "steps": 8,
    "batch": 2,
    "segments": 32,
    "refresh": 3,
    "network_rate": 2e-3,
    "learning_rate": 0.003,
    "settle_steps": 300,
    "settle_rate": 0.003,
}
#: Too slow to change anything: all that is lost was lost before, and all else stays exact on any processor.
#: With steps enough for every id to stay, with any kernels.
SETTLED = {**QUICK, "settle_steps": 2000}
SLOW = {**QUICK, "network_rate": 1e-7, "settle_steps": 10, "settle_rate": 1e-6}


@pytest.fixture(scope="module")
def model(small, learned):
    """The folder of a model on a tokenizer with a network."""
    out = small.folder / "model-to-finetune"
    small.train("learned", out, config={"steps": 30})
    return out


@pytest.fixture
def joint(model):
    loaded = storage.load(model)
    return JointModel(loaded.model, copy.deepcopy(loaded.tokenizer.network()), loaded.tokenizer)


@pytest.fixture(scope="module")
def lost(model):
    """A byte that some segments have and others lack."""
    tokenizer = storage.load(model).tokenizer
    pieces = [set(tokenizer.token_bytes(token)) for token in range(260, tokenizer.vocab_size)]
    shares = {byte: sum(byte in piece for piece in pieces) / len(pieces) for byte in range(97, 123)}
    return min(shares, key=lambda byte: abs(shares[byte] - 0.3))


@pytest.fixture(scope="module")
def damaged(small, model, lost):
    """The folder of the model with a decoder that never writes one byte."""
    loaded = storage.load(model)
    tokenizer, state = loaded.tokenizer, loaded.tokenizer.state()
    weights = copy.deepcopy(state.tensors["weights"])
    weights["decoder.out.bias"][lost] = -100
    broken = type(tokenizer).from_state(evolve(state, tensors={**state.tensors, "weights": weights}))
    broken.name = tokenizer.name
    return storage.save(evolve(loaded, tokenizer=broken), small.folder / "model-damaged")


@pytest.fixture(scope="module")
def rough(small, damaged):
    """The result of fine-tuning the damaged model, and its folder."""
    out = small.folder / "rough"
    return finetune(damaged, corpus=small.corpus, out=out, config=SLOW, device="cpu"), out


def batch(joint, tokenizer):
    ids = torch.tensor([tokenizer.encode("The cat sat on the mat, and the dog saw the cat.")])
    return ids[:, :-1], ids[:, 1:], torch.tensor([270, tokenizer.vocab_size - 1])


def test_the_joint_model_begins_as_the_language_model(model, joint):
    loaded = storage.load(model)
    ids, targets, drawn = batch(joint, loaded.tokenizer)
    with torch.no_grad():
        lm, reconstruction = joint.losses(ids, targets, drawn)
        alone = loaded.model.loss(ids, targets)
    assert float(lm) == pytest.approx(float(alone), rel=1e-6)
    assert 0 < float(reconstruction) < 0.5  # the tokenizer is trained; a uniform choice of 257 symbols costs 5.5


def test_the_language_models_loss_reaches_the_encoder(joint, model):
    torch.nn.init.normal_(joint.project.weight)
    lm, _ = joint.losses(*batch(joint, storage.load(model).tokenizer))
    lm.backward()
    encoder = [p.grad for p in joint.network.encoder.parameters()]
    assert all(gradient is not None for gradient in encoder)
    assert sum(float(gradient.abs().sum()) for gradient in encoder) > 0
    assert all(p.grad is None for p in joint.network.decoder.parameters())


def test_an_ids_vector_is_its_row_and_what_the_encoder_adds(joint):
    torch.nn.init.normal_(joint.project.weight)
    with torch.no_grad():
        table, rows = joint.table(), joint.model.embedding.table()
        token = 280
        piece = joint.data[token : token + 1], joint.lengths[token : token + 1]
        latent = joint.network.quantizer(joint.network.encoder(*piece)).latents[0]
        added = (latent - joint.center) / joint.scale @ joint.project.weight.T
    assert torch.allclose(table[token], rows[token] + added, atol=1e-4)
    assert torch.equal(table[:4], rows[:4])


def test_what_nears_the_border_of_its_code_is_drawn_back(joint):
    live = joint.coded.nonzero()[:, 0]
    quantizer, encoder = joint.network.quantizer, joint.network.encoder

    def hold(shift):
        latents = encoder(joint.data[live], joint.lengths[live])
        with torch.no_grad():
            quantizer.project_in.bias += shift
        found = _margin_loss(quantizer, latents, quantizer(latents).indices)
        with torch.no_grad():
            quantizer.project_in.bias -= shift
        return found

    assert float(hold(0.0).detach()) < float(hold(0.1).detach())
    hold(0.1).backward()
    assert float(encoder.embedding.grad.abs().sum()) > 0


def test_the_result_is_an_exact_tokenizer_and_a_model_that_fits_it(small, model, tmp_path):
    before = storage.load(model)
    done = finetune(model, corpus=small.corpus, out=tmp_path / "m", config=SETTLED, device="cpu")
    report = verify(tmp_path / "m" / "tokenizer", SilentReporter())
    assert report.ok
    assert {"decoder: code to bytes", "encoder: bytes to code"} <= {check.name for check in report.checks}
    loaded = storage.load(tmp_path / "m")
    text = bytes(range(256)) + "any text 🙂 the cat".encode()
    assert loaded.tokenizer.decode_bytes(loaded.tokenizer.encode_bytes(text)) == text
    assert loaded.model.embedding.vocab_size == loaded.tokenizer.vocab_size == done.kept
    ids = {loaded.tokenizer.token_bytes(token): token for token in range(4, done.kept)}
    old = {before.tokenizer.token_bytes(token): token for token in range(4, done.before)}
    codes = [(before.tokenizer.codes()[old[piece]], loaded.tokenizer.codes()[ids[piece]]) for piece in ids]
    assert done.moved == sum(one != other for one, other in codes if one >= 0)
    weights = before.tokenizer.network().state_dict(), loaded.tokenizer.network().state_dict()
    assert not any(torch.equal(weights[0][name], weights[1][name]) for name in ("encoder.out.bias", "decoder.out.bias"))
    assert loaded.training["finetuned"]["ids"]["codes_moved"] == done.moved
    old, new = (evaluate(each, small.corpus, max_bytes=900).bits_per_byte for each in (before, loaded))
    assert not done.dropped and new < old  # it was trained on that text


def test_a_model_with_a_decoder_head_is_tuned_through_it(small, learned, tmp_path):
    head = {"head": "decoder", "embedding": "spelled", "canonical": True, "min_count": 4, "steps": 8}
    small.train("learned", tmp_path / "model", config=head)
    before = storage.load(tmp_path / "model")
    joint = JointModel(before.model, copy.deepcopy(before.tokenizer.network()), before.tokenizer)
    torch.nn.init.normal_(joint.project.weight)
    lm, _ = joint.losses(*batch(joint, before.tokenizer))
    lm.backward()
    assert sum(float(p.grad.abs().sum()) for p in joint.network.encoder.parameters()) > 0
    assert float(joint.model.head.out.weight.grad.abs().sum()) > 0
    slow = {**SLOW, "learning_rate": 1e-9, "steps": 2}
    same = finetune(tmp_path / "model", corpus=small.corpus, out=tmp_path / "same", config=slow, device="cpu").model
    tuned = finetune(tmp_path / "model", corpus=small.corpus, out=tmp_path / "tuned", config=SETTLED, device="cpu")
    bits = [evaluate(one, small.corpus, max_bytes=900).bits_per_byte for one in (before, same, tuned.model)]
    assert bits[1] == pytest.approx(bits[0], rel=1e-3)  # branches, rows and vectors all go with their ids
    assert bits[2] < bits[0]
    assert all(check.ok for check in tuned.checks)
    loaded = storage.load(tmp_path / "tuned")
    assert loaded.model.config.head == "decoder"
    total = loaded.model(torch.tensor([loaded.tokenizer.encode("The cat")])).exp().sum(-1)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-4)


def test_ids_that_are_lost_are_spelled_by_others_and_rows_go_with_their_ids(rough, model, lost):
    done, folder = rough
    before, after = storage.load(model).tokenizer, done.model.tokenizer
    assert set(done.dropped) == {p for p in map(before.token_bytes, range(260, before.vocab_size)) if lost in p}
    assert 0 < len(done.dropped) < before.vocab_size - 260
    assert done.kept + len(done.dropped) == done.before == before.vocab_size
    assert verify(folder / "tokenizer", SilentReporter()).ok
    left = [after.token_bytes(token) for token in range(260, after.vocab_size)]
    assert left == [p for p in map(before.token_bytes, range(260, before.vocab_size)) if p not in done.dropped]
    for piece in done.dropped:
        ids = after.encode_bytes(piece)
        assert len(ids) > 1
        assert after.decode_bytes(ids) == piece


def test_the_model_scores_the_ids_it_keeps_as_the_joint_model_did(model, learned, tmp_path):
    from tokframe_lm.finetuning.finetuning import _fold

    loaded = storage.load(model)
    joint = JointModel(loaded.model, copy.deepcopy(loaded.tokenizer.network()), loaded.tokenizer).eval()
    torch.nn.init.normal_(joint.project.weight)
    kept = np.array([token for token in range(loaded.tokenizer.vocab_size) if token not in (265, 280)])
    # the tokenizer without these two
    codebook = loaded.tokenizer.vocabulary
    pieces = [codebook.token_bytes(token) for token in kept[260:].tolist()]
    fewer = type(loaded.tokenizer)(
        type(codebook).build(
            pieces, codes={codebook.token_bytes(t): int(codebook.codes[t]) for t in kept[4:].tolist()}
        ),
        config=loaded.tokenizer.config,
        components=loaded.tokenizer.state().components,
        groups=loaded.tokenizer.state().tensors,
    )
    folded = _fold(joint, fewer, kept, "here")
    spelled = [token for token in loaded.tokenizer.encode("The cat sat on the mat.") if token in kept]
    new = [int(np.flatnonzero(kept == token)[0]) for token in spelled]
    with torch.no_grad():
        table = joint.table()
        wanted = joint.model.embedding.logits(joint.model.hidden_states(torch.tensor([spelled]), table), table)
        found = folded(torch.tensor([new]))
    assert torch.allclose(found, wanted[..., torch.from_numpy(kept)], atol=1e-4)


def test_a_network_that_forgot_everything_is_an_error_that_says_what_to_do(learned, tmp_path):
    tokenizer = tokframe.load(learned)
    network = copy.deepcopy(tokenizer.network())
    for parameter in network.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    with pytest.raises(TrainingError, match="smaller learning rate"):
        tokenizer.recompile(network, workdir=tmp_path, steps=1, learning_rate=1e-6)


@pytest.mark.parametrize("polls", [4, 12], ids=["while training", "while settling"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(small, damaged, rough, tmp_path, same, polls):
    done, folder = rough
    out = tmp_path / "stopped"
    with pytest.raises(TrainingInterrupted):
        finetune(damaged, corpus=small.corpus, out=out, config=SLOW, device="cpu", should_stop=stop_after(polls))
    assert not out.exists()
    resumed = finetune(damaged, corpus=small.corpus, out=out, config=SLOW, device="cpu", resume=True)
    assert same(resumed.model.model, done.model.model)
    assert artifact.tokenizer_sha256(out / "tokenizer") == artifact.tokenizer_sha256(folder / "tokenizer")
    assert resumed.model.training["finetuned"]["loss"] == done.model.training["finetuned"]["loss"]
    assert not (tmp_path / "stopped.training").exists()


def test_a_checkpoint_of_another_run_is_refused(small, model, tmp_path):
    given = {"corpus": small.corpus, "out": tmp_path / "m", "device": "cpu"}
    with pytest.raises(TrainingInterrupted):
        finetune(model, **given, config=QUICK, should_stop=stop_after(3))
    with pytest.raises(TrainingError, match="another run"):
        finetune(model, **given, config={**QUICK, "reconstruction": 2.0}, resume=True)


def test_a_model_whose_tokenizer_has_no_network_is_refused(small, tmp_path):
    with pytest.raises(UnsupportedError, match="'bpe' has no network"):
        finetune(small.model("bpe"), corpus=small.corpus, out=tmp_path / "m", config=QUICK)


@pytest.mark.parametrize("bad", [{"reconstruction": -1.0}, {"steps": 0}, {"network_rate": 0.0}, {"warmup": 2.0}])
def test_settings_that_make_no_sense_are_named(small, model, tmp_path, bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        finetune(model, corpus=small.corpus, out=tmp_path / "m", config={**QUICK, **bad})


def test_a_wrong_place_is_refused_before_anything_is_read(small, model, tmp_path):
    with pytest.raises(ArtifactExistsError, match="already exists"):
        finetune(model, corpus=small.corpus, out=model, config=QUICK)
    (tmp_path / "notes" / "mine").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="was not made by tokframe"):
        finetune(model, corpus=small.corpus, out=tmp_path / "notes", config=QUICK, overwrite=True)
    with pytest.raises(ArtifactNotFoundError, match="tokframe lm train"):
        finetune(tmp_path / "nothing", corpus=small.corpus, out=tmp_path / "m", config=QUICK)


def test_several_processes_are_refused(small, model, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        finetune(model, corpus=small.corpus, out=tmp_path / "m", config=QUICK)


def test_the_command_line_reports_ids_and_checks(small, model, tmp_path, capsys):
    (tmp_path / "c.json").write_text(json.dumps(SLOW), encoding="utf-8")
    out = tmp_path / "m"
    given = ["lm", "finetune", str(model), "--corpus", str(small.text), "--out", str(out), "--steps", "2"]
    given += ["--config", str(tmp_path / "c.json"), "--device", "cpu"]
    assert main([*given, "--lambda", "0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lambda"], found["steps"]) == (0.5, 2)
    assert (
        found["ids"]["kept"] + found["ids"]["dropped"]
        == found["ids"]["before"]
        == storage.load(model).tokenizer.vocab_size
    )
    assert all(check["ok"] for check in found["checks"])
    assert main(["verify", str(out / "tokenizer")]) == 0
    assert main([*given, "--overwrite"]) == 0
    text = capsys.readouterr().out
    assert "ids kept" in text and "decoder: code to bytes" in text
    assert main([*given, "--lambda", "-1"]) != 0
    assert "lambda" in capsys.readouterr().err

"""Saved models in transformers: loading, the same distribution, generate, saving, Trainer, refusals."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from tokframe_lm import TokframeLMForCausalLM, register_auto_classes, storage
from transformers import AutoModelForCausalLM

from tokframe.errors import ArtifactCorruptError, ArtifactNotFoundError, UnsupportedError

pytestmark = pytest.mark.trains

DECODER = {"head": "decoder", "embedding": "spelled", "canonical": True, "min_count": 4}


@pytest.fixture(scope="module", params=["softmax", "decoder"])
def folder(request, small, tmp_path_factory):
    """The folder of a model with each head."""
    out = tmp_path_factory.mktemp("auto") / request.param
    small.train("bpe", out, config=DECODER if request.param == "decoder" else {"embedding": "spelled"})
    return out


@pytest.fixture(scope="module")
def model(folder):
    register_auto_classes()
    return AutoModelForCausalLM.from_pretrained(folder)


def ids_of(model, text="The cat sat"):
    return torch.tensor([[model.config.bos_token_id, *model.saved.tokenizer.encode(text, False)]])


@torch.no_grad()
def test_the_distribution_is_that_of_the_saved_model(folder, model):
    ids = ids_of(model)
    expected = storage.load(folder).model(ids).log_softmax(-1)
    assert isinstance(model, TokframeLMForCausalLM)
    assert torch.allclose(model(ids).logits.log_softmax(-1), expected, atol=1e-5)
    assert torch.allclose(model(ids, logits_to_keep=1).logits[0, 0].log_softmax(-1), expected[0, -1], atol=1e-5)


@torch.no_grad()
def test_the_loss_is_that_of_the_labels_that_count(folder, model):
    ids = ids_of(model)
    nats = storage.load(folder).model.token_nll(ids[:, :-1], ids[:, 1:])
    assert float(model(ids, labels=ids).loss) == pytest.approx(float(nats.mean()), abs=1e-5)
    labels = ids.clone()
    labels[:, :3] = -100
    assert float(model(ids, labels=labels).loss) == pytest.approx(float(nats[:, 2:].mean()), abs=1e-5)
    assert float(model(ids, labels=torch.full_like(ids, -100)).loss) == 0


@torch.no_grad()
def test_greedy_generation_takes_the_likeliest_id_each_time(model):
    ids = ids_of(model)
    written = model.generate(ids, max_new_tokens=5, do_sample=False)
    for size in range(ids.shape[1], written.shape[1]):
        expected = int(model(written[:, :size]).logits[0, -1].argmax())
        assert int(written[0, size]) == expected
        if expected == model.config.eos_token_id:
            break


@pytest.mark.parametrize("choice", [{"top_k": 7}, {"top_k": 7, "temperature": 0.6, "top_p": 0.8}, {"top_k": 0}, {}])
def test_what_is_drawn_does_not_depend_on_how_many_ids_are_scored(model, choice):
    ids, drawn = ids_of(model), []
    # a penalty of 1 changes nothing, but makes all ids be scored
    for more in ({}, {"repetition_penalty": 1.0}):
        transformers.set_seed(5)
        drawn.append(model.generate(ids, max_new_tokens=8, do_sample=True, **choice, **more))
    assert torch.equal(*drawn)


def test_rows_with_padding_on_the_left_are_continued_as_alone(model):
    first, second = ids_of(model, "The cat"), ids_of(model, "It was a dark night")
    gap = second.shape[1] - first.shape[1]
    assert gap > 0
    ids = torch.cat([torch.nn.functional.pad(first, (gap, 0), value=model.config.pad_token_id), second])
    mask = torch.ones_like(ids)
    mask[0, :gap] = 0
    both = model.generate(ids, attention_mask=mask, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    alone = model.generate(first, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert torch.equal(both[0, gap:], alone[0])


def test_saving_and_loading_change_nothing(model, tmp_path):
    ids = ids_of(model)
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "notes.txt").write_text("kept")
    model.save_pretrained(tmp_path / "saved")  # over itself, as transformers does
    assert (tmp_path / "saved" / "notes.txt").read_text() == "kept"
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert again.generation_config.eos_token_id == model.config.eos_token_id
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert storage.load(tmp_path / "saved").sha256 == model.saved.sha256


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["decoder"], indirect=True)
def test_a_fresh_process_writes_the_same_text(folder, model, tmp_path):
    code = f"""
import torch, transformers, tokframe_lm

def written(kind, **options):
    model = kind.from_pretrained({str(folder)!r}, **options)
    transformers.set_seed(3)
    print(model.generate(torch.tensor({ids_of(model).tolist()}), max_new_tokens=8, do_sample=True).tolist())

written(tokframe_lm.TokframeLMForCausalLM)
written(transformers.AutoModelForCausalLM, trust_remote_code=True)
tokframe_lm.register_auto_classes()
written(transformers.AutoModelForCausalLM)
"""
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    transformers.set_seed(3)
    expected = model.generate(ids_of(model), max_new_tokens=8, do_sample=True).tolist()
    assert [json.loads(line) for line in done.stdout.splitlines()] == [expected] * 3


@pytest.mark.slow
def test_trainer_lowers_the_loss_and_goes_on_from_a_checkpoint(folder, tmp_path):
    from transformers import Trainer, TrainingArguments

    text = np.tile(ids_of(TokframeLMForCausalLM.from_pretrained(folder), "The dog saw the cat.")[0].numpy(), 3)[:16]
    data = [{"input_ids": torch.from_numpy(text), "labels": torch.from_numpy(text)}] * 64

    def trainer(steps):
        arguments = TrainingArguments(
            output_dir=str(tmp_path / "run"), max_steps=steps, save_steps=4, per_device_train_batch_size=4,
            learning_rate=0.01, lr_scheduler_type="constant", report_to=[], use_cpu=True, disable_tqdm=True,
            gradient_accumulation_steps=2,
        )  # fmt: skip
        return Trainer(model=TokframeLMForCausalLM.from_pretrained(folder), args=arguments, train_dataset=data)

    @torch.no_grad()
    def loss(model):
        return float(model.eval()(data[0]["input_ids"][None], labels=data[0]["labels"][None]).loss)

    whole = trainer(8)
    before = loss(whole.model)
    whole.train()
    assert loss(whole.model) < before / 2
    resumed = trainer(8)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    for name, weight in whole.model.state_dict().items():
        assert torch.allclose(weight, resumed.model.state_dict()[name], atol=1e-5), name
    whole.save_model(str(tmp_path / "run"))
    storage.load(tmp_path / "run")


def test_bad_input_is_refused_with_advice(folder, model, tmp_path):
    with pytest.raises(UnsupportedError, match="from_pretrained"):
        AutoModelForCausalLM.from_config(model.config)
    with pytest.raises(UnsupportedError, match="float32"):
        TokframeLMForCausalLM.from_pretrained(folder, dtype=torch.float16)
    with pytest.raises(UnsupportedError, match="one device"):
        TokframeLMForCausalLM.from_pretrained(folder, device_map={"model": 0, "head": 1})
    with pytest.raises(UnsupportedError, match="lm migrate"):
        model.resize_token_embeddings(9)
    with pytest.raises(ArtifactNotFoundError):
        TokframeLMForCausalLM.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path / "altered")
    weights = tmp_path / "altered" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ArtifactCorruptError):
        AutoModelForCausalLM.from_pretrained(tmp_path / "altered")

"""Models of transformers moved to another tokenizer: what is written loads without tokframe; untrusted folders."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.pretrained import MASKED, SPECIAL, model_of, word_level
from tokframe_lm import migrate_pretrained
from tokframe_lm.data.tokens import documents
from tokframe_lm.evaluation.bits_per_byte import evaluate
from tokframe_lm.migration.conversion import calibrate_output, move
from tokframe_lm.migration.pretrained import read_pretrained
from tokframe_lm.storage import SavedModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

import tokframe
from tokframe.cli.main import main
from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    CorpusError,
    UnsupportedError,
)

pytestmark = [pytest.mark.slow, pytest.mark.trains]


@pytest.fixture
def made(tmp_path):
    def make(kind="gpt2", spare=0):
        special = MASKED if kind == "bert" else SPECIAL
        tokenizer, folder = word_level(special), tmp_path / kind
        model = model_of(kind, tokenizer.get_vocab_size() + spare)
        if kind != "bert":
            model.generation_config.suppress_tokens = [5]
        model.save_pretrained(folder)
        names = {f"{text[1:-1].lower()}_token": text for text in special}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
        return folder

    return make


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama-tied"])
def test_a_causal_model_and_its_tokenizer_are_written_together_and_load_without_tokframe(made, small, tmp_path, kind):
    before, new = made(kind), tokframe.load(small.tokenizers["bpe"])
    done = migrate_pretrained(before, new=small.tokenizers["bpe"], out=tmp_path / "out")
    assert (done.task, done.tied, done.same) == ("causal", kind != "llama", True)
    assert done.copied + done.composed + done.guessed == new.vocab_size == done.rows_after
    source = """
    import sys
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model, tokenizer = (kind.from_pretrained(sys.argv[1]) for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert not [name for name in sys.modules if name.startswith("tokframe")]
    found = model.generate(**tokenizer("the cat", return_tensors="pt"), max_new_tokens=3, do_sample=False)
    assert found.shape[1] > 2 and tokenizer.model_max_length == 32
    """
    subprocess.run([sys.executable, "-c", "\n".join(map(str.strip, source.splitlines())), tmp_path / "out"], check=True)
    model, tokenizer = (each.from_pretrained(tmp_path / "out") for each in (AutoModelForCausalLM, AutoTokenizer))
    assert tokenizer("the cat sat")["input_ids"] == new.encode("the cat sat")
    for config in (model.config, model.generation_config):
        assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 2, 3)
    assert model.generation_config.suppress_tokens is None and model.config.vocab_size == new.vocab_size
    old = AutoModelForCausalLM.from_pretrained(before)
    rows, theirs = model.get_input_embeddings().weight, old.get_input_embeddings().weight
    space = read_pretrained(before).tokenizer.encode(" ")[0]
    torch.testing.assert_close(rows[new.encode(" ")[0]], theirs[space])
    torch.testing.assert_close(rows[2], theirs[2])
    body = {name: tensor for name, tensor in old.state_dict().items() if len(tensor) != len(theirs)}
    assert body and all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in body.items())


def test_a_masked_model_keeps_its_own_special_tokens_behind_the_new_ids(made, small, tmp_path):
    before, new = made("bert"), tokframe.load(small.tokenizers["bpe"])
    done = migrate_pretrained(before, new=small.tokenizers["bpe"], out=tmp_path / "out", corpus=small.corpus)
    assert done.task == "masked" and done.rows_after == new.vocab_size + 3
    model, tokenizer = (each.from_pretrained(tmp_path / "out") for each in (AutoModelForMaskedLM, AutoTokenizer))
    ids = tokenizer("the [MASK] of")["input_ids"]
    assert tokenizer.mask_token_id in ids and ids[0] == tokenizer.cls_token_id and ids[-1] == tokenizer.sep_token_id
    assert model(input_ids=torch.tensor([ids])).logits.shape == (1, len(ids), done.rows_after)
    rows = model.get_input_embeddings().weight
    old = AutoModelForMaskedLM.from_pretrained(before)
    torch.testing.assert_close(rows[tokenizer.mask_token_id], old.get_input_embeddings().weight[4])
    assert model.get_output_embeddings().weight is rows and len(model.get_output_embeddings().bias) == len(rows)


def test_spare_rows_of_a_matrix_are_left_behind(made, small):
    model, new = read_pretrained(made(spare=7)), tokframe.load(small.tokenizers["bpe"])
    assert move(model, new)[0]["rows_after"] == new.vocab_size


def test_calibrated_a_model_expects_each_id_as_often_as_the_text_has_it(made, small):
    text = small.text.read_text(encoding="utf-8")
    new = tokframe.load(small.tokenizers["bpe"])
    losses = []
    for untie in (False, True):
        model = read_pretrained(made("gpt2"))
        _, extra = move(model, new, untie=untie)
        assert not extra and model.model.config.tie_word_embeddings is not untie
        saved = SavedModel(model=model, tokenizer=new, sha256="")
        losses.append(evaluate(saved, small.corpus, max_bytes=5_000).bits_per_byte)
        scale = calibrate_output(model, new.encode_array(text, False))
        assert 0 < scale <= 1
        losses.append(evaluate(saved, small.corpus, max_bytes=5_000).bits_per_byte)
    assert losses[1] < losses[0] - 0.1 and losses[3] < losses[2] - 0.2
    assert next(documents(small.corpus, 100))


def test_the_command_moves_a_model_and_says_what_became_of_its_rows(made, small, tmp_path, capsys):
    before, out = str(made("llama")), str(tmp_path / "out")
    words = ["lm", "migrate", "--from-huggingface", before, "--tokenizer", small.tokenizers["bpe"], "--out", out]
    assert main([*words, "--corpus", str(small.text), "--untie", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tied"] is False and found["scale"] <= 1 and found["model_type"] == "llama"
    assert found["parameters_after"] > found["parameters_before"]
    assert main(words) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    shown = capsys.readouterr()
    assert "ids copied" in shown.out and "AutoModelForCausalLM" in shown.out and "no --corpus" in shown.err
    assert main([*words[:2], before, *words[2:]]) == 2
    assert main(["lm", "migrate", "--to", "bpe", "--out", out]) == 2


# -- untrusted folders --------------------------------------------------------------------------------------


def refuse(folder, tmp_path, kind, what, **options):
    with pytest.raises(kind, match=what):
        migrate_pretrained(folder, new="word", out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def change(folder, name, **entries):
    data = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**data, **entries}), encoding="utf-8")


def test_code_and_pickles_of_a_folder_are_not_run(made, tmp_path):
    folder = made()
    change(folder, "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    refuse(folder, tmp_path, UnsupportedError, "auto_map")
    folder = made("llama")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refuse(folder, tmp_path, UnsupportedError, "only safetensors are read.*save_pretrained")
    (folder / "pytorch_model.bin").unlink()
    refuse(folder, tmp_path, ArtifactNotFoundError, "has no model.safetensors")
    refuse(tmp_path / "nowhere", tmp_path, ArtifactNotFoundError, "no such folder")


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ({"n_layer": 5}, "asks for|lacks"),
        ({"vocab_size": 10**6}, "asks for .* weights"),
        ({"n_embd": 20}, "cannot be loaded|asks for"),
        ({"model_type": "nonsense"}, "is no config of transformers"),
        ({"architectures": ["GPT2ForSequenceClassification"]}, "neither a causal nor a masked"),
    ],
)
def test_a_config_of_other_sizes_than_the_weights_is_refused(made, tmp_path, entries, what):
    folder = made()
    change(folder, "config.json", **entries)
    refuse(folder, tmp_path, (ArtifactCorruptError, UnsupportedError), what)


def test_weights_that_are_no_numbers_or_missing_are_named(made, tmp_path):
    folder = made("llama")
    file = folder / "model.safetensors"
    good = load_file(file)
    broken = {name: tensor.clone() for name, tensor in good.items()}
    broken["model.embed_tokens.weight"][7] = np.nan
    save_file(broken, file, {"format": "pt"})
    refuse(folder, tmp_path, ArtifactCorruptError, "embed_tokens.weight' in 1 rows, the first 7")
    save_file({name: tensor for name, tensor in good.items() if name != "lm_head.weight"}, file, {"format": "pt"})
    refuse(folder, tmp_path, ArtifactCorruptError, "lacks 'lm_head.weight', perhaps because it was tied.*tie_weights")
    file.write_bytes(b"\x00" * 100)
    refuse(folder, tmp_path, ArtifactCorruptError, "no safetensors file")


def test_a_tokenizer_of_another_model_is_refused_and_an_absent_one_is_asked_for(made, tmp_path):
    folder = made()
    refuse(folder, tmp_path, ArtifactCorruptError, "embeds 24 ids, and its tokenizer has 32,768.*--from", old="bpe")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[UNK]\nthe\n", encoding="utf-8")
    refuse(folder, tmp_path, ArtifactNotFoundError, "tokframe import .*vocab.txt")


def test_a_place_of_rows_that_is_not_known_is_named(made, tmp_path, monkeypatch):
    folder = made()
    monkeypatch.setattr(GPT2LMHeadModel, "get_output_embeddings", lambda self: None)
    refuse(folder, tmp_path, UnsupportedError, "no output embeddings.*tied by another name.*convert_embeddings")


def test_nothing_is_replaced_that_is_no_migrated_model(made, tmp_path):
    folder = made()
    with pytest.raises(ArtifactExistsError, match=r"already exists|not made by tokframe"):
        migrate_pretrained(folder, new="bpe", out=folder)
    with pytest.raises(ArtifactError, match="not made by tokframe"):
        migrate_pretrained(folder, new="bpe", out=folder, overwrite=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("", encoding="utf-8")
    with pytest.raises(CorpusError, match="no text"):
        migrate_pretrained(folder, new="word", out=tmp_path / "out", corpus=tokframe.Corpus.open([tmp_path / "empty"]))


def test_a_body_without_a_head_is_no_language_model(tmp_path):
    BertModel(
        BertConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(tmp_path / "bert")
    refuse(tmp_path / "bert", tmp_path, UnsupportedError, "BertModel, neither a causal nor a masked")


def test_the_example_with_the_trainer_goes_on_where_it_was_stopped(made, small, tmp_path, monkeypatch):
    path = Path(__file__).parents[3] / "examples" / "continue_training.py"
    example = SimpleNamespace(**runpy.run_path(str(path)))
    scope = example.main.__globals__
    trainer = scope["Trainer"]

    class Stopped(trainer):
        """One that is interrupted in the third step of its second part."""

        def training_step(self, *args, **options):
            if self.args.max_steps == 8 and self.state.global_step == 5:
                raise KeyboardInterrupt
            return super().training_step(*args, **options)

    def run(name, kind=trainer):
        monkeypatch.setitem(scope, "Trainer", kind)
        given = [str(made()), "--corpus", str(small.text), "--out", str(tmp_path / name), "--max-bytes", "2000"]
        monkeypatch.setattr(sys, "argv", ["continue_training.py", *given, "--embedding-steps", "2", "--steps", "8"])
        example.main()

    with pytest.raises(KeyboardInterrupt):
        run("resumed", Stopped)
    assert not (tmp_path / "resumed" / "model.safetensors").exists()
    run("resumed")
    run("whole")
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.allclose(weight, resumed[name], atol=1e-5) for name, weight in whole.items())
    before = load_file(made() / "model.safetensors")
    assert not any(torch.equal(before[name], whole[name]) for name in whole)

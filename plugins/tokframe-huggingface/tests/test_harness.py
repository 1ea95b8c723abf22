"""lm-evaluation-harness, where it is installed, with the model "tokframe": choices by text, rolling as it has it."""

from __future__ import annotations

import json
import math
import warnings

import pytest

import tokframe
from tokframe.errors import ConfigError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from tokframe_huggingface.harness import TokframeLM
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tokframe_huggingface import score_pairs  # noqa: E402
from tokframe_huggingface.export import export  # noqa: E402

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: {kind}
test_split: test
doc_to_text: "{text}"
doc_to_target: "{target}"
{more}
"""
CHOICES = (" A", " B", " C", " D")
QUESTIONS = [
    {"question": text, "gold": number % 4} for number, text in enumerate(("Who?", "Where?", "one of", "It", "A"))
]
PAGES = [{"page": "It was the best of times. " * 20}, {"page": "Short"}]
BORDERS = [("at the same", " time"), ("one of", " the"), ("I do not", " know"), ("the United", " States")]


def causal(vocab_size):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=64,
        initializer_range=0.2,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module", params=["autoencoder-fsq", "bpe"])
def both(request, tmp_path_factory):
    """A tokenizer, a folder with a model of it, and the model."""
    tokenizer = tokframe.load(request.param)
    folder = tmp_path_factory.mktemp("model")
    model = causal(tokenizer.vocab_size)
    model.save_pretrained(folder)
    export(tokenizer, folder)
    return tokenizer, folder, model


@pytest.fixture
def tasks(tmp_path):
    (tmp_path / "choices.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    (tmp_path / "pages.jsonl").write_text("\n".join(map(json.dumps, PAGES)))
    choices = f'doc_to_choice: {json.dumps([choice.strip() for choice in CHOICES])}\nmetric_list: [{{"metric": "acc"}}]'
    rolling = 'metric_list: [{"metric": "bits_per_byte"}]'
    for name, kind, file, text, target, more in (
        ("local_choices", "multiple_choice", "choices", "{{question}}\\nAnswer:", "{{gold}}", choices),
        ("local_pages", "loglikelihood_rolling", "pages", "", "{{page}}", rolling),
    ):
        given = {"name": name, "kind": kind, "file": tmp_path / f"{file}.jsonl", "text": text, "target": target}
        (tmp_path / f"{name}.yaml").write_text(TASK.format(**given, more=more))
    return TaskManager(include_path=str(tmp_path), include_defaults=False)


class Request:
    def __init__(self, *args):
        self.args = args


def test_choices_are_scored_by_text_and_the_best_is_taken(both, tasks, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    tokenizer, folder, model = both
    done = lm_eval.simple_evaluate(
        model="tokframe",
        model_args={"pretrained": str(folder), "tokenizer": tokenizer.name},
        tasks=["local_choices", "local_pages"],
        task_manager=tasks,
        device="cpu",
        bootstrap_iters=0,
    )
    right = 0
    for sample in done["samples"]["local_choices"]:
        context = sample["doc"]["question"] + "\nAnswer:"
        wanted = [score.value for score in score_pairs(model, tokenizer, [(context, choice) for choice in CHOICES])]
        found = [answer[0] for answer in sample["filtered_resps"]]
        assert [float(value) for value in found] == pytest.approx(wanted, abs=1e-4)
        assert all(value < 0 for value in wanted)
        right += wanted.index(max(wanted)) == sample["doc"]["gold"]
    assert done["results"]["local_choices"]["acc,none"] == right / len(QUESTIONS)
    size = sum(len(page["page"].encode()) for page in PAGES)
    rolled = TokframeLM(model, tokenizer).loglikelihood_rolling([Request(page["page"]) for page in PAGES])
    assert done["results"]["local_pages"]["bits_per_byte,none"] == pytest.approx(-sum(rolled) / size / math.log(2))


def test_rolling_is_what_the_harness_makes_of_the_export(both):
    tokenizer, folder, model = both
    theirs = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    requests = [Request(page["page"]) for page in PAGES]
    ours = TokframeLM(model, tokenizer).loglikelihood_rolling(requests)
    assert ours == pytest.approx(theirs.loglikelihood_rolling(requests, disable_tqdm=True), rel=1e-5)


def test_scores_of_the_same_text_agree_wherever_it_is_cut(both):
    tokenizer, _, model = both
    adapter = TokframeLM(model, tokenizer)
    for before, after in BORDERS:
        first, second, whole = (
            value
            for value, _ in adapter.loglikelihood(
                [Request(before, after), Request("", before), Request("", before + after)]
            )
        )
        assert first + second == pytest.approx(whole, abs=1e-4)
        (rolled,) = adapter.loglikelihood_rolling([Request(before + after)])
        assert first < 0 and rolled <= whole + 1e-4  # other ids count too, which begin so and go on


def test_what_is_generated_ends_where_the_task_says(both):
    tokenizer, _, model = both
    adapter = TokframeLM(model, tokenizer)
    options = {"until": ["e"], "max_gen_toks": 6}
    for text in adapter.generate_until(
        [Request("one of", options), Request("It was the best of times. " * 40, options)]
    ):
        assert isinstance(text, str) and "e" not in text


def test_what_cannot_be_scored_is_told(both, tmp_path):
    tokenizer, folder, model = both
    with pytest.raises(ConfigError, match="neither the folder"):
        TokframeLM(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="name the one"):
        TokframeLM(model)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="tokenizer=autoencoder-fsq"):
        TokframeLM(str(tmp_path))
    assert TokframeLM(str(folder), tokenizer.name).tokenizer_name == tokenizer.name

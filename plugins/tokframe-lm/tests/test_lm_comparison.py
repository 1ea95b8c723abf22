"""Comparison of models over tokenizers: equal budgets, seeds, reuse of runs, the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.stopping import stop_after
from support.stored import edit_json
from tokframe_lm.comparison import comparison
from tokframe_lm.comparison.comparison import compare
from tokframe_lm.comparison.config import Settings
from tokframe_lm.model.config import LMConfig, config_for

from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError, TokframeError, TrainingInterrupted
from tokframe.storage.config import structure
from tokframe.storage.strictjson import read_json

pytestmark = pytest.mark.trains

CONFIG = {"d_model": 16, "layers": 1, "heads": 2, "context": 32, "batch_bytes": 200, "bias": "frequencies"}
SMALL = {"seeds": 2, "max_bytes": 1500, "eval_bytes": 300, "prompts": 2, "written": 40, "scorer_bytes": 3000}
#: One seed of each, and nothing written.
ONE_SEED = Settings(**{**SMALL, "seeds": 1, "equal": "bytes", "prompts": 0})


@pytest.fixture(scope="module")
def args(small, tmp_path_factory):
    """Return the keyword arguments of a small comparison of `word` and `bpe`."""
    held = tmp_path_factory.mktemp("held") / "held.txt"
    line = (
        "It was a dark night and the old cat went over the hill where a zebra saw the house as it had stood before.\n"
    )
    held.write_text(line * 4, encoding="utf-8")
    return {
        "tokenizers": [small.tokenizers["word"], small.tokenizers["bpe"]],
        "corpus": small.corpus,
        "evals": {"held": Corpus.open([held])},
        "config": CONFIG,
        "settings": Settings(**SMALL),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def done(args, tmp_path_factory):
    """Return a finished comparison: its folder and its report."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    return out, compare(**args, out=out)


def test_all_read_the_same_bytes_in_the_same_number_of_steps_by_bodies_of_one_size(done):
    rows = [entry["equal_bytes"] for entry in done[1]["models"].values()]
    assert len(rows) == 2
    assert len({row["steps"] for row in rows}) == 1 == len({row["parameters"]["body"] for row in rows})
    assert max(row["bytes"] for row in rows) == pytest.approx(1500, abs=5)
    assert len({row["tokens"] for row in rows}) == 2


def test_equal_flops_are_those_of_the_dearest(done):
    rows = [entry["equal_flops"] for entry in done[1]["models"].values()]
    low, high = sorted(row["flops"] for row in rows)
    assert low == pytest.approx(high, rel=0.2)  # windows are whole, and here there are few
    before = [entry["equal_bytes"]["flops"] for entry in done[1]["models"].values()]
    assert max(before) == pytest.approx(high, rel=0.2) and min(before) < 0.8 * max(before)


def test_mean_and_spread_are_over_seeds_and_unknown_is_a_part(done):
    found = done[1]["models"]["tokenizer-word"]["equal_bytes"]["evals"]["held"]
    assert len(set(found["seeds"])) == 2
    assert found["bits_per_byte"] == pytest.approx(sum(found["seeds"]) / 2)
    assert found["spread"] > 0
    assert 0 < found["bits_per_byte_unknown"] < found["bits_per_byte"]


def test_what_ids_cost_by_how_often_they_were_seen_adds_up_to_the_whole(done):
    found = done[1]["models"]["tokenizer-bpe"]["equal_bytes"]["evals"]["held"]
    rows = found["by_count"]
    assert sum(row["tokens"] for row in rows) == found["tokens"]
    assert sum(row["bytes"] for row in rows) == found["bytes"]
    assert sum(row["bits"] for row in rows) / found["bytes"] == pytest.approx(found["bits_per_byte"])


def test_writing_is_measured_at_equal_bytes_beside_held_out_text(done):
    out, report = done
    texts = json.loads((out / "written.json").read_text(encoding="utf-8"))
    assert {len(t.encode()) for name in ("tokenizer-word-0", "tokenizer-bpe-1") for t in texts[name]} <= {39, 40}
    names = {"valid_words", "repetition", "distinct_1", "distinct_2", "scorer_bits_per_byte"}
    assert set(report["reference"]) == names
    for entry in report["models"].values():
        assert names < set(entry["generation"])
        assert entry["generation"]["bytes_per_s"] > 0 < entry["training_speed"]["tokens_per_s"]
    assert report["scorer"]["bits_per_byte"]["held"] > 0


def test_a_finished_run_is_not_made_again_and_a_seed_more_only_adds_its_own(done, args, monkeypatch):
    out, report = done
    trained = []
    train = comparison.train
    monkeypatch.setattr(
        comparison, "train", lambda name, **more: trained.append(more["out"].name) or train(name, **more)
    )
    settings = Settings(**{**SMALL, "seeds": 3, "equal": "bytes", "prompts": 0})
    again = compare(**{**args, "settings": settings}, out=out)
    assert trained == ["tokenizer-word-2", "tokenizer-bpe-2"]
    kept = report["models"]["tokenizer-bpe"]["equal_bytes"]["evals"]["held"]["seeds"]
    assert again["models"]["tokenizer-bpe"]["equal_bytes"]["evals"]["held"]["seeds"][:2] == kept


@pytest.mark.parametrize(
    "change", [{"config": {**CONFIG, "learning_rate": 0.5}}, {"settings": Settings(max_bytes=2000)}]
)
def test_a_folder_of_another_comparison_is_refused(done, args, change):
    with pytest.raises(ConfigError, match="Choose another --out"):
        compare(**{**args, **change}, out=done[0])


def test_a_stopped_comparison_goes_on_with_its_checkpoint(args, tmp_path, done):
    with pytest.raises(TrainingInterrupted):
        compare(**args, out=tmp_path / "out", should_stop=stop_after(2))
    assert (tmp_path / "out" / "runs" / "tokenizer-word-0.training" / "training.checkpoint").is_file()
    found = compare(**{**args, "settings": ONE_SEED}, out=tmp_path / "out")
    kept = done[1]["models"]["tokenizer-word"]["equal_bytes"]["evals"]["held"]["seeds"][0]
    assert found["models"]["tokenizer-word"]["equal_bytes"]["evals"]["held"]["seeds"] == [kept]


@pytest.mark.parametrize(
    ("embeddings", "coded", "other"),
    [
        (["lookup", "factored+lookup"], {"+lookup": "lookup", "+factored-lookup": "factored-lookup"}, "+lookup"),
        (["factored-spelled"], {"": "factored-spelled"}, ""),
        (["spelled", "factored-spelled"], {"+spelled": "spelled", "+factored-spelled": "factored-spelled"}, "+spelled"),
    ],
)
def test_a_tokenizer_without_codes_gets_what_is_left_of_an_embedding(args, tmp_path, embeddings, coded, other):
    given = {**args, "tokenizers": ["autoencoder-fsq", args["tokenizers"][1]], "settings": ONE_SEED}
    models = compare(**given, embeddings=embeddings, out=tmp_path / "out")["models"]
    found = {label: entry["embedding"] for label, entry in models.items()}
    assert found.pop(f"tokenizer-bpe{other}") == embeddings[0].removeprefix("factored-")
    assert found == {f"autoencoder-fsq{suffix}": name for suffix, name in coded.items()}


def test_runs_of_before_own_rows_could_be_left_alone_are_of_another_config(args, tmp_path):
    compare(**{**args, "settings": ONE_SEED}, out=tmp_path / "out")
    edit_json(tmp_path / "out" / "plan.json", lambda plan: plan["config"].pop("min_count"))
    with pytest.raises(ConfigError, match="another min_count"):
        compare(**{**args, "settings": ONE_SEED}, out=tmp_path / "out")
    all_rows = {**CONFIG, "min_count": 0}
    assert compare(**{**args, "settings": ONE_SEED, "config": all_rows}, out=tmp_path / "out")["models"]
    plan = (tmp_path / "out" / "plan.json").read_bytes()
    for hostile in ({"config": 5}, {"config": {"d_model": []}}, {"text": {}}):
        edit_json(tmp_path / "out" / "plan.json", lambda data, hostile=hostile: data | hostile)
        with pytest.raises(ConfigError, match="another"):
            compare(**{**args, "settings": ONE_SEED, "config": all_rows}, out=tmp_path / "out")
        (tmp_path / "out" / "plan.json").write_bytes(plan)
    (tmp_path / "out" / "plan.json").write_text("[]")
    with pytest.raises(ConfigError, match="expected an object, got list"):
        compare(**{**args, "settings": ONE_SEED}, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"settings": Settings(**{**SMALL, "seeds": 0})}, ConfigError, r"\$\.seeds"),
        ({"settings": Settings(**{**SMALL, "equal": "tokens"})}, ConfigError, r"\$\.equal"),
        ({"settings": Settings(**{**SMALL, "prompts": -1})}, ConfigError, r"\$\.prompts"),
        ({"config": {**CONFIG, "steps": 5}}, ConfigError, r"\$\.steps"),  # it would not be equal bytes
        ({"embeddings": ["lokup"]}, TokframeError, "lookup"),
        ({"tokenizers": ["bp"]}, TokframeError, "bpe"),
        ({"tokenizers": ["bpe", "bpe"]}, TokframeError, "bpe"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_trained(args, tmp_path, change, error, problem):
    with pytest.raises(error, match=problem):
        compare(**{**args, **change}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_config_of_the_run_in_the_documentation_is_one():
    path = Path(__file__).parents[3] / "configs" / "lm_compare_cpu_hour.json"
    config = structure(LMConfig, read_json(path))
    assert (config.embedding, config.canonical, config.steps) == ("factored-spelled", True, 0)
    ours = structure(LMConfig, config_for(read_json(path), "autoencoder-fsq"))
    assert (ours.head, ours.embedding) == ("decoder", "spelled+vectors")
    assert config.batch_bytes


def test_the_command_shows_tables_and_writes_json(done, args, tmp_path, capsys):
    out, report = done
    (tmp_path / "lm.json").write_text(json.dumps(CONFIG))
    held = args["evals"]["held"].files[0].path
    corpus = args["corpus"].files[0].path
    words = ["lm", "compare", *args["tokenizers"], "--corpus", str(corpus), "--eval", f"held={held}", "--out", str(out)]
    words += ["--config", str(tmp_path / "lm.json"), "--seeds", "2", "--max-bytes", "1500", "--eval-bytes", "300"]
    words += ["--prompts", "2", "--bytes", "40", "--json", str(tmp_path / "found.json")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "equal FLOPs" in shown and "held-out text" in shown and "unknown" in shown
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {*report, "corpus"}
    assert found["models"]["tokenizer-bpe"]["equal_flops"] == report["models"]["tokenizer-bpe"]["equal_flops"]


def test_the_command_says_what_is_wrong_with_its_held_out_texts(args, tmp_path, capsys):
    corpus = str(args["corpus"].files[0].path)
    words = ["lm", "compare", "bpe", "--corpus", corpus, "--out", str(tmp_path / "out"), "--eval"]
    assert main([*words, "held=missing.txt"]) != 0
    assert "missing.txt" in capsys.readouterr().err
    assert main([*words, f"a={corpus}", f"a={corpus}"]) != 0
    assert "two held-out texts are named 'a'" in capsys.readouterr().err

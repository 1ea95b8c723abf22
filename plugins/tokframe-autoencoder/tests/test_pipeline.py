"""From text to a saved tokenizer: what comes out is exact, recorded, reproducible, and nothing is lost on the way."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.stopping import stop_after
from tokframe_autoencoder.pipeline.pool import TrainingPool
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig
from tokframe_dictionary.mining.sources import Source

import tokframe
from tokframe.errors import (
    ConfigError,
    TrainingError,
    TrainingInterrupted,
    UnsupportedError,
)
from tokframe.loading.inspection import verify
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import load_target
from tokframe.training.run_folder import kept_checkpoints

pytestmark = pytest.mark.trains


def test_training_gives_an_artifact_that_passes_every_check(saved: Path):
    report = verify(saved)
    assert {"decoder: code to bytes", "encoder: bytes to code", "one code each"} <= {c.name for c in report.checks}
    assert report.ok, [check for check in report.checks if not check.ok]
    assert not saved.with_name(saved.name + ".training").exists(), "checkpoints are removed once it is saved"


def test_learned_segments_are_used_where_they_were_trained(small, corpus: Path):
    text = corpus.read_text(encoding="utf-8")
    assert small.vocab_size == 320
    assert small.count(text) < len(text.encode()) * 0.75


def test_a_pruned_tokenizer_keeps_codes_and_network_and_passes_every_check(small, tmp_path: Path):
    pruned = small.prune(300)
    report = verify(pruned.save(tmp_path / "out"))
    assert report.ok, [check for check in report.checks if not check.ok]
    codes = {small.token_bytes(token): code for token, code in enumerate(small.codes().tolist())}
    assert [codes[pruned.token_bytes(token)] for token in range(300)] == pruned.codes().tolist()
    assert tokframe.load(tmp_path / "out").prune(280).vocab_size == 280


def test_ids_added_later_have_no_code_and_every_check_passes(small, saved: Path, tmp_path: Path):
    text = Path(tokframe.__file__).with_name("cli") / "main.py"
    new = tokframe.extend(saved, corpus=[text], vocab_size=330, out=tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.ok, [check for check in report.checks if not check.ok]
    assert "10 added ones have none" in next(check.detail for check in report.checks if check.name == "codes")
    assert new.codes()[:320].tolist() == small.codes().tolist() and (new.codes()[320:] == -1).all()
    assert verify(new.prune(325).save(tmp_path / "fewer")).ok
    again = new.recompile(new.network(), workdir=tmp_path / "work", steps=20).tokenizer
    assert [again.token_bytes(again.vocab_size - 10 + place) for place in range(10)] == [
        new.token_bytes(320 + place) for place in range(10)
    ]


def test_the_artifact_records_config_seed_corpus_and_versions(saved: Path, config: dict):
    record = json.loads((saved / "training.json").read_text(encoding="utf-8"))
    assert record["seed"] == 0
    assert record["config"]["fsq"]["levels"] == config["fsq"]["levels"]
    assert record["corpus"][0]["source"] == "small"
    assert len(record["corpus"][0]["sha256"]) == 64
    assert record["network"]["versions"]["tokframe"] == tokframe.__version__
    assert record["network"]["taught"]["exact_rate"] > 0.9


def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path: Path, corpus: Path, saved: Path, config: dict):
    out = tmp_path / "small"
    with pytest.raises(TrainingInterrupted, match="stopped at step"):
        tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=out, should_stop=stop_after(300))
    assert not out.exists()
    with pytest.raises(TrainingError, match="earlier run"):
        tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=out)
    tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=out, resume=True)
    for name in ("weights.safetensors", "codebook.safetensors", "config.json"):
        assert (out / name).read_bytes() == (saved / name).read_bytes(), name


def test_a_run_is_gone_on_with_when_only_time_and_threads_differ(tmp_path: Path, corpus: Path, config: dict):
    out = tmp_path / "small"
    stop = stop_after(26)
    config["training"] |= {"max_steps": 40, "code_steps": 20, "eval_interval": 10}

    def train(should_stop=None, seed=None, **changes):
        given = {
            "config": config | {"training": config["training"] | changes},
            "seed": seed,
            "should_stop": should_stop,
        }
        tokframe.train("autoencoder-fsq", corpus=[corpus], out=out, resume=True, **given)

    with pytest.raises(TrainingInterrupted):
        train(lambda: (out.with_name("small.training") / "network").exists() and stop(), max_minutes=500.0)
    with pytest.raises(TrainingError, match="differs from this one in config"):
        train(eval_interval=11)
    with pytest.raises(TrainingError, match="differs from this one in seed"):
        train(seed=7, max_minutes=500.0)
    train(max_minutes=400.0, threads=2)
    assert out.exists()


def test_a_run_ended_by_its_time_says_what_is_missing_and_can_go_on(tmp_path: Path, corpus: Path, config: dict):
    out = tmp_path / "small"
    config["training"] |= {"max_steps": 100_000, "code_steps": 50_000, "eval_interval": 5}

    def train(max_minutes, **more):
        given = config | {"training": config["training"] | {"max_minutes": max_minutes}}
        return tokframe.train("autoencoder-fsq", corpus=[corpus], out=out, config=given, **more)

    with pytest.warns(RuntimeWarning, match=r"training\.max_minutes.* of \d+ segments were not learned: .* --resume"):
        short = train(0.001)
    assert short.vocab_size < 320 and kept_checkpoints(out) and verify(out).ok
    with pytest.raises(TrainingInterrupted, match="stopped at step") as caught:
        train(None, resume=True, overwrite=True, should_stop=stop_after(30))
    steps = int(str(caught.value).partition("step ")[2].partition(";")[0])
    assert steps > json.loads((out / "training.json").read_bytes())["network"]["steps"]
    assert not kept_checkpoints(out) and verify(out).ok


def test_segments_keep_words_whole_unless_the_config_says_otherwise(
    tmp_path: Path, corpus: Path, config: dict, listener
):
    text = corpus.read_bytes()
    source = [Source(name="small", data=text)]
    cut = set(mine(source, MiningConfig(words=False)).segments) - set(mine(source, MiningConfig()).segments)
    taught = {}
    for words in (True, False):
        changes = {} if words else {"mining": {"words": False}}
        stop_in("training", tmp_path / str(words), corpus, config | changes, listener)
        taught[words] = set(TrainingPool.read(tmp_path / f"{words}.training").segments)
    assert not taught[True] & cut
    assert taught[False] & cut


def test_every_problem_of_a_config_is_told_at_once_with_its_path(tmp_path: Path, corpus: Path, config: dict):
    config["encoder"]["kernel_sizes"] = [3]
    config["decoder"]["d_latent"] = "32"
    config["fsqq"] = {}
    config["training"]["batch_size"] = 1.5
    config["training"]["lr"] = 1
    with pytest.raises(ConfigError) as caught:
        tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "out")
    paths = {path for path, _ in caught.value.problems}
    assert {"$.encoder.kernel_sizes", "$.decoder.d_latent", "$.fsqq", "$.training.batch_size", "$.training.lr"} <= paths
    assert "did you mean 'fsq'" in str(caught.value)
    assert not (tmp_path / "out.training").exists()


@pytest.mark.parametrize(
    ("given", "sized"),
    [
        ({}, {}),
        ({"fsq": {"levels": [8, 8, 6, 5]}}, {"fsq": {"levels": [8, 8, 6, 5]}}),
        ({"vq": {"codebook_size": 512, "vocab_size": 400}}, {"vq": {"codebook_size": 512}}),
        ({"quantizer": {"component": "vq"}, "vocab_size": 7}, {"quantizer": {"component": "vq"}}),
        ({"fsq": 3, "selection": {"vocab_size": 9}}, {"fsq": 3, "selection": {}}),
    ],
)
def test_a_vocabulary_size_stands_outside_of_the_sections_alone(given: dict, sized: dict):
    spec = host().registry.tokenizer("autoencoder-fsq")
    assert load_target(spec).sized_config(given, 300, host().registry, spec.defaults) == sized | {"vocab_size": 300}


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, 32768),
        ({"vocab_size": 300}, 300),
        ({"fsq": {"vocab_size": 400}}, 400),
        ({"fsq": {"vocab_size": 400}, "selection": {"vocab_size": 32768}}, 400),
        ({"quantizer": {"component": "vq"}, "vocab_size": 300}, 300),
        ({"selection": {"vocab_size": 500}}, 500),
    ],
)
def test_the_vocabulary_size_has_one_place_and_older_configs_stay_valid(given: dict, size: int):
    full = tokframe.training_config("autoencoder-fsq", given)
    sections = [section for section in full.values() if isinstance(section, dict)]
    assert [place["vocab_size"] for place in (full, *sections) if "vocab_size" in place] == [size]
    assert tokframe.training_config("autoencoder-fsq", full) == full


def test_two_vocabulary_sizes_are_refused():
    with pytest.raises(ConfigError, match=r"\$\.vocab_size: is 300, and a section says otherwise"):
        tokframe.training_config("autoencoder-fsq", {"vocab_size": 300, "fsq": {"vocab_size": 400}})


def test_latents_of_different_width_do_not_fit_together(tmp_path: Path, corpus: Path, config: dict):
    config["decoder"]["d_latent"] = 64
    with pytest.raises(ConfigError, match=r"\$\.decoder\.d_latent: is 64, but the encoder's d_latent is 32"):
        tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "out")


def test_a_network_too_large_for_the_memory_is_a_problem_of_the_config(monkeypatch, config: dict):
    from tokframe_autoencoder.config import resolve
    from tokframe_autoencoder.network.encoder import ConvEncoder

    def refused(*given, **more):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64000000000 bytes")

    parts = resolve(config, host().registry, {"encoder": "conv", "quantizer": "fsq", "decoder": "deconv"})
    monkeypatch.setattr(ConvEncoder, "__init__", refused)
    with pytest.raises(ConfigError, match=r"\$\.encoder: encoder 'conv' of this size does not fit into memory"):
        parts.network()


def test_the_design_documents_config_is_taken_as_it_is():
    from tokframe_autoencoder.config import resolve

    from tokframe.storage.strictjson import read_json

    path = Path(__file__).parents[3] / "configs" / "autoencoder_tokenizer_config.json"
    given = read_json(path)
    parts = resolve(given, tokframe.host().registry, {"encoder": "conv", "quantizer": "fsq", "decoder": "deconv"})
    written = parts.to_json()
    for section, values in given.items():
        for key, value in values.items():
            assert written[section][key] == value, (section, key)
    assert resolve(written, tokframe.host().registry, {}).to_json() == written
    scores, quantized = parts.network()(torch.zeros(2, 16, dtype=torch.int64), torch.tensor([1, 16]))
    assert scores.shape == (2, 17, 257) and quantized.latents.shape == (2, 256)


def test_vector_quantization_trains_the_same_way_and_is_as_exact(tmp_path: Path, corpus: Path, config: dict):
    del config["fsq"]
    config["vq"] = {"codebook_size": 1024, "vocab_size": 320}
    out = tmp_path / "vq"
    tokenizer = tokframe.train("autoencoder-vq", corpus=[corpus], config=config, out=out)
    report = verify(out)
    assert report.ok, [check for check in report.checks if not check.ok]
    assert tokenizer.vocab_size > 270
    with pytest.raises(UnsupportedError, match="no digits"):
        tokenizer.digits()


@pytest.mark.slow
def test_guided_by_use_it_is_as_exact_and_records_what_is_left_of_the_plan(tmp_path: Path, corpus: Path, config: dict):
    config["training"] |= {"guide": "use", "max_steps": 700, "code_steps": 300}
    tokenizer = tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.ok and tokenizer.vocab_size > 300, [check for check in report.checks if not check.ok]
    record = json.loads((tmp_path / "out" / "training.json").read_bytes())
    assert record["config"]["training"]["guide"] == "use"
    assert record["network"]["planned_cluster_share"] > 0.9
    planned = tokenizer.digits()[:, 0]  # so few segments have one digit of use
    classes, coded = tokenizer.classes(), tokenizer.codes() >= 0
    assert (classes[:4] == -1).all() and (classes >= 0).sum() > 250
    assert (planned == classes)[coded & (classes >= 0)].mean() > 0.9
    pruned = tokenizer.prune(290)
    assert verify(pruned.save(tmp_path / "pruned")).ok
    again = tokframe.load(tmp_path / "pruned")
    ids = [tokenizer.encode_bytes(pruned.token_bytes(token))[0] for token in range(4, 290)]
    assert np.array_equal(again.vectors().rows[4:], tokenizer.vectors().rows[ids])
    assert np.array_equal(again.classes()[4:], classes[ids])


def test_training_without_tokframe_torch_says_what_to_install(tmp_path, corpus, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokframe_torch.processes", None)
    with pytest.raises(TrainingError, match=r"pip install .*tokframe-autoencoder\[train\]'"):
        tokframe.train("autoencoder-fsq", corpus=[corpus], config=config, out=tmp_path / "mine")


def stop_in(stage: str, out: Path, corpus: Path, config: dict, listener) -> list[str]:
    """Train, resuming where it can, until a stage begins; return the names of the stages that were begun."""
    before = len(listener.stages)

    def begun() -> list[str]:
        return [name for name, _, _ in listener.stages[before:]]

    with pytest.raises(TrainingInterrupted):
        tokframe.train(
            "autoencoder-fsq",
            corpus=[corpus],
            config=config,
            out=out,
            resume=True,
            reporter=listener,
            should_stop=lambda: any(name.startswith(stage) for name in begun()),
        )
    return begun()


@pytest.mark.parametrize("workers", [1, 2])
def test_stopped_between_two_parts_and_resumed_with_other_workers_is_as_never_stopped(
    tmp_path: Path, corpus: Path, config: dict, workers: int, listener
) -> None:
    config["training"]["guide"] = "use"  # so that the pool holds vectors too

    def with_workers(count: int) -> dict:
        return config | {"mining": {"workers": count}}

    stop_in("training", tmp_path / "at-once", corpus, with_workers(1), listener)
    begun = stop_in("pruning", tmp_path / "stopped", corpus, with_workers(workers), listener)
    assert begun[-1].startswith("pruning")
    assert not (tmp_path / "stopped.training" / "pool.safetensors").exists()
    stop_in("training", tmp_path / "stopped", corpus, with_workers(3 - workers), listener)
    pools = [(tmp_path / f"{name}.training" / "pool.safetensors").read_bytes() for name in ("at-once", "stopped")]
    assert pools[0] == pools[1]
    pool = TrainingPool.from_bytes(pools[0])
    assert pool.vectors is not None and pool.vectors.shape == (len(pool.segments), 128)
    # The network's checkpoint, too, is that of the same run.
    again = stop_in("training", tmp_path / "stopped", corpus, with_workers(7), listener)
    assert not any(name.startswith(("mining", "pruning")) for name in again)

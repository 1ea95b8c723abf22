"""Two distributions installed for real: one adds a quantizer, one is broken. The first is used, the second harmless."""

from __future__ import annotations

import json
import textwrap

import pytest
from support.networks import SMALL_NETWORK


def printed(done):
    """Return the JSON on the last line a process printed."""
    return json.loads(done.stdout.splitlines()[-1])


def test_discovery_finds_both_and_says_what_is_wrong_with_the_broken_one(fresh):
    source = """
    import attrs, json, tokframe
    print(json.dumps([attrs.asdict(record) for record in tokframe.host().records]))
    """
    records = {record["distribution"]: record for record in printed(fresh(source))}
    broken = records["acme-broken"]
    assert broken["status"] == "broken" and broken["version"] == "0.3.0"
    assert broken["reason"] == "ImportError: acme-broken needs libacme 3, found 2"
    assert broken["entry_point"] == "broken = acme_broken" and broken["components"] == []
    sign = records["acme-sign"]
    assert (sign["status"], sign["reason"], sign["components"]) == ("ok", "", ["quantizer acme-sign"])
    assert records["toy-bytes"]["status"] == "ok"


def test_the_broken_one_harms_nothing(fresh):
    # Warnings are errors in these processes, so a broken plugin does not even warn.
    source = """
    import tokframe
    from toy_bytes.tokenizer import ToyTokenizer
    names = [spec.name for spec in tokframe.list_components("quantizer")]
    assert "acme-sign" in names, names
    assert tokframe.create("toy").encode("A") == [69]
    assert tokframe.host().commands() is not None and tokframe.host().migrations()
    try:
        tokframe.load("acme-broken")
    except tokframe.RegistryError as error:
        assert "Not loaded: acme-broken: broken (ImportError: acme-broken needs libacme 3, found 2)" in str(error)
    else:
        raise AssertionError("no error")
    """
    fresh(source)


# -- the whole way: train, save and reload a tokenizer that uses it ----------------------------------------------

CONFIG = {
    "encoder": {**SMALL_NETWORK["encoder"], "max_chunk_size": 8},
    "quantizer": {"component": "acme-sign", "bits": 14, "vocab_size": 400},
    "decoder": SMALL_NETWORK["decoder"],
    "training": {"batch_size": 64, "learning_rate": 3e-3, "max_steps": 500, "warmup_steps": 10, "eval_interval": 250},
}
HARD = "the thing 🙂\x00 \ufeff é\u0301 שלום <s>\r\n" + "a" * 300


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "sleeps", "again"]
    lines = [" ".join(words[(i * k) % len(words)] for k in range(1, 12)) for i in range(400)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def trained(fresh, corpus, tmp_path):
    """The folder of a tokenizer trained with acme-sign in a process of its own."""
    pytest.importorskip("torch")
    pytest.importorskip("tokframe_autoencoder")
    source = """
    import json, sys
    import torch, tokframe
    torch.set_num_threads(1)
    corpus, out, config = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    tok = tokframe.train("autoencoder-fsq", corpus=[corpus], out=out, config=config, device="cpu", seed=1)
    print(json.dumps([tok.vocab_size, tok.encode("the quick brown fox")]))
    """
    done = fresh(source, corpus, tmp_path / "trained", json.dumps(CONFIG))
    return tmp_path / "trained", *printed(done)


def test_a_tokenizer_using_the_quantizer_is_trained_saved_and_reloaded_in_a_fresh_process(
    trained, fresh, installed, tmp_path
):
    folder, vocab_size, ids = trained
    assert vocab_size > 4 + 256 + 20, "it learned segments, each on a code of its own"
    assert len(ids) < len("the quick brown fox")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (quantizer,) = [part for part in manifest["components"] if part["kind"] == "quantizer"]
    assert quantizer["name"] == quantizer["distribution"] == "acme-sign"
    assert quantizer["distribution_version"] == "0.3.0"
    assert not list(folder.glob("*.py")) and "acme_sign" not in (folder / "manifest.json").read_text()
    # 1. Loads and encodes as it did, without torch; round trips everything.
    source = """
    import json, sys, tokframe
    tok = tokframe.load(sys.argv[1])
    ids = tok.encode("the quick brown fox")
    hard = json.loads(sys.argv[2])
    assert tok.decode(tok.encode(hard)) == hard
    assert tok.decode_bytes(tok.encode_bytes(bytes(range(256)))) == bytes(range(256))
    assert "torch" not in sys.modules
    print(json.dumps([tok.vocab_size, ids]))
    """
    assert printed(fresh(source, folder, json.dumps(HARD))) == [vocab_size, ids]
    # 2. Its tables agree with its network, which has acme-sign's module in it.
    source = """
    import sys, torch
    torch.set_num_threads(1)
    import tokframe
    from tokframe.loading.inspection import verify
    tok = tokframe.load(sys.argv[1])
    assert any(type(m).__name__ == "SignQuantizer" for m in tok.network().modules())
    report = verify(sys.argv[1])
    assert report.ok, [c for c in report.checks if not c.ok]
    tok.save(sys.argv[2])
    """
    fresh(source, folder, tmp_path / "again")
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    # 3. Where acme-sign is disabled or not installed, the error names it.
    source = textwrap.dedent("""
    import sys, tokframe
    from tokframe.errors import MissingPluginError
    try:
        tokframe.load(sys.argv[1])
    except MissingPluginError as error:
        assert error.needs == ("acme-sign",), error.needs
        assert "acme-sign 0.3.0, which is not installed or not loaded" in str(error), error
    else:
        raise AssertionError("no error")
    """)
    fresh(source, folder, TOKFRAME_DISABLE_PLUGINS="acme-sign")
    fresh(source, folder, PYTHONPATH="")


def test_a_wrong_setting_of_the_quantizer_is_reported_with_all_others(fresh, corpus, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("tokframe_autoencoder")
    wrong = CONFIG | {"quantizer": {"component": "acme-sign", "bits": "14", "vocab": 3}, "trainin": {}}
    source = """
    import json, sys, tokframe
    try:
        tokframe.train("autoencoder-fsq", corpus=[sys.argv[1]], out=sys.argv[2], config=json.loads(sys.argv[3]))
    except tokframe.ConfigError as error:
        print(json.dumps(sorted(path for path, _ in error.problems)))
    """
    done = fresh(source, corpus, tmp_path / "out", json.dumps(wrong))
    assert printed(done) == ["$.quantizer.bits", "$.quantizer.vocab", "$.trainin"]
    assert not (tmp_path / "out").exists()

"""`tokframe config`, `train --set` and `train --print-config`."""

from __future__ import annotations

import json

import pytest
from attrs import field, frozen

import tokframe
from tokframe.cli.main import main
from tokframe.cli.options import with_settings
from tokframe.storage.documented import keys_of
from tokframe.storage.settings import setting


@frozen(kw_only=True)
class Inner:
    """A section."""

    rate: float = setting(0.5, above=0, at_most=1)  #: share of all
    #: names,
    #: in order
    names: tuple[str, ...] = ()


@frozen(kw_only=True)
class Outer:
    """A config."""

    size: int | None = None  #: number of ids
    inner: Inner = field(factory=Inner)

    def issues(self):
        """Yield nothing."""
        return ()


def test_keys_are_documented_by_the_comments_of_their_fields():
    found = list(keys_of(Outer))
    assert [key.key for key in found] == ["size", "inner.rate", "inner.names"]
    assert [key.meaning for key in found] == ["number of ids", "share of all", "names, in order"]
    assert [key.type for key in found] == ["int or null", "number", "list of str"]
    assert found[1].allowed == "above 0 and at most 1" and found[2].default == []


def test_values_are_put_at_dotted_keys():
    given = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_settings(given, {"a.b": 9, "x.y.z": "t", "d": None}) == {
        "a": {"b": 9, "c": 2},
        "d": None,
        "x": {"y": {"z": "t"}},
    }
    assert given["a"]["b"] == 1


@pytest.fixture
def told(capfdbinary):
    def run(*words):
        code = main(words)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def test_config_lists_every_key_once_with_a_meaning(told):
    for name in ("bpe", "word", "dictionary", "autoencoder-fsq", "autoencoder-vq"):
        code, out, _ = told("config", name, "--json")
        keys = json.loads(out)["keys"]
        assert code == 0 and all(key["meaning"] for key in keys), name
        assert [key["key"] for key in keys].count("vocab_size") == 1
        assert not [key["key"] for key in keys if key["key"].endswith(".vocab_size")]
    code, out, _ = told("config", "bpe")
    assert code == 0 and "min_frequency" in out and "at least 260" in out


def test_settings_stand_over_the_file_and_the_whole_config_is_printed_without_a_corpus(told, tmp_path):
    (tmp_path / "c.json").write_text('{"training": {"max_minutes": 1, "seed": 5}, "vocab_size": 400}')
    words = ("--config", str(tmp_path / "c.json"), "--set", "training.max_minutes=7", "--print-config")
    code, out, _ = told("train", "autoencoder-fsq", *words)
    found = json.loads(out)
    assert (code, found["training"]["max_minutes"], found["training"]["seed"], found["vocab_size"]) == (0, 7, 5, 400)
    assert found["fsq"]["bound"] == "sigmoid"
    assert json.loads(told("train", "bpe", "--vocab-size", "300", "--print-config")[1])["vocab_size"] == 300
    assert told("train", "bpe", "--out", "x")[0] == 2  # the options are required again


def test_a_wrong_setting_is_told(told):
    assert told("train", "bpe", "--set", "nothing", "--print-config")[0] == 2
    code, _, err = told("train", "bpe", "--set", "vocab_sise=3", "--print-config")
    assert code == 1 and "did you mean 'vocab_size'" in err


def test_config_in_python_is_a_table():
    found = tokframe.config("bpe")
    assert repr(found).startswith("3 config keys of bpe") and found.to_dict()["keys"][0]["key"] == "vocab_size"

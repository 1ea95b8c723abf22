"""Names on their way out: who is warned, when, and of what to use instead."""

from __future__ import annotations

import json
import warnings

import pytest
from toy_bytes.tokenizer import ToyTokenizer

import tokframe
from tokframe import TokframeDeprecationWarning
from tokframe.cli.main import main
from tokframe.plugins import registry as components
from tokframe.storage.state import ComponentUse

RETIRING = """
@tokframe.hookimpl
def tokframe_tokenizers():
    return [
        tokframe.TokenizerSpec(name="old", target="toy_bytes.tokenizer:ToyTokenizer", deprecated="autoencoder-fsq"),
        tokframe.TokenizerSpec(name="kept", target="toy_bytes.tokenizer:ToyTokenizer"),
    ]
@tokframe.hookimpl
def tokframe_components():
    return [
        tokframe.ComponentSpec(
            kind="embedding", name="old-part", target="toy_bytes.tokenizer:ToyPart", deprecated="lookup", summary="x"
        )
    ]
"""
OLD = "tokenizer 'old' of acme is deprecated: use autoencoder-fsq instead"


@pytest.fixture(autouse=True)
def _retiring(use_host, plugin, monkeypatch):
    use_host(plugin("acme", RETIRING))
    monkeypatch.setattr(components, "_warned", set())


def told(call):
    """Return the texts of the deprecation warnings that `call()` gives, and where the last points."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    ours = [warning for warning in caught if warning.category is TokframeDeprecationWarning]
    return [str(warning.message) for warning in ours], ours[-1].filename if ours else ""


def saved(path, name="old", parts=()):
    tokenizer = ToyTokenizer([b"the "], parts=parts)
    tokenizer.name = name
    return tokenizer.save(path)


def test_creating_warns_once_at_the_callers_line_and_says_what_to_use():
    texts, filename = told(lambda: [tokframe.create("old"), tokframe.create("old")])
    assert texts == [OLD] and filename == __file__
    assert told(lambda: tokframe.create("old")) == ([], "")


def test_training_warns(tmp_path):
    (tmp_path / "text.txt").write_text("the text\n")
    texts, _ = told(lambda: tokframe.train("old", corpus=[tmp_path / "text.txt"], out=tmp_path / "out"))
    assert texts == [OLD]


def test_loading_what_was_saved_with_it_warns_and_says_which(tmp_path):
    folder = saved(tmp_path / "mine")
    texts, filename = told(lambda: tokframe.load(folder))
    assert texts == [f"tokenizer 'old' of acme is deprecated ({folder} uses it): use autoencoder-fsq instead"]
    assert filename == __file__
    assert told(lambda: tokframe.load(folder))[0] == []


def test_loading_an_artifact_with_a_deprecated_part_warns(tmp_path):
    use = ComponentUse(section="part", kind="embedding", name="old-part")
    folder = saved(tmp_path / "mine", name="kept", parts=(use,))
    texts, _ = told(lambda: tokframe.load(folder))
    assert texts == [f"embedding 'old-part' of acme is deprecated ({folder} uses it): use lookup instead"]


def test_using_a_deprecated_part_warns():
    spec = tokframe.host().registry.component("embedding", "old-part")
    assert told(lambda: components.load_target(spec))[0] == [
        "embedding 'old-part' of acme is deprecated: use lookup instead"
    ]


def test_other_names_and_saving_do_not_warn(tmp_path):
    assert told(lambda: [tokframe.create("kept"), saved(tmp_path / "mine")])[0] == []


def test_users_see_it_by_default_and_may_make_it_an_error():
    assert issubclass(TokframeDeprecationWarning, FutureWarning)
    for _ in range(2):  # where it is an error, each use is one
        with pytest.raises(TokframeDeprecationWarning, match="use autoencoder-fsq instead"):
            tokframe.create("old")


def test_a_warning_shows_in_a_plain_process(tmp_path, capsys):
    folder = saved(tmp_path / "mine")
    (tmp_path / "text.txt").write_text("the")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["encode", str(folder), str(tmp_path / "text.txt")]) == 0
    err = capsys.readouterr().err
    assert err.count("is deprecated") == 1 and "use autoencoder-fsq instead" in err


def test_components_shows_what_is_deprecated(capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["components"]) == 0
    out = capsys.readouterr().out
    assert "deprecated: use autoencoder-fsq instead" in out and "x deprecated: use lookup instead" in out
    assert main(["components", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["components"]
    assert {row["name"]: row["deprecated"] for row in rows} == {
        "old": "autoencoder-fsq",
        "kept": "",
        "old-part": "lookup",
    }


def test_a_field_that_is_no_text_is_a_malformed_spec():
    spec = tokframe.TokenizerSpec(name="x", target="a:B", deprecated=True)
    assert "deprecated True of 'x' is not a text" in components.spec_problem(spec)

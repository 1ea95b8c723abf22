"""Which tokenizer a name or a path means, also where two plugins claim one name."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from support.toys import RIVAL, TEXT, manifest_of, toy

import tokframe
from tokframe.errors import ArtifactNotFoundError, NameConflictError, UnknownNameError
from tokframe.storage.state import ComponentUse


def test_a_registered_name_loads_what_its_plugin_ships(fresh, installed):
    toy().save(installed / "toy_bytes" / "artifact", overwrite=True)
    source = """
    import tokframe
    for name in ("toy", "toy-bytes/toy", "Toy_Bytes/toy"):
        tok = tokframe.load(name)
        assert tok.name == "toy" and tok.decode(tok.encode("the x")) == "the x", name
    """
    fresh(source, TOKFRAME_PLUGINS="toy-bytes")


def test_a_name_that_ships_nothing_says_how_to_train(use_host, plugin):
    use_host(plugin("acme-rival", RIVAL))
    with pytest.raises(ArtifactNotFoundError, match=r"'toy' ships no trained tokenizer. Train one: tokframe train toy"):
        tokframe.load("toy")


def test_a_separator_makes_it_a_path(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    (saved.parent / "toy").mkdir()
    for path in ("./saved", "saved/", "./toy/../saved", str(saved), Path("saved")):
        assert tokframe.load(path).wrap is True
    for path in ("./toy", Path("toy"), "./nowhere", "acme/nothing"):
        with pytest.raises(ArtifactNotFoundError):
            tokframe.load(path)


def test_a_folder_given_without_a_separator_gets_a_hint(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    with pytest.raises(UnknownNameError, match="no tokenizer named 'saved'") as caught:
        tokframe.load("saved")
    assert caught.value.__notes__ == ["There is a folder of that name; to load it, use ./saved"]
    assert caught.value.name == "saved" and caught.value.kind == "tokenizer"


def test_with_two_claims_to_a_name_both_can_be_loaded_saved_and_pickled(use_host, toy_entry_point, plugin, tmp_path):
    use_host(toy_entry_point, plugin("acme-rival", RIVAL))
    with pytest.raises(NameConflictError, match="toy-bytes/toy"):
        tokframe.create("toy")
    mine = tokframe.create("acme-rival/toy", {"wrap": True})
    mine.parts = (ComponentUse(section="part", kind="embedding", name="toy-bytes/toy-part"),)
    folder = mine.save(tmp_path / "rivals")
    manifest = manifest_of(folder)
    assert (manifest["tokenizer"]["name"], manifest["tokenizer"]["distribution"]) == ("toy", "acme-rival")
    assert (manifest["components"][0]["name"], manifest["components"][0]["distribution"]) == ("toy-part", "toy-bytes")
    again = tokframe.load(folder)
    assert again.name == "acme-rival/toy" and again.parts == mine.parts
    assert again.save(tmp_path / "again")
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert pickle.loads(pickle.dumps(again)).encode("x") == mine.encode("x")


def test_an_artifact_loads_where_another_distribution_offers_its_name(saved, use_host, plugin):
    use_host(plugin("acme-rival", RIVAL))
    assert tokframe.load(saved).encode(TEXT) == toy(wrap=True).encode(TEXT)


@pytest.mark.parametrize("name", ["./nothing", "./deep/nothing"])
def test_a_path_where_nothing_is_stays_in_the_error_as_it_was_typed(toy_host, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactNotFoundError, match=f"'{name}' does not exist, so it is not a saved tokenizer"):
        tokframe.load(name)
    with pytest.raises(ArtifactNotFoundError, match=f"'{tmp_path.parent}/nothing' does not exist"):
        tokframe.load("../nothing")

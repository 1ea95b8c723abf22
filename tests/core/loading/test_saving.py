"""What is saved is loaded, and its manifest names plugins and no code."""

from __future__ import annotations

import pytest
from support.toys import TEXT, manifest_of, toy
from toy_bytes.tokenizer import ToyTokenizer

import tokframe
from tokframe.errors import ArtifactExistsError, UnknownNameError
from tokframe.storage.state import ComponentUse

PLUGIN = {"distribution": "toy-bytes", "distribution_version": "0.3.0"}


def test_what_is_saved_is_loaded(saved):
    for place in (saved, str(saved)):
        again = tokframe.load(place)
        assert type(again) is ToyTokenizer and again.name == "toy"
        assert again.pieces == toy().pieces and again.wrap is True
        assert again.encode(TEXT) == toy(wrap=True).encode(TEXT) and again.decode(again.encode(TEXT)) == TEXT


def test_the_manifest_names_plugins_and_no_code(saved):
    assert manifest_of(saved)["tokenizer"] == {"name": "toy", "version": 2} | PLUGIN
    assert "toy_bytes" not in (saved / "manifest.json").read_text() + (saved / "config.json").read_text()


def test_components_are_recorded_and_come_back(tmp_path):
    use = ComponentUse(section="part", kind="embedding", name="toy-part")
    folder = toy(parts=(use,)).save(tmp_path / "x")
    recorded = {"section": "part", "kind": "embedding", "name": "toy-part"} | PLUGIN
    assert manifest_of(folder)["components"] == [recorded]
    assert tokframe.load(folder).parts == (use,)


def test_a_tokenizer_with_a_component_that_is_not_registered_is_not_saved(tmp_path):
    use = ComponentUse(section="part", kind="embedding", name="toy-prt")
    with pytest.raises(UnknownNameError, match="Did you mean 'toy-part'"):
        toy(parts=(use,)).save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_existing_folder_is_refused_unless_told(saved):
    with pytest.raises(ArtifactExistsError):
        toy().save(saved)
    tokframe.load(saved).save(saved, overwrite=True)  # also where it came from
    assert tokframe.load(saved).encode(TEXT) == toy(wrap=True).encode(TEXT)
    toy().save(saved, overwrite=True)
    assert tokframe.load(saved).wrap is False


def test_a_tokenizer_without_a_name_is_not_saved(tmp_path):
    with pytest.raises(UnknownNameError):
        ToyTokenizer().save(tmp_path / "x")

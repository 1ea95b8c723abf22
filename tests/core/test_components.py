"""Specs, and the registry that resolves names to them."""

from __future__ import annotations

import sys

import pytest

from tokframe.errors import ComponentImportError, InvalidSpecError, NameConflictError, UnknownNameError
from tokframe.plugins.registry import KINDS, ComponentSpec, Registry, TokenizerSpec, load_config, load_target


def component(name="fsq", kind="quantizer", distribution="tokframe-autoencoder", **more):
    return ComponentSpec(kind=kind, name=name, target="m.sub:Cls", distribution=distribution, **more)


def tokenizer(name="bpe", distribution="tokframe-bpe", **more):
    return TokenizerSpec(name=name, target="m:Cls", distribution=distribution, **more)


@pytest.fixture
def registry():
    found = Registry(["acme-old: incompatible (needs tokframe<0.1, this is 9)"])
    for spec in (
        component(),
        component("vq"),
        component("conv", "encoder"),
        tokenizer("bpe"),
        tokenizer("word", "tokframe-word"),
        tokenizer("bpe", "Acme_Rival"),
    ):
        found.add(spec)
    return found


def test_a_name_resolves_within_its_kind(registry):
    assert registry.component("quantizer", "fsq").name == "fsq"
    assert registry.tokenizer("word").distribution == "tokframe-word"
    with pytest.raises(UnknownNameError):
        registry.component("encoder", "fsq")


@pytest.mark.parametrize("distribution", ["tokframe-autoencoder", "Tokframe_Autoencoder", "tokframe.autoencoder"])
def test_a_name_may_say_its_distribution(registry, distribution):
    assert registry.component("quantizer", f"{distribution}/fsq").name == "fsq"


def test_two_claims_are_an_error_naming_both(registry):
    with pytest.raises(NameConflictError) as caught:
        registry.tokenizer("bpe")
    assert set(caught.value.candidates) == {"tokframe-bpe", "Acme_Rival"}
    for wanted in ("tokframe-bpe/bpe", "Acme_Rival/bpe", "TOKFRAME_DISABLE_PLUGINS"):
        assert wanted in str(caught.value)
    assert [(spec.kind, spec.name) for spec in registry.specs() if registry.rivals(spec)] == [("tokenizer", "bpe")] * 2


def test_distribution_and_name_end_a_conflict(registry):
    assert registry.tokenizer("tokframe-bpe/bpe").distribution == "tokframe-bpe"
    assert registry.tokenizer("acme-rival/bpe").distribution == "Acme_Rival"


def test_every_spec_has_a_name_that_finds_it(registry):
    for spec in registry.specs():
        assert registry.get(spec.kind, registry.reference(spec)) is spec
    assert registry.reference(registry.tokenizer("word")) == "word"


def test_an_unknown_name_suggests_lists_and_says_what_was_not_loaded(registry):
    with pytest.raises(UnknownNameError) as caught:
        registry.component("quantizer", "fqs")
    error = caught.value
    assert error.suggestions[0] == "fsq"
    assert (error.kind, error.name) == ("quantizer", "fqs")
    assert error.unavailable == ("acme-old: incompatible (needs tokframe<0.1, this is 9)",)
    text = str(error)
    assert "no quantizer named 'fqs'" in text and "Did you mean 'fsq'?" in text
    assert "Available: fsq, vq" in text and "Not loaded: acme-old" in text and "tokframe plugins" in text


def test_an_unknown_name_of_a_known_distribution(registry):
    with pytest.raises(UnknownNameError, match="'other-plugin/fsq'") as caught:
        registry.component("quantizer", "other-plugin/fsq")
    assert "fsq" in caught.value.suggestions


def test_an_unknown_name_where_nothing_is_installed():
    with pytest.raises(UnknownNameError, match="No decoder is installed") as caught:
        Registry().component("decoder", "deconv")
    assert "Not loaded" not in str(caught.value)
    with pytest.raises(UnknownNameError, match=r"Try: pip install .*tokframe-huggingface"):
        Registry().component("exporter", "huggingface")


def test_one_distribution_cannot_claim_a_name_twice(registry):
    with pytest.raises(InvalidSpecError, match="tokframe-word declares tokenizer 'word' twice"):
        registry.add(tokenizer("word", "tokframe-word"))


def test_specs_and_names_are_ordered(registry):
    assert registry.names("quantizer") == ["fsq", "vq"]
    assert [s.name for s in registry.specs("quantizer")] == ["fsq", "vq"]
    keys = [(s.kind, s.name, s.distribution) for s in registry.specs()]
    assert keys == sorted(keys) and len(keys) == 6


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (component(kind="encodr"), "unknown kind 'encodr'"),
        (component(kind="tokenizer"), "unknown kind"),
        (component("FSQ"), "'FSQ' is not lower-case words"),
        (component("two words"), "lower-case words joined by hyphens"),
        (component("a/b"), "lower-case words"),
        (component(""), "lower-case words"),
        (component("a\n"), "lower-case words"),
        (component(7), "lower-case words"),
        (ComponentSpec(kind="encoder", name="x", target="no_colon"), "'no_colon' of 'x' is not of the form"),
        (ComponentSpec(kind="encoder", name="x", target=""), "is not of the form"),
        (ComponentSpec(kind="encoder", name="x", target="m:A()"), "is not of the form"),
        (ComponentSpec(kind="encoder", name="x", target=int), "is not of the form"),
        (ComponentSpec(kind="encoder", name="x", target="m:A", config="m.A"), "config 'm.A' of 'x'"),
        ({"kind": "encoder"}, "expected a ComponentSpec or TokenizerSpec, got dict"),
        (None, "got NoneType"),
    ],
)
def test_a_malformed_spec_is_refused_with_what_is_wrong(spec, said):
    with pytest.raises(InvalidSpecError) as caught:
        Registry().add(spec)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_accepted(kind):
    registry = Registry()
    registry.add(component(kind=kind))
    assert registry.names(kind) == ["fsq"]


def test_specs_cannot_be_changed():
    with pytest.raises(AttributeError):
        component().name = "other"


def test_a_target_is_imported_only_when_asked_for():
    spec = ComponentSpec(kind="encoder", name="x", target="colorsys:rgb_to_hsv", config="colorsys:ONE_THIRD")
    sys.modules.pop("colorsys", None)
    registry = Registry()
    registry.add(spec)
    registry.component("encoder", "x")
    assert "colorsys" not in sys.modules
    assert load_target(spec)(0, 0, 0) == (0, 0, 0)
    assert load_target(spec, "config") == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("source", "cause", "install"),
    [
        ("import triton_not_here", "No module named 'triton_not_here'", "pip install 'acme-fast[gpu]'"),
        ("X = 1", "has no attribute 'Cls'", ""),
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU", ""),
        ("1 +", "SyntaxError", ""),
        ("import sys; sys.exit('needs python 2')", "SystemExit: needs python 2", ""),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    ],
)
def test_a_target_that_cannot_be_imported_says_what_to_do(tmp_path, monkeypatch, source, cause, install):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_faulty_target.py").write_text(source, encoding="utf-8")
    sys.modules.pop("acme_faulty_target", None)
    spec = ComponentSpec(
        kind="quantizer", name="fast", target="acme_faulty_target:Cls", extra="gpu", distribution="acme-fast"
    )
    with pytest.raises(ComponentImportError) as caught:
        load_target(spec)
    error = caught.value
    assert cause in str(error)
    assert "quantizer 'fast' from acme-fast failed to import 'acme_faulty_target:Cls'" in str(error)
    assert error.install == install
    assert str(error).endswith(f"Try: {install}" if install else "This is a bug in acme-fast; please report it there")
    assert (error.kind, error.name, error.distribution) == ("quantizer", "fast", "acme-fast")
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "source", ["class Config:\n    pass", "import dataclasses\nConfig = dataclasses.make_dataclass('C', [])"]
)
def test_a_config_that_is_no_attrs_class_is_told(tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_plain_config.py").write_text(source, encoding="utf-8")
    sys.modules.pop("acme_plain_config", None)
    spec = ComponentSpec(
        kind="encoder", name="x", target="m:X", config="acme_plain_config:Config", distribution="acme-x"
    )
    with pytest.raises(InvalidSpecError, match=r"encoder 'x' from acme-x is not an attrs class.*@attrs.frozen"):
        load_config(spec)


def test_of_claims_to_a_name_that_of_home_counts(registry):
    assert registry.tokenizer("bpe", {"tokframe-bpe"}).distribution == "tokframe-bpe"
    assert registry.component("quantizer", "fsq", {"acme-x"}).distribution == "tokframe-autoencoder"
    for homes in ({"acme-x"}, {"acme-rival", "tokframe-bpe"}):
        with pytest.raises(NameConflictError):
            registry.tokenizer("bpe", homes)


def test_without_an_extra_the_distribution_itself_is_to_be_installed():
    spec = ComponentSpec(kind="encoder", name="x", target="nowhere_at_all:X", distribution="acme-x")
    with pytest.raises(ComponentImportError, match=r"Try: pip install acme-x$"):
        load_target(spec)

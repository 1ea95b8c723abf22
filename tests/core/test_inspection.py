"""describe and verify: what a saved tokenizer is, and whether it is sound."""

from __future__ import annotations

import json
import sys

import pytest
from support.stored import edit_manifest
from support.toys import toy
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import ArtifactCorruptError, ArtifactNotFoundError, UnknownNameError
from tokframe.loading.inspection import check_soundness, describe, verify
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.hard_texts import HARD_TEXTS


@pytest.fixture(autouse=True)
def _host(toy_host):
    return toy_host


@pytest.fixture
def saved(tmp_path):
    return toy([b"the "]).save(tmp_path / "saved")


def failed(report):
    return {check.name: check.detail for check in report.checks if not check.ok}


def test_describe_tells_what_the_manifest_says_without_building(saved, monkeypatch):
    monkeypatch.setattr(ToyTokenizer, "from_state", lambda state: pytest.fail("built"))
    told = describe(saved)
    assert told["name"] == "toy" and told["registered"] is False and told["path"] == str(saved)
    assert told["tokenizer"]["distribution"] == "toy-bytes" and told["components"] == []
    assert told["config"] == {"wrap": False, "format": "toy"} and told["format_version"] == 1
    sizes = {path.name: path.stat().st_size for path in saved.iterdir() if path.name != "manifest.json"}
    assert told["bytes"] == sum(sizes.values()) and set(told["files"]) == set(sizes)
    assert "training" not in told
    json.dumps(told)


@pytest.mark.parametrize("head", [None, [], "x", {}])
def test_a_manifest_that_names_no_tokenizer_is_corrupt(saved, head):
    edit_manifest(saved, lambda data: data | {"tokenizer": head})
    with pytest.raises(ArtifactCorruptError, match="names no tokenizer"):
        describe(saved)


def test_a_wrong_name_is_an_error(tmp_path):
    for call in (describe, verify):
        with pytest.raises(UnknownNameError):
            call("no-such-tokenizer")
    with pytest.raises(ArtifactNotFoundError):
        describe(tmp_path)


def test_a_sound_tokenizer_passes_every_check(saved):
    report = verify(saved)
    assert report.ok and not failed(report)
    names = [check.name for check in report.checks]
    assert names == ["files", "loads", "ids", "invalid ids", "text round trip", "bytes round trip"]
    assert all(check.detail for check in report.checks)


def test_a_damaged_artifact_fails_with_the_reason(saved):
    data = bytearray((saved / "codebook.safetensors").read_bytes())
    data[-1] ^= 1
    (saved / "codebook.safetensors").write_bytes(data)
    report = verify(saved)
    assert not report.ok and "codebook.safetensors was altered" in failed(report)["files"]


def test_an_artifact_that_does_not_load_fails_with_the_reason(saved, use_host):
    use_host()
    report = verify(saved)
    assert [check.name for check in report.checks] == ["files", "loads"]
    assert "toy-bytes" in failed(report)["loads"]


def broken(name, value):
    return type("Broken", (ToyTokenizer,), {name: value})


@pytest.mark.parametrize(
    ("name", "value", "check", "said"),
    [
        ("token_bytes", lambda self, token: b"" if token == 70 else b"x", "ids", "id 70 has none"),
        ("as_ids", lambda self, tokens: __import__("numpy").zeros(0, "int32"), "invalid ids", "id -1 is outside"),
        (
            "encode_raw",
            lambda self, data: ToyTokenizer.encode_raw(self, data.replace(b"\r", b"")),
            "text round trip",
            "carriage",
        ),
        ("decode_raw", lambda self, ids: ToyTokenizer.decode_raw(self, ids).strip(b"\0"), "text round trip", "nul"),
        ("encode_bytes", lambda self, data: [5], "bytes round trip", "64 of 64 orders"),
    ],
)
def test_each_check_fails_on_what_it_is_for(name, value, check, said):
    found = {c.name: c for c in check_soundness(broken(name, value)())}
    assert not found[check].ok and said in found[check].detail


def test_nothing_is_promised_where_nothing_is_claimed():
    from tokframe.tokenizer.results import Capabilities

    lossy = broken("capabilities", Capabilities(lossless=False, bytes_input=False))()
    assert [c.name for c in check_soundness(lossy)] == ["ids", "invalid ids"]


def test_the_tokenizers_own_checks_are_part_of_it(saved, monkeypatch):
    own = [Check(name="network", ok=False, detail="id 300 differs")]
    monkeypatch.setattr(ToyTokenizer, "verify", lambda self, reporter: own, raising=False)
    assert failed(verify(saved)) == {"network": "id 300 differs"}


def test_own_checks_that_need_what_is_not_installed_are_skipped(saved, monkeypatch):
    def verify_(self, reporter):
        import acme_gone  # noqa: F401

    monkeypatch.setitem(sys.modules, "acme_gone", None)
    monkeypatch.setattr(ToyTokenizer, "verify", verify_, raising=False)
    report = verify(saved)
    assert report.ok and [check.name for check in report.checks if check.skipped] == ["checks"]
    assert report.checks[-1].detail == "needs acme_gone: pip install toy-bytes"
    assert "bytes round trip" in {check.name for check in report.checks}


@pytest.mark.parametrize("method", ["from_state", "verify", "token_bytes"])
def test_a_tokenizer_that_raises_is_unsound_and_no_crash(saved, monkeypatch, method):
    def fails(*_):
        raise ZeroDivisionError("of the plugin")

    monkeypatch.setattr(ToyTokenizer, method, fails, raising=False)
    report = verify(saved)
    assert not report.ok
    assert "ZeroDivisionError: of the plugin" in failed(report).popitem()[1]


def test_hard_texts_are_hard():
    together = "".join(HARD_TEXTS)
    for hard in ("\x00", "\ufeff", "\u0301", "\u200d", "\r\n", "<s>", "ש", "a" * 5000):
        assert hard in together
    assert "" in HARD_TEXTS

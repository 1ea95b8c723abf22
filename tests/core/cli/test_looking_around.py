"""plugins, components, info, verify; with --json nothing but data."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from tokframe.loading.inspection import describe
from tokframe.storage.advice import CATALOG, FIRST_PARTY

ROOT = Path(__file__).parents[3]


def test_plugins_are_listed_with_the_reason_why_one_is_not_ok(plugin, use_host, run):
    use_host(plugin("acme-good", "", version="2.1"), plugin("acme-bad", "raise ValueError('bad day')"))
    code, out, err = run("plugins")
    assert (code, err) == (0, "")
    assert "acme-good" in out.decode() and "acme-bad: ValueError: bad day" in out.decode()
    code, out, err = run("plugins", "--json", "--check")
    assert (code, err) == (1, "")
    first, second = json.loads(out)["plugins"]
    assert (first["distribution"], first["status"], first["reason"]) == ("acme-bad", "broken", "ValueError: bad day")
    assert set(first) == {
        "distribution", "version", "entry_point", "status", "reason", "location", "import_ms", "components", "heavy",
    }  # fmt: skip
    assert second["status"] == "ok"


def test_plugins_check_passes_where_all_are_ok(toy_host, run):
    assert run("plugins", "--check")[0] == 0


def test_no_plugins_at_all_is_said(use_host, run):
    use_host()
    assert b"No plugins are installed" in run("plugins")[1]
    assert json.loads(run("components", "--json")[1]) == {"components": []}


def test_components_are_listed_by_kind(toy_host, run):
    code, out, _ = run("components")
    assert code == 0 and "tokenizer" in out.decode() and "toy-part" in out.decode()
    (only,) = json.loads(run("components", "--json", "--kind", "embedding")[1])["components"]
    assert (only["kind"], only["name"], only["distribution"], only["conflict"]) == (
        "embedding", "toy-part", "toy-bytes", False,
    )  # fmt: skip
    assert run("components", "--kind", "nothing")[0] == 2


def test_commands_are_listed_with_what_a_plugin_adds(shipped, run):
    (record,) = json.loads(run("plugins", "--json")[1])["plugins"]
    assert record["components"] == ["tokenizer shipped", "tokenizer fixed", "command hello", "command train"]
    assert "command hello, train" in run("plugins")[1].decode()


NAMED = {
    "no such module": ("acme_nowhere.part:Part", "No module named 'acme_nowhere'", False),
    "no such name": ("{module}:Part", "{module} defines no 'Part'; did you mean 'Parts'?", False),
    "there": ("{module}:Parts", "", True),
}


@pytest.mark.parametrize(("target", "said", "good"), NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("what", ["target", "config"])
def test_check_finds_what_a_spec_names_and_is_not_there(plugin, use_host, run, what, target, said, good):
    source = f"""
    class Parts: pass
    @tokframe.hookimpl
    def tokframe_components():
        named = {{"target": f"{{__name__}}:Parts"}} | {{{what!r}: {target!r}.format(module=__name__)}}
        return [tokframe.ComponentSpec(kind="encoder", name="acme", **named)]
    """
    use_host(plugin("acme-part", source, module="acme_part_mod"))
    assert run("plugins")[0] == 0
    code, out, _ = run("plugins", "--check", "--json")
    assert code == (0 if good else 1)
    (record,) = json.loads(out)["plugins"]
    assert record["status"] == ("ok" if good else "broken")
    assert said.format(module="acme_part_mod") in record["reason"]


def test_a_name_claimed_twice_is_listed_under_both_full_names(plugin, use_host, run):
    source = """
        @tokframe.hookimpl
        def tokframe_tokenizers():
            return [tokframe.TokenizerSpec(name="same", target="a:B")]
    """
    use_host(plugin("acme-one", source), plugin("acme-two", source))
    out = run("components")[1].decode()
    assert "acme-one/same" in out and "acme-two/same" in out
    assert all(entry["conflict"] for entry in json.loads(run("components", "--json")[1])["components"])


def test_info_shows_a_name_and_a_path_alike(shipped, run):
    code, out, err = run("info", "shipped", "--json")
    facts = json.loads(out)
    assert (code, err, facts["name"], facts["vocab_size"]) == (0, "", "shipped", 261)
    assert facts["capabilities"]["lossless"] is True and "manifest.json" not in facts["files"]
    page = run("info", facts["path"])[1].decode()
    assert "acme-toys 1.0" in page and "codebook.safetensors" in page and "261" in page
    assert max(map(len, page.splitlines())) <= 100


def test_info_shows_a_config_once_though_the_training_record_repeats_it(shipped, run, monkeypatch):
    def with_record(name):
        facts = describe(name)
        return facts | {"training": {"config": facts["config"], "segments": 34714.0, "rate": 0.5}}

    monkeypatch.setattr("tokframe.loading.inspection.describe", with_record)
    lines = run("info", "shipped")[1].decode().splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if len(line.split()) == 2)
    assert (shown["format"], shown["segments"], shown["rate"]) == ("toy", "34,714", "0.5")
    assert not any("config.format" in line for line in lines)


def test_verify_passes_a_sound_tokenizer_and_fails_a_damaged_one(shipped, run):
    assert run("encode", "shipped", stdin=b"x")[0] == 0
    code, out, _ = run("verify", "shipped")
    assert code == 0 and "checks passed" in out.decode()
    path = json.loads(run("info", "shipped", "--json")[1])["path"]
    with open(os.path.join(path, "codebook.safetensors"), "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    code, out, _ = run("verify", "shipped", "--json")
    report = json.loads(out)
    assert code == 1 and report["ok"] is False
    assert any(not check["ok"] and "codebook.safetensors" in check["detail"] for check in report["checks"])
    assert "FAILED" in run("verify", "shipped")[1].decode()


def test_what_could_be_installed_is_listed_with_the_command(monkeypatch, run):
    monkeypatch.setattr("tokframe.cli.plugins.find_spec", lambda module: None if module == "tokframe_ray" else object())
    listed = json.loads(run("plugins", "--available", "--json")[1])["available"]
    rows = {(row["distribution"], row["extra"]): row for row in listed}
    ray = rows["tokframe-ray", ""]
    assert ray["installed"] is False and ray["install"].startswith("pip install ") and "ray" in ray["adds"]
    assert rows["tokframe", "report"]["installed"] is True
    assert {name for name, _ in rows} == FIRST_PARTY - {"tokframe-torch"}
    shown = " ".join(run("plugins", "--available")[1].decode().split())
    assert ray["install"].split()[-1] in shown and "autoencoder-fsq" in shown


@pytest.mark.parametrize("distribution", sorted(FIRST_PARTY))
def test_every_extra_that_is_listed_exists(distribution):
    folder = ROOT if distribution == "tokframe" else ROOT / "plugins" / distribution
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra for name, extra in CATALOG if name == distribution and extra}
    assert extras <= {*project.get("optional-dependencies", {})}

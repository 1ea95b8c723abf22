"""TOKFRAME_PLUGINS decides before anything of a plugin is imported; an artifact cannot change what it decided."""

from __future__ import annotations

import sys

import pytest
from support.hosts import put_distribution
from support.stored import edit_manifest

import tokframe
from tokframe.errors import ArtifactError, UnknownNameError
from tokframe.loading.reference import resolve
from tokframe.plugins.discovery import Host

EVIL = "from pathlib import Path\nPath({mark!r}).write_text('ran')\n"


def make_plugin(site, name, mark):
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(EVIL.format(mark=str(mark)), encoding="utf-8")
    put_distribution(site, name, module, requires="")


SOURCE = """
import sys
import tokframe
from tokframe.plugins.discovery import host
text = "a <s> text"
tokenizer = tokframe.load("bpe")
assert tokenizer.decode(tokenizer.encode(text)) == text
statuses = {record.distribution: record.status for record in host().records}
print(statuses["evil-plugin"], "evil_plugin" in sys.modules)
"""


@pytest.mark.parametrize(
    ("environment", "status", "ran"),
    [
        ({"TOKFRAME_PLUGINS": "tokframe-bpe"}, "disabled", False),
        ({"TOKFRAME_PLUGINS": "tokframe_bpe, TOKFRAME-WORD"}, "disabled", False),
        ({"TOKFRAME_DISABLE_PLUGINS": "evil-plugin"}, "disabled", False),
        (
            {"TOKFRAME_PLUGINS": "tokframe-bpe,evil-plugin", "TOKFRAME_DISABLE_PLUGINS": "evil_plugin"},
            "disabled",
            False,
        ),
        ({"TOKFRAME_PLUGINS": "tokframe-bpe,evil.plugin"}, "ok", True),
        ({}, "ok", True),
    ],
)
def test_what_is_not_allowed_is_never_imported(in_processes, tmp_path, environment, status, ran):
    site, mark = tmp_path / "site", tmp_path / "mark"
    site.mkdir()
    make_plugin(site, "evil-plugin", mark)
    told = in_processes(SOURCE, PYTHONPATH=str(site), **environment).split()
    assert told == [status, str(ran)]
    assert mark.exists() == ran


def test_an_empty_allow_list_allows_nothing(in_processes, tmp_path):
    site, mark = tmp_path / "site", tmp_path / "mark"
    site.mkdir()
    make_plugin(site, "evil-plugin", mark)
    source = """
    import sys
    from tokframe.plugins.discovery import host
    statuses = {record.status for record in host().records}
    assert statuses == {"disabled"}, statuses
    assert not [name for name in sys.modules if name.startswith(("tokframe_", "evil_"))]
    """
    in_processes(source, PYTHONPATH=str(site), TOKFRAME_PLUGINS="")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["os:system", "json", "evil_plugin:run", "../bpe", "builtins:exec"])
def test_an_artifact_that_names_code_runs_none(copy, name):
    before = set(sys.modules)
    edit_manifest(copy, lambda manifest: manifest["tokenizer"].update(name=name, distribution=name, target=name))
    with pytest.raises((ArtifactError, UnknownNameError)):
        tokframe.load(copy)
    new = {module for module in set(sys.modules) - before if not module.startswith(("tokframe", "importlib"))}
    assert not any(module.startswith("evil") for module in new)


def test_an_artifact_of_a_plugin_that_is_not_allowed_is_refused(monkeypatch):
    from tokframe.plugins import discovery as plugins

    monkeypatch.setattr(plugins, "_host", Host(allow=["tokframe-word"]))
    path = resolve("word").folder()
    assert tokframe.load(path)
    source = path.parents[0]
    assert source.exists()
    with pytest.raises(UnknownNameError, match="TOKFRAME_PLUGINS"):
        tokframe.load("bpe")

"""TOKFRAME_PLUGINS decides before anything of a plugin is imported."""

from __future__ import annotations

import pytest
from support.hosts import put_distribution

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
        ({"TOKFRAME_DISABLE_PLUGINS": "evil-plugin"}, "disabled", False),
        ({}, "ok", True),
    ],
)
def test_what_is_not_allowed_is_never_imported(in_processes, tmp_path, environment, status, ran):
    site, mark = tmp_path / "site", tmp_path / "mark"
    site.mkdir()
    (site / "evil_plugin.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n", encoding="utf-8")
    put_distribution(site, "evil-plugin", "evil_plugin", requires="")
    told = in_processes(SOURCE, PYTHONPATH=str(site), **environment).split()
    assert told == [status, str(ran)]
    assert mark.exists() == ran

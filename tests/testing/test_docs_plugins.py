"""docs/plugins.md knows every hook, status, kind and contract, and shows files that `new-plugin` really writes."""

from __future__ import annotations

import re
from pathlib import Path

from tokframe import testing
from tokframe.cli.new_plugin import render
from tokframe.plugins import hookspecs
from tokframe.plugins.discovery import PluginRecord
from tokframe.plugins.registry import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
HOOKS = [name for name in dir(hookspecs) if name.startswith("tokframe_")]


def test_every_hook_is_documented_and_no_other():
    assert set(re.findall(r"^\| `(tokframe_\w+)` \|", TEXT, re.MULTILINE)) == set(HOOKS) != set()


def test_every_status_is_documented():
    known = re.search(r"`status` is (.*?);", PluginRecord.__doc__).group(1)
    statuses = re.findall(r"\w+", known.replace(" or ", " "))
    assert len(statuses) == 5 and all(f"| `{status}` |" in TEXT for status in statuses)


def test_every_kind_is_documented():
    line = next(line for line in TEXT.splitlines() if line.startswith("| `tokframe_components`"))
    assert [kind for kind in KINDS if kind not in line] == []


def test_every_contract_is_documented():
    assert [name for name in testing.__all__ if f"| `{name}` |" not in TEXT] == []


def test_every_variable_is_documented_and_read():
    from tokframe.plugins import discovery as plugins

    source = Path(plugins.__file__).read_text(encoding="utf-8")
    for name in re.findall(r"^\| `(TOKFRAME_\w+)", TEXT, re.MULTILINE):
        assert f'"{name}"' in source


def test_the_files_shown_are_those_written():
    shown = re.findall(r"^tokframe-shown/(\S+)$", TEXT.replace("tokframe-sign/", "tokframe-shown/"), re.MULTILINE)
    assert shown == [path.replace("shown", "sign") for path in render("tokframe-shown", "quantizer")]

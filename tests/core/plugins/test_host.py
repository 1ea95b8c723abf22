"""The host: it discovers once, when first asked, and gathers what the hooks of sound plugins give."""

from __future__ import annotations

import builtins
import sys
import threading

import pytest
from support.hosts import GOOD, declares, host

import tokframe
from tokframe.errors import PluginBrokenError
from tokframe.plugins import discovery as plugins
from tokframe.plugins.discovery import Host, PluginWarning

SOUND = """
import click
from tokframe.plugins.migrations import Migration
@tokframe.hookimpl
def tokframe_commands():
    return [click.Command("sound")]
@tokframe.hookimpl
def tokframe_migrations():
    return [Migration(tokenizer="sound", from_version=1, target="m:f")]
"""


def test_discovery_runs_on_first_need_and_once(plugin):
    source = "import builtins\nbuiltins.acme_runs = getattr(builtins, 'acme_runs', 0) + 1\n" + GOOD
    found = host(plugin("acme-good", source, module="acme_counted"))
    try:
        assert "acme_counted" not in sys.modules
        _ = found.registry, found.records, found.commands(), found.registry
        assert builtins.acme_runs == 1
    finally:
        del builtins.acme_runs


def test_threads_that_ask_at_once_share_one_discovery(plugin):
    found = host(plugin("acme-good", "import time\ntime.sleep(0.05)\n" + GOOD))
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(found.registry)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6 and all(registry is seen[0] for registry in seen)


def test_a_failed_discovery_is_not_kept(plugin):
    points = [plugin("acme-bad", "raise ValueError")]
    found = Host(entry_points=points, strict=True)
    for _ in range(2):
        with pytest.raises(PluginBrokenError):
            _ = found.registry
    points[:] = [plugin("acme-good", GOOD)]
    assert found.registry.names("quantizer") == ["good"]


def test_the_processs_own_host_is_made_once_and_anew_after_refresh(monkeypatch):
    monkeypatch.setattr(plugins, "_host", None)
    first = tokframe.host()
    assert tokframe.host() is first
    plugins.refresh()
    assert tokframe.host() is not first


def test_commands_and_migrations_come_from_plugins_and_one_failure_is_a_warning(plugin):
    bad = SOUND.replace("return", "raise ValueError('late'); return")
    found = host(plugin("acme-bad", bad), plugin("acme-sound", SOUND))
    assert [r.status for r in found.records] == ["ok", "ok"]
    with pytest.warns(PluginWarning, match="commands of plugin acme-bad:acme-bad left out: ValueError: late"):
        assert [c.name for c in found.commands()] == ["sound"]
    with pytest.warns(PluginWarning, match="migrations of plugin acme-bad:acme-bad left out: ValueError: late"):
        assert [m.tokenizer for m in found.migrations()] == ["sound"]


@pytest.mark.parametrize(("what", "kind"), [("commands", "Command"), ("migrations", "Migration")])
@pytest.mark.parametrize("value", ["[None]", "[len]", "None", "5"])
def test_a_hook_that_gives_something_else_is_left_out_and_harms_no_other(plugin, what, kind, value):
    odd = f"""
    @tokframe.hookimpl
    def tokframe_{what}():
        return {value}
    """
    found = host(plugin("acme-odd", odd), plugin("acme-sound", SOUND))
    said = f"expected a list of {kind}" if value.startswith("[") else "is not iterable"
    with pytest.warns(PluginWarning, match=f"{what} of plugin acme-odd:acme-odd left out: .*{said}"):
        assert len(getattr(found, what)()) == 1


def test_list_components_shows_the_registry(use_host, toy_entry_point, plugin):
    use_host(toy_entry_point, plugin("acme-a", declares("a")))
    assert [spec.name for spec in tokframe.list_components()] == ["toy-part", "a", "toy"]
    assert [spec.name for spec in tokframe.list_components("tokenizer")] == ["toy"]
    assert tokframe.list_components("encoder") == []

"""Which plugins are loaded is the user's choice, and of two that claim one name neither wins."""

from __future__ import annotations

import sys

import pytest
from support.hosts import GOOD, by_name, declares, host

from tokframe.errors import NameConflictError, PluginBrokenError, PluginIncompatibleError
from tokframe.plugins.discovery import Host, PluginWarning


def test_deny_list_keeps_a_plugin_from_being_imported(plugin):
    point = plugin("Acme_Denied", "raise RuntimeError", module="acme_denied_mod")
    found = host(point, plugin("acme-good", GOOD), deny=["acme-denied"])
    record = by_name(found)["Acme_Denied"]
    assert (record.status, record.reason) == ("disabled", "in TOKFRAME_DISABLE_PLUGINS")
    assert "acme_denied_mod" not in sys.modules
    assert found.registry.names("quantizer") == ["good"]


def test_allow_list_lets_only_its_own_in(plugin):
    found = host(plugin("acme-a", declares("a")), plugin("acme-b", declares("b")), allow=["ACME.B"])
    assert by_name(found)["acme-a"].reason == "not in TOKFRAME_PLUGINS"
    assert found.registry.names("quantizer") == ["b"]


def test_the_lists_come_from_the_environment(plugin, monkeypatch):
    points = plugin("acme-a", declares("a")), plugin("acme-b", declares("b"))
    monkeypatch.setenv("TOKFRAME_PLUGINS", " acme_a, acme-b ,")
    monkeypatch.setenv("TOKFRAME_DISABLE_PLUGINS", "acme-b")
    assert Host(entry_points=points).registry.names("quantizer") == ["a"]
    monkeypatch.setenv("TOKFRAME_PLUGINS", "")
    monkeypatch.setenv("TOKFRAME_DISABLE_PLUGINS", "")
    assert Host(entry_points=points).registry.names("quantizer") == []


@pytest.mark.parametrize(("option", "variable"), [("allow", "TOKFRAME_PLUGINS"), ("deny", "TOKFRAME_DISABLE_PLUGINS")])
def test_a_listed_name_that_is_no_plugin_is_warned_of(plugin, option, variable):
    found = host(plugin("acme-a"), **{option: ["acme-a", "acme-typo"]})
    with pytest.warns(PluginWarning, match=f"{variable} names 'acme-typo', which is not an installed plugin") as warned:
        _ = found.records
    assert len(warned) == 1


def test_entry_points_of_one_name_in_two_distributions_both_live(plugin):
    found = host(
        plugin("acme-one", declares("one"), entry_point="fsq"), plugin("acme-two", declares("two"), entry_point="fsq")
    )
    assert [r.status for r in found.records] == ["ok", "ok"]
    assert found.registry.names("quantizer") == ["one", "two"]


def test_two_plugins_claiming_a_name_are_both_marked_and_told_apart(plugin):
    found = host(plugin("acme-one", GOOD), plugin("acme-two", GOOD), plugin("acme-three", declares("three")))
    records = by_name(found)
    assert records["acme-one"].status == records["acme-two"].status == "conflict"
    assert records["acme-one"].reason == "quantizer 'good' is also claimed by acme-two"
    assert records["acme-two"].reason == "quantizer 'good' is also claimed by acme-one"
    assert records["acme-three"].status == "ok"
    with pytest.raises(NameConflictError, match=r"acme-one.*acme-two"):
        found.registry.component("quantizer", "good")
    assert found.registry.component("quantizer", "acme-two/good").distribution == "acme-two"
    assert found.registry.component("quantizer", "three")


def test_a_name_in_two_kinds_is_no_conflict(plugin):
    found = host(plugin("acme-one", declares("same", "encoder")), plugin("acme-two", declares("same", "decoder")))
    assert [r.status for r in found.records] == ["ok", "ok"]


def test_two_entry_points_of_one_distribution_claiming_one_name(plugin):
    found = host(plugin("acme-one", GOOD, entry_point="a"), plugin("acme-one", GOOD, entry_point="b"))
    first, second = found.records
    assert first.status == "ok"
    assert second.status == "broken" and "acme-one declares quantizer 'good' twice" in second.reason
    assert found.registry.component("quantizer", "good")
    assert found.registry.unavailable[0].startswith("acme-one: broken")


@pytest.mark.parametrize(
    ("source", "requires", "error"),
    [("raise ValueError('bad day')", [], PluginBrokenError), (GOOD, ["tokframe<0.1"], PluginIncompatibleError)],
)
def test_strict_raises_for_the_first_plugin_that_is_not_ok(plugin, source, requires, error):
    points = plugin("acme-bad", source, entry_point="bad", requires=requires), plugin("acme-good", declares("fine"))
    with pytest.raises(error) as caught:
        _ = host(*points, strict=True).records
    assert caught.value.distribution == "acme-bad" and caught.value.entry_point.startswith("bad = ")
    assert len(host(*points, strict=True, deny=["acme-bad"]).records) == 2


def test_strict_comes_from_the_environment_and_counts_conflicts(plugin, monkeypatch):
    monkeypatch.setenv("TOKFRAME_STRICT_PLUGINS", "1")
    with pytest.raises(PluginBrokenError, match="acme-one is conflict"):
        _ = Host(entry_points=[plugin("acme-one", GOOD), plugin("acme-two", GOOD)]).records

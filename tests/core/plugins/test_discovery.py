"""Discovery: whatever one plugin does wrong is written on its record and harms no other."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest
from support.hosts import GOOD, by_name, declares, host, put_distribution

import tokframe
from tokframe.errors import UnknownNameError
from tokframe.plugins import metadata as distributions
from tokframe.plugins.discovery import PluginWarning


def test_a_good_plugin_is_recorded_and_its_names_resolve(plugin):
    found = host(plugin("acme-good", GOOD, entry_point="quant", version="2.1"))
    (record,) = found.records
    assert (record.distribution, record.version, record.status, record.reason) == ("acme-good", "2.1", "ok", "")
    assert record.entry_point.startswith("quant = acme_good")
    assert record.components == ("quantizer good",)
    assert record.import_ms > 0 and record.heavy == () and record.location == ""
    spec = found.registry.component("quantizer", "good")
    assert (spec.distribution, spec.distribution_version) == ("acme-good", "2.1")


def test_records_are_ordered_by_distribution_and_are_a_copy(plugin):
    found = host(plugin("zeta"), plugin("Alpha"), plugin("mid"))
    assert [r.distribution for r in found.records] == ["Alpha", "mid", "zeta"]
    found.records.clear()
    assert len(found.records) == 3


BROKEN = {
    "import fails": ("import module_that_is_not_there", "ModuleNotFoundError: No module named 'module_that"),
    "raises at import": ("raise ValueError('bad day')", "ValueError: bad day"),
    "syntax": ("def (:", "SyntaxError"),
    "exits": ("import sys\nsys.exit(3)", "called sys.exit(3) when imported"),
    "hook raises": ("@tokframe.hookimpl\ndef tokframe_components():\n    return 1 / 0", "ZeroDivisionError"),
    "hook returns none": ("@tokframe.hookimpl\ndef tokframe_components():\n    return None", "TypeError"),
    "hook with arguments": ("@tokframe.hookimpl\ndef tokframe_components(x):\n    return []", "'x'"),
    "misspelled hook": ("@tokframe.hookimpl\ndef tokframe_component():\n    return []", "tokframe_component"),
    "no spec": ("@tokframe.hookimpl\ndef tokframe_components():\n    return ['fsq']", "got str"),
    "half a list": (GOOD.replace("]", ", None]"), "got NoneType"),
    "bad name": (declares("Bad Name"), "'Bad Name' is not lower-case words"),
    "bad kind": (declares("x", "quantiser"), "unknown kind 'quantiser'"),
    "same name twice": (GOOD.replace("[tok", "2 * [tok"), "declares quantizer 'good' twice"),
    "tokenizers hook": ("@tokframe.hookimpl\ndef tokframe_tokenizers():\n    raise OSError('disk')", "OSError: disk"),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason_and_harms_no_other(plugin, source, reason):
    found = host(
        plugin("acme-broken", source), plugin("zz-fine", declares("fine")), plugin("aa-fine", declares("first"))
    )
    records = by_name(found)
    assert records["acme-broken"].status == "broken"
    assert reason in records["acme-broken"].reason
    assert records["acme-broken"].components == ()
    assert records["aa-fine"].status == records["zz-fine"].status == "ok"
    assert found.registry.names("quantizer") == ["fine", "first"]
    assert found.commands() == [] and found.migrations() == []
    with pytest.raises(UnknownNameError) as caught:
        found.registry.component("quantizer", "missing")
    assert "Not loaded: acme-broken: broken" in str(caught.value) and reason in str(caught.value)


@pytest.mark.parametrize("value", ["nowhere_to_be_found", "json:no.such.attribute", "json:", "not a module!"])
def test_an_entry_point_that_leads_nowhere_is_broken(plugin, value):
    record = host(plugin("acme-lost", value=value)).records[0]
    assert record.status == "broken" and record.reason


def test_an_interrupt_is_not_taken_for_a_broken_plugin(plugin):
    with pytest.raises(KeyboardInterrupt):
        _ = host(plugin("acme-slow", "raise KeyboardInterrupt")).records


def test_an_entry_point_may_name_an_object(plugin):
    source = """
    class Plugin:
        @tokframe.hookimpl
        def tokframe_components(self):
            return []
    plugin = Plugin()
    """
    record = host(plugin("acme-object", source, module="acme_object_mod", value="acme_object_mod:plugin")).records[0]
    assert (record.status, record.reason) == ("ok", "")


@pytest.mark.parametrize(
    "requirement", ["tokframe<0.1", "tokframe>=9", "Tokframe (>=9)", "tokframe==0.0.*; python_version>'3'"]
)
def test_an_incompatible_plugin_is_never_imported(plugin, requirement):
    point = plugin("acme-old", "raise RuntimeError('must not run')", module="acme_old_mod", requires=[requirement])
    record = host(point).records[0]
    assert record.status == "incompatible"
    assert record.reason.startswith("needs tokframe") and tokframe.__version__ in record.reason
    assert "acme_old_mod" not in sys.modules


@pytest.mark.parametrize(
    "requirement",
    [
        f"tokframe=={tokframe.__version__}",
        "tokframe[parquet]>=0.0.1",
        "tokframe-lm>=99",
        "tokframe>=9; extra == 'next'",
        "tokframe>=9; python_version < '3'",
        "numpy>=99",
    ],
)
def test_a_requirement_that_is_met_or_does_not_apply_is_no_obstacle(plugin, requirement):
    assert host(plugin("acme-new", GOOD, requires=[requirement])).records[0].status == "ok"


def test_a_pre_release_of_tokframe_meets_a_requirement(plugin, monkeypatch):
    monkeypatch.setattr(distributions, "__version__", "0.2.0rc1")
    assert host(plugin("acme-new", GOOD, requires=["tokframe>=0.1,<0.3"])).records[0].status == "ok"


def test_a_requirement_nobody_can_read_is_said(plugin):
    record = host(plugin("acme-odd", GOOD, requires=["tokframe >=> 2"])).records[0]
    assert record.status == "incompatible" and "'tokframe >=> 2' cannot be read" in record.reason


def test_metadata_that_raises_makes_one_plugin_broken(plugin, monkeypatch):
    point, distribution = plugin("acme-odd", GOOD)
    monkeypatch.setattr(type(distribution), "requires", property(lambda self: 1 / 0), raising=False)
    record = host((point, distribution)).records[0]
    assert record.status == "broken" and "metadata cannot be read" in record.reason


def test_a_plugin_that_imports_a_framework_when_discovered_is_named(plugin, monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    found = host(plugin("acme-heavy", "import sys, types\nsys.modules['jax'] = types.ModuleType('jax')\n" + GOOD))
    try:
        with pytest.warns(PluginWarning, match="plugin acme-heavy imports jax when it is discovered"):
            (record,) = found.records
    finally:
        sys.modules.pop("jax", None)
    assert record.status == "ok" and record.heavy == ("jax",)
    assert found.registry.names("quantizer") == ["good"]


def test_an_editable_install_shows_where_it_is(plugin):
    url = '{"url": "file:///home/me/acme", "dir_info": {"editable": true}}'
    assert host(plugin("acme-e", files={"direct_url.json": url})).records[0].location == "/home/me/acme"
    for other in ("not json", "[]", '{"url": "https://x", "archive_info": {}}', '{"dir_info": 3}'):
        assert host(plugin("acme-e", files={"direct_url.json": other})).records[0].location == ""


def test_a_strangers_damaged_metadata_does_not_end_discovery(tmp_path, monkeypatch):
    damaged = tmp_path / "stranger-1.0.dist-info"
    damaged.mkdir()
    (damaged / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n", encoding="utf-8")
    (damaged / "entry_points.txt").write_text("[tokframe]\nno equals sign here\n", encoding="utf-8")
    (tmp_path / "nameless.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(PluginWarning, match="stranger-1.0.dist-info cannot be read"):
        found = distributions.installed()
    assert all(isinstance(point, metadata.EntryPoint) for point, _ in found)


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(tmp_path, monkeypatch):
    for place, version in (("a", "2.0"), ("b", "1.0")):
        put_distribution(tmp_path / place, "acme-twice", "acme_twice_nowhere", version=version)
    for place in ("b", "a"):
        monkeypatch.syspath_prepend(str(tmp_path / place))
    found = [d.version for point, d in distributions.installed() if d.name == "acme-twice"]
    assert found == ["2.0"]

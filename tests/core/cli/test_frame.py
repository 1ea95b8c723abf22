"""The command line: what stands on stdout and stderr, and exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from support.hosts import put_distribution
from support.toys import toy


def test_help_lists_every_command_with_its_own_help_and_an_example(shipped, run):
    code, out, _ = run("--help")
    assert code == 0
    for name in ("plugins", "components", "info", "verify", "encode", "decode", "train", "analyze", "compare"):
        assert f"  {name} " in out.decode()
        code, own, err = run(name, "--help")
        assert code == 0 and err.count("Warning") <= 1
        assert f"  tokframe {name}" in own.decode(), "an example of its own"
        assert "--json" in own.decode()
        assert max(map(len, own.decode().splitlines())) <= 100
    assert "Exit codes:" in out.decode() and "hello" in out.decode()


def test_the_commands_start_without_torch_or_numpy(fresh):
    source = """
        import sys
        from tokframe.cli.main import main
        for words in (["--help"], ["plugins"], ["plugins", "--json"], ["components"], ["compare", "--help"]):
            code = main(words)
            assert code == 0, words
        loaded = {"torch", "numpy", "transformers", "numba", "matplotlib"} & set(sys.modules)
        assert not loaded, loaded
    """
    done = fresh(source, TOKFRAME_PLUGINS="toy-bytes,acme-sign,acme-broken")
    assert "toy-bytes" in done.stdout


def test_a_plugins_command_runs_and_cannot_take_a_built_in_name(shipped, run):
    code, out, err = run("hello")
    assert (code, out) == (0, b"hello from a plugin\n")
    assert "command 'train' is left out: the name is taken" in err
    assert b"hijacked" not in run("train", "--help")[1]


def test_a_wrong_command_line_exits_with_2(shipped, run):
    code, out, err = run("plugin")
    assert (code, out) == (2, b"") and "No such command 'plugin'. Did you mean 'plugins'?" in err
    code, out, err = run("train", "shipped", "--out", "x")
    assert (code, out) == (2, b"") and "--corpus" in err
    assert run("compare", "shipped", "--baseline", "other")[0] == 2


def test_a_command_of_a_plugin_that_is_not_there_says_which_to_install(shipped, run):
    for command, plugin in (("lm", "tokframe-lm"), ("import", "tokframe-huggingface")):
        code, out, err = run(command, "x")
        assert (code, out) == (2, b"") and f"No such command '{command}'. It comes with {plugin}" in err
        assert re.search(rf"Try: pip install .*{plugin}\n", err) and "Did you mean" not in err


def test_an_error_is_one_message_on_stderr_without_a_traceback(shipped, run):
    code, out, err = run("encode", "shiped")
    assert (code, out) == (1, b"")
    assert err.startswith("Error: no tokenizer named 'shiped'. Did you mean 'shipped'?") and "Traceback" not in err


def test_a_fault_of_a_plugin_is_told_apart_and_its_traceback_is_there_for_the_asking(shipped, run, monkeypatch):
    (shipped / "c.json").write_text('{"fault": true}')
    words = ("train", "shipped", "--corpus", "a.txt", "--out", "new", "--config", "c.json")
    code, out, err = run(*words)
    assert (code, out) == (1, b"")
    assert "ZeroDivisionError: by mistake\nThis is a bug in acme-toys;" in err
    assert "TOKFRAME_TRACEBACK=1" in err and "Traceback" not in err
    monkeypatch.setenv("TOKFRAME_TRACEBACK", "1")
    code, out, err = run(*words)
    assert (code, out) == (1, b"") and "Traceback" in err and err.endswith("ZeroDivisionError: by mistake\n")


def test_ctrl_c_exits_with_130(shipped, run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tokframe.loading.loading.load", interrupt)
    code, out, err = run("encode", "shipped")
    assert (code, out, err.strip()) == (130, b"", "Interrupted.")


def test_a_reader_that_goes_away_is_no_error(installed, toy_host, tmp_path):
    (tmp_path / "big.txt").write_bytes(b"some text\n" * 20_000)
    environment = os.environ | {"PYTHONPATH": str(installed), "TOKFRAME_PLUGINS": "toy-bytes"}
    command = [sys.executable, "-m", "tokframe", "encode", toy().save(tmp_path / "toy"), tmp_path / "big.txt"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout.read(4).split()[0].isdigit()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (141, b"")


NOISE = """
import atexit, ctypes, os, subprocess, sys, warnings
import tokframe
atexit.register(print, "noise at the end")
def noise():
    print("noise"), sys.__stdout__.write("noise"), os.write(1, b"noise"), subprocess.run(["echo", "noise"])
    ctypes.CDLL(None).puts(b"noise")
    warnings.warn("noise")
    warnings.simplefilter("error")
noise()
@tokframe.hookimpl
def tokframe_commands():
    noise()
    raise SystemExit(0)
@tokframe.hookimpl
def tokframe_components():
    noise()
    return []
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="its C library has another name")
def test_what_plugins_print_or_raise_changes_neither_output_nor_exit_code(tmp_path):
    """In processes of its own: what C code and the end of a process write passes by any other test."""
    put_distribution(tmp_path / "site", "acme-noise", "acme_noise", requires="")
    (tmp_path / "site" / "acme_noise.py").write_text(NOISE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    def call(*words):
        command = [sys.executable, "-m", "tokframe", *words]
        done = subprocess.run(command, env=environment, input="a", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "noise" in done.stderr
        return done.stdout

    statuses = {record["distribution"]: record["status"] for record in json.loads(call("plugins", "--json"))["plugins"]}
    assert set(statuses.values()) == {"ok"} and "acme-noise" in statuses
    assert json.loads(call("encode", "word", "--json"))["tokens"] == 1
    assert call("--help").startswith("Usage: ")
    compared = json.loads(call("compare", "word", "--corpus", "-", "--rounds", "1", "--json"))
    assert compared["tokenizers"]["word"]["load_ms"] > 0


def test_an_exit_in_a_plugins_code_is_an_error(shipped, run, monkeypatch):
    def leave(*_):
        raise SystemExit(0)

    monkeypatch.setattr("tokframe.loading.loading.load", leave)
    code, out, err = run("encode", "shipped")
    assert (code, out) == (1, b"") and "SystemExit: 0" in err and "bug in tokframe or in a plugin" in err


def test_a_plugin_takes_no_command_of_this_project(plugin, use_host, run):
    hello = """
    @tokframe.hookimpl
    def tokframe_commands():
        import click
        return [click.Command("lm", help=__name__, callback=lambda: click.echo(__name__))]
    """
    use_host(plugin("aa-first", hello, module="third_party_mod"), plugin("tokframe-lm", hello, module="our_mod"))
    code, out, err = run("lm")
    assert (code, out) == (0, b"our_mod\n") and err.count("aa-first's command 'lm' is left out") == 1
    assert "taken by tokframe-lm" in err


PARTS = """
    @tokframe.hookimpl
    def tokframe_components():
        return [tokframe.ComponentSpec(kind="exporter", name=name, target=f"{__name__}:{name}") for name in ("a", "b")]

    def a(tokenizer, folder):
        return None

    def b(tokenizer):
        return []

    @tokframe.hookimpl
    def tokframe_tokenizers():
        return [tokframe.TokenizerSpec(name="plain", target=f"{__name__}:a")]
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("export", "./toy", "--format", "a", "--out", "x"),
            "exporter 'a' of acme-parts returned None; expected a list",
        ),
        (("export", "./toy", "--format", "b", "--out", "x"), "exporter 'b' of acme-parts cannot be called as"),
        (("train", "plain", "--corpus", "a.txt", "--out", "x"), "tokenizer 'plain' from acme-parts is not a class"),
    ],
)
def test_a_part_that_is_not_what_it_has_to_be_is_told_by_name(
    plugin, use_host, toy_entry_point, run, tmp_path, monkeypatch, words, said
):
    use_host(toy_entry_point, plugin("acme-parts", PARTS))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    toy().save(tmp_path / "toy")
    code, out, err = run(*words)
    assert (code, out) == (1, b"") and said in err and "Traceback" not in err and "bug" not in err
    assert not (tmp_path / "x").exists()


def test_a_tokenizer_that_fails_is_left_out_where_none_is_named(shipped, run, monkeypatch):
    monkeypatch.setattr("toy_bytes.tokenizer.ToyTokenizer.encode_raw", lambda *_: sys.exit(0))
    code, _, err = run("compare", "--corpus", "a.txt")
    assert code == 1 and "shipped is left out: SystemExit: 0" in err
    assert "no installed tokenizer is ready to use" in err

"""The command line: what stands on stdout and stderr, and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
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
        assert f"pip install {plugin}" in err and "Did you mean" not in err


def test_an_error_is_one_message_on_stderr_without_a_traceback(shipped, run):
    code, out, err = run("encode", "shiped")
    assert (code, out) == (1, b"")
    assert err.startswith("Error: no tokenizer named 'shiped'. Did you mean 'shipped'?") and "Traceback" not in err


def test_a_fault_of_a_plugin_is_told_apart_and_its_traceback_is_there_for_the_asking(shipped, run, monkeypatch):
    (shipped / "c.json").write_text('{"fault": true}')
    words = ("train", "shipped", "--corpus", "a.txt", "--out", "new", "--config", "c.json")
    code, out, err = run(*words)
    assert (code, out) == (1, b"")
    assert "ZeroDivisionError: by mistake" in err and "TOKFRAME_TRACEBACK=1" in err and "Traceback" not in err
    monkeypatch.setenv("TOKFRAME_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(*words)


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

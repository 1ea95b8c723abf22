"""Text that came from outside and reaches a terminal: whatever is in it, the terminal is not told to do anything."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
import warnings

import click
import pytest
from rich.text import Text
from support.hosts import put_distribution
from support.stored import edit_manifest, replace_file

import tokframe
from tokframe.cli import console
from tokframe.cli.main import main
from tokframe.storage.printable import printable, printable_json
from tokframe.training.terminal import ConsoleReporter, make_console

#: A title, a cleared screen, colors, C1's CSI, a carriage return, turned text, line separators.
EVIL = "\x1b]0;title\x07\x1b[2J\x1b[8mhidden\x9b2J\x7f\b\r\u202eturned\u2066\u2028\u2029\u200b\ufeff[red]x[/red]"
#: What a terminal may obey or not show. Our own styles are the only escapes.
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def assert_tame(shown: str) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown) if os.environ.get("NO_COLOR") is None else shown
    assert not ACTS.search(plain), ascii(plain)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs a command in this process and gives its exit code, with what it showed."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words):
        code = main([str(word) for word in words])
        found = capsys.readouterr()
        assert_tame(found.out + found.err)
        return code, found.out + found.err

    return call


def test_every_character_that_acts_is_escaped_and_no_other():
    for number in range(0x110000):
        character = chr(number)
        if unicodedata.category(character) == "Cc" and character not in "\n\t":
            assert printable(character) == character.encode("unicode_escape").decode()
    assert printable(EVIL).startswith(r"\x1b]0;title\x07\x1b[2J") and r"\x9b2J" in printable(EVIL)
    kept = "line\n\ttab é 漢字 שלום العربية 👩\u200d👩\u200d👧 क्\u200dष [red]x[/red] \\x1b"
    assert printable(kept) == kept and printable(printable(EVIL)) == printable(EVIL)


def test_json_holds_the_same_data_whatever_is_in_them(run, tmp_path, capsys):
    data = {EVIL: [EVIL, "é\n\t\\"], "lone": "\udc80"}
    console.show_json(data)
    out = capsys.readouterr().out
    assert_tame(out)
    assert json.loads(out) == data and out.isprintable() is False  # for its line ends only
    assert printable_json('"\u202e"') == '"\\u202e"'


@pytest.mark.parametrize("shown", [EVIL, Text(EVIL, "bold red")], ids=["text", "styled"])
def test_tables_and_text_of_the_console_are_tame(monkeypatch, shown):
    for terminal in (False, True):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stdout", stream)
        table = console.plain_table("name", EVIL)
        table.add_row(shown, EVIL)
        console.show(table)
        console.say(EVIL)
        monkeypatch.undo()
        out = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
        assert not ACTS.search(out) and r"\x1b" in out and "[red]x[/red]" in "".join(out.split())


def test_progress_is_tame():
    stream = io.StringIO()
    reporter = ConsoleReporter(make_console(stream), delay=0, interval=0)
    reporter.stage(EVIL, 3, EVIL)
    reporter.advance(1, loss=EVIL)
    reporter.note(EVIL)
    reporter.close()
    assert not ACTS.search(stream.getvalue()) and r"\x1b" in stream.getvalue()


def test_what_an_artifact_says_of_itself_is_shown_tamely(run, tmp_path):
    for key in ("name", "distribution", "distribution_version"):
        folder = tokframe.load("word").save(tmp_path / key)
        edit_manifest(folder, lambda data, key=key: data["tokenizer"].update({key: EVIL}))
        for command in ("info", "verify", "encode", "analyze"):
            more = ["--corpus", __file__] if command == "analyze" else []
            assert run(command, folder, *more)[0] == 1
    config = tokframe.load("word").save(tmp_path / "config")
    replace_file(config, "config.json", json.dumps({EVIL: {EVIL: EVIL}}).encode())
    replace_file(config, "training.json", json.dumps({EVIL: [EVIL]}).encode())
    code, shown = run("info", config)
    assert code == 0 and r"\x1b]0;title" in shown
    assert run("info", config, "--json")[0] == 0


def test_names_of_files_and_folders_are_shown_tamely(run, tmp_path, monkeypatch):
    name = EVIL.replace("/", "_")
    corpus = tmp_path / name
    corpus.mkdir()
    (corpus / f"{name}.txt").write_bytes(b"\xff\xfe")
    (corpus / "ok.txt").write_text("some words\n" * 5)
    monkeypatch.chdir(corpus)
    assert run("analyze", "word", "--corpus", corpus)[0] == 0
    assert run("info", corpus / "nowhere")[0] == 1
    assert run("info", f"./{name}")[0] == 1
    assert run("train", "word", "--corpus", corpus / "ok.txt", "--out", corpus / f"out-{name}")[0] == 0
    assert run("tokenize", "word", "--corpus", corpus / "ok.txt", "--out", corpus / "shards", "--workers", "1")[0] == 0


def test_mistakes_on_the_command_line_are_answered_tamely(run):
    for words in ([EVIL], ["encode", EVIL, EVIL, EVIL], ["info", "word", f"--{EVIL}"], ["encode"], ["info", EVIL]):
        assert run(*words)[0] in (1, 2)


def test_what_plugins_say_is_shown_tamely(tmp_path, monkeypatch):
    put_distribution(tmp_path, "esc", "esc_module")
    (tmp_path / "esc_module.py").write_text(
        f"""
import click, warnings
from tokframe import ComponentSpec, hookimpl
EVIL = {EVIL!r}
warnings.warn(EVIL)
@hookimpl
def tokframe_components():
    return [ComponentSpec(kind="quantizer", name="esc", target="a:b", summary=EVIL)]
@hookimpl
def tokframe_commands():
    group = click.Group("evil", help=EVIL)
    group.add_command(click.Command("inner", help=EVIL, epilog=EVIL, callback=lambda: 1 / 0))
    return [group]
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NO_COLOR": "1", "TOKFRAME_PLUGINS": "esc"}
    for words in ("components --kind quantizer", "plugins", "--help", "evil --help", "evil inner --help"):
        command = [sys.executable, "-P", "-m", "tokframe", *words.split()]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
        assert not ACTS.search(done.stdout + done.stderr), (words, ascii(done.stdout))
    assert click.Context.formatter_class is click.HelpFormatter


def test_warnings_and_tracebacks_are_shown_tamely(run, monkeypatch):
    def fail(*_):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(EVIL, stacklevel=1)
        raise ZeroDivisionError(EVIL)

    monkeypatch.setattr("tokframe.loading.loading.load", fail)
    for traceback in ("0", "1"):
        monkeypatch.setenv("TOKFRAME_TRACEBACK", traceback)
        code, shown = run("encode", "word")
        assert (
            code == 1
            and "Warning:" in shown
            and "ZeroDivisionError" in shown
            and ("Traceback" in shown) is (traceback == "1")
        )


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of its own")
def test_decoded_bytes_are_exact_in_a_pipe_and_tame_on_a_terminal(tmp_path):
    data = EVIL.encode() + b"\xff\xc3" + "é漢字".encode()
    ids = tmp_path / "ids"
    ids.write_text(" ".join(map(str, tokframe.load("bpe").encode_bytes(data))))
    command = [sys.executable, "-P", "-m", "tokframe", "decode", "bpe", str(ids)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == data
    main_end, terminal = pty.openpty()
    subprocess.run(command, stdout=terminal, check=True)
    os.close(terminal)
    shown = os.read(main_end, 10_000).decode()
    os.close(main_end)
    assert not ACTS.search(shown) and shown.endswith(r"\xff\xc3é漢字")

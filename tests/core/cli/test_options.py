"""Options that take several values, or one or none."""

from __future__ import annotations

import click
import pytest

from tokframe.cli.options import Command, corpus_option, json_file_option


@pytest.mark.parametrize(
    ("words", "names", "corpus", "target"),
    [
        (["a", "b", "--corpus", "x", "y", "--corpus", "z"], ("a", "b"), ("x", "y", "z"), None),
        (["a", "--corpus", "-", "x", "--json"], ("a",), ("-", "x"), "-"),
        (["--json", "a", "--corpus=x", "b"], ("a", "b"), ("x",), "-"),
        (["--json", "out.json", "a"], ("a",), (), "out.json"),
        (["--json=out", "a"], ("a",), (), "out"),
        (["--json", "-", "a"], ("a",), (), "-"),
        (["a", "--json", "missing/out"], ("a",), (), "missing/out"),
        (["--json", "./folder", "a"], ("./folder", "a"), (), "-"),
        (["--corpus", "x", "--", "--json"], ("--json",), ("x",), None),
    ],
)
def test_corpus_takes_several_values_and_json_a_file_or_none(tmp_path, monkeypatch, words, names, corpus, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    got = {}

    @click.command(cls=Command)
    @click.argument("names", nargs=-1)
    @corpus_option(required=False)
    @json_file_option
    def command(**values):
        got.update(values)

    command.main(words, standalone_mode=False)
    assert got == {"names": names, "corpus": corpus, "json_to": target}


def test_an_option_without_its_values_is_a_usage_error(shipped, run):
    assert run("compare", "shipped", "--corpus")[0] == 2
    assert run("train", "shipped", "--corpus", "--out", "x")[0] == 2


def test_the_json_of_a_command_is_described_after_its_options(run):
    code, out, _ = run("encode", "--help")
    text = out.decode()
    assert code == 0 and text.index("Options:") < text.index("\nJSON:\n") < text.index("Example:")
    assert text.count('{"ids"') == 1

"""The command line: what stands on stdout and stderr, exit codes, and that nothing but data comes with --json."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import click
import pytest
from rich.console import Console

from tokframe import loading
from tokframe.cli import main as main_module
from tokframe.cli.interruption import stopping
from tokframe.cli.main import main
from tokframe.cli.options import Command, corpus_option, json_file_option
from tokframe.cli.progress import LogReporter, TerminalReporter
from tokframe.evaluate.footprint import Footprint

SHIPPING = """
    from toy_bytes.tokenizer import ToyTokenizer
    from tokframe.errors import TrainingInterrupted

    class Shipped(ToyTokenizer):
        @classmethod
        def train(cls, job):
            job.reporter.stage("training", 10, "steps")
            if job.config.get("stop"):
                raise TrainingInterrupted(f"stopped at step 3; the checkpoint is kept in {job.workdir}")
            if job.config.get("fault"):
                raise ZeroDivisionError("by mistake")
            return cls([b"the "], wrap=job.seed == 7)

    @tokframe.hookimpl
    def tokframe_tokenizers():
        target = f"{__name__}:Shipped"
        return [
            tokframe.TokenizerSpec(name="shipped", target=target, artifact=f"shipped_data:artifact", summary="a toy"),
            tokframe.TokenizerSpec(name="fixed", target=target, trainable=False),
        ]

    @tokframe.hookimpl
    def tokframe_commands():
        import click

        @click.command("hello", help="Say hello.")
        def hello():
            click.echo("hello from a plugin")

        @click.command("train", help="Not this one.")
        def train():
            click.echo("hijacked")

        return [hello, train]
"""


@pytest.fixture
def shipped(plugin, use_host, tmp_path, monkeypatch):
    """The tokenizer "shipped" is installed with its artifact, and its package is beside the made-up plugin."""
    use_host(plugin("acme-toys", SHIPPING))
    package = tmp_path / "plugins-made-up" / "shipped_data"
    package.mkdir()
    (package / "__init__.py").touch()
    loading.train("shipped", corpus=[package.parent / "acme_toys_0_plugin.py"], out=package / "artifact")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    yield tmp_path
    sys.modules.pop("shipped_data", None)


@pytest.fixture
def run(capsysbinary, monkeypatch):
    """Return a function that runs a command: `run(*words, stdin=b"")` -> (exit code, stdout, stderr)."""

    def call(*words, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call


@pytest.fixture
def quick(monkeypatch):
    """Load time and memory are given: fresh processes are the evaluation's tests."""
    given = Footprint(load_ms=12.5, memory_mb=3.25)
    monkeypatch.setattr("tokframe.evaluate.comparison.footprints", lambda names, *_, **__: dict.fromkeys(names, given))


# -- the frame ----------------------------------------------------------------------------------------------


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


def test_version(run):
    assert run("--version") == (0, f"tokframe {main_module.__version__}\n".encode(), "")


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


def test_an_error_is_one_message_on_stderr_without_a_traceback(shipped, run):
    code, out, err = run("encode", "shiped")
    assert (code, out) == (1, b"")
    assert err.startswith("Error: no tokenizer named 'shiped'. Did you mean 'shipped'?") and "Traceback" not in err


def test_a_fault_of_a_plugin_is_told_apart_and_its_traceback_is_there_for_the_asking(shipped, run, monkeypatch):
    (shipped / "c.json").write_text('{"fault": true}')
    (shipped / "a.txt").write_text("text")
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

    monkeypatch.setattr("tokframe.loading.load", interrupt)
    code, out, err = run("encode", "shipped")
    assert (code, out, err.strip()) == (130, b"", "Interrupted.")


def test_a_reader_that_goes_away_is_no_error(installed, tmp_path):
    (tmp_path / "big.txt").write_bytes(b"some text\n" * 20_000)
    write_toy = "from toy_bytes.tokenizer import ToyTokenizer as T; t = T(); t.name = 'toy'; t.save(sys.argv[1])"
    environment = os.environ | {"PYTHONPATH": str(installed), "TOKFRAME_PLUGINS": "toy-bytes"}
    toy = tmp_path / "toy"
    subprocess.run([sys.executable, "-c", f"import sys; {write_toy}", toy], env=environment, check=True)
    command = [sys.executable, "-c", "import sys; from tokframe.cli.main import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "encode", toy, tmp_path / "big.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout.read(4).split()[0].isdigit()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (141, b"")


# -- looking around -----------------------------------------------------------------------------------------


def test_plugins_are_listed_with_the_reason_why_one_is_not_ok(plugin, use_host, run):
    use_host(plugin("acme-good", "", version="2.1"), plugin("acme-bad", "raise ValueError('bad day')"))
    code, out, err = run("plugins")
    assert (code, err) == (0, "")
    assert "acme-good" in out.decode() and "acme-bad: ValueError: bad day" in out.decode()
    code, out, err = run("plugins", "--json", "--check")
    assert (code, err) == (1, "")
    first, second = json.loads(out)["plugins"]
    assert (first["distribution"], first["status"], first["reason"]) == ("acme-bad", "broken", "ValueError: bad day")
    assert set(first) == {
        "distribution", "version", "entry_point", "status", "reason", "location", "import_ms", "components", "heavy",
    }  # fmt: skip
    assert second["status"] == "ok"


def test_plugins_check_passes_where_all_are_ok(toy_host, run):
    assert run("plugins", "--check")[0] == 0


def test_no_plugins_at_all_is_said(use_host, run):
    use_host()
    assert b"No plugins are installed" in run("plugins")[1]
    assert json.loads(run("components", "--json")[1]) == {"components": []}


def test_components_are_listed_by_kind(toy_host, run):
    code, out, _ = run("components")
    assert code == 0 and "tokenizer" in out.decode() and "toy-part" in out.decode()
    (only,) = json.loads(run("components", "--json", "--kind", "embedding")[1])["components"]
    assert (only["kind"], only["name"], only["distribution"], only["conflict"]) == (
        "embedding", "toy-part", "toy-bytes", False,
    )  # fmt: skip
    assert run("components", "--kind", "nothing")[0] == 2


def test_a_name_claimed_twice_is_listed_under_both_full_names(plugin, use_host, run):
    source = """
        @tokframe.hookimpl
        def tokframe_tokenizers():
            return [tokframe.TokenizerSpec(name="same", target="a:B")]
    """
    use_host(plugin("acme-one", source), plugin("acme-two", source))
    out = run("components")[1].decode()
    assert "acme-one/same" in out and "acme-two/same" in out
    assert all(entry["conflict"] for entry in json.loads(run("components", "--json")[1])["components"])


def test_info_shows_a_name_and_a_path_alike(shipped, run):
    code, out, err = run("info", "shipped", "--json")
    facts = json.loads(out)
    assert (code, err, facts["name"], facts["vocab_size"]) == (0, "", "shipped", 261)
    assert facts["capabilities"]["lossless"] is True and "manifest.json" not in facts["files"]
    page = run("info", facts["path"])[1].decode()
    assert "acme-toys 1.0" in page and "codebook.safetensors" in page and "261" in page
    assert max(map(len, page.splitlines())) <= 100


def test_verify_passes_a_sound_tokenizer_and_fails_a_damaged_one(shipped, run):
    assert run("encode", "shipped", stdin=b"x")[0] == 0
    code, out, _ = run("verify", "shipped")
    assert code == 0 and "checks passed" in out.decode()
    path = json.loads(run("info", "shipped", "--json")[1])["path"]
    with open(os.path.join(path, "codebook.safetensors"), "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    code, out, _ = run("verify", "shipped", "--json")
    report = json.loads(out)
    assert code == 1 and report["ok"] is False
    assert any(not check["ok"] and "codebook.safetensors" in check["detail"] for check in report["checks"])
    assert "FAILED" in run("verify", "shipped")[1].decode()


# -- encode and decode --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"the cat\n", b"\x00\xff\xfe any bytes \r\n", "🙂 né".encode() * 3, bytes(range(256)) * 40],
    ids=["empty", "text", "no UTF-8", "emoji", "every byte"],
)
def test_decode_gives_back_exactly_the_bytes_that_encode_took(shipped, run, data):
    code, ids, err = run("encode", "shipped", "-", stdin=data)
    assert (code, err) == (0, "") and ids.endswith(b"\n") and ids.count(b"\n") == 1
    assert run("decode", "shipped", stdin=ids) == (0, data, "")
    code, out, _ = run("encode", "shipped", "--json", stdin=data)
    assert json.loads(out) == {"ids": list(map(int, ids.split())), "tokens": len(ids.split()), "bytes": len(data)}
    assert run("decode", "shipped", stdin=out) == (0, data, "")


def test_ids_do_not_depend_on_how_the_input_is_cut(shipped, run, monkeypatch):
    data = b"the theatre of the absurd " * 40
    whole = run("encode", "shipped", stdin=data)[1]
    monkeypatch.setattr("tokframe.cli.encode._BLOCK", 7)
    monkeypatch.setattr("tokframe.cli.decode._BLOCK", 5)
    assert run("encode", "shipped", stdin=data)[1] == whole
    assert run("decode", "shipped", stdin=whole)[1] == data


def test_files_are_read_and_a_missing_one_is_named(shipped, run):
    (shipped / "in.txt").write_bytes(b"the end")
    ids = run("encode", "shipped", "in.txt")[1]
    (shipped / "in.ids").write_bytes(ids.replace(b" ", b"\n\t "))
    assert run("decode", "shipped", "in.ids")[1] == b"the end"
    code, out, err = run("encode", "shipped", "gone.txt")
    assert (code, out, err) == (1, b"", "Error: cannot read 'gone.txt': No such file or directory\n")


def test_special_tokens_are_added_and_shown_on_request(shipped, run):
    (shipped / "a.txt").write_text("text")
    run("train", "shipped", "--corpus", "a.txt", "--out", "wrapped", "--seed", "7")
    assert run("encode", "./wrapped", "--special", stdin=b"a")[1] == b"2 101 3\n"
    assert run("encode", "./wrapped", stdin=b"a")[1] == b"101\n"
    assert run("decode", "./wrapped", stdin=b"2 101 3")[1] == b"a"
    assert run("decode", "./wrapped", "--special", stdin=b"2 101 3")[1] == b"<s>a</s>"


def test_decode_as_json_keeps_bytes_that_are_no_text(shipped, run):
    assert json.loads(run("decode", "shipped", "--json", stdin=b"101 102")[1]) == {
        "text": "ab", "base64": "YWI=", "bytes": 2, "tokens": 2,
    }  # fmt: skip
    assert json.loads(run("decode", "shipped", "--json", stdin=b"259")[1])["text"] is None


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (b"100 100 999", "id 999 at position 2 is outside the vocabulary of shipped; ids are 0 to 260"),
        (b"100 -1", "id -1 at position 1"),
        (b"100 x1", "'x1' at position 1 is no id"),
        (b"100 1.5", "'1.5' at position 1 is no id"),
        (b'{"ids": [1, "2"]}', 'expected {"ids": [numbers]}'),
        (b'{"ids": [1,', "not valid JSON"),
        (b"99999999999999999999999999", "id 99999999999999999999999999 at position 0"),
    ],
)
def test_bad_ids_are_named_with_their_position(shipped, run, ids, told):
    code, _, err = run("decode", "shipped", stdin=ids)
    assert code == 1 and told in err and "Traceback" not in err


# -- train --------------------------------------------------------------------------------------------------


def test_train_saves_a_tokenizer_that_can_be_used(shipped, run):
    for name in ("a.txt", "b.txt", "c.md"):
        (shipped / name).write_text(name)
    code, out, err = run("train", "shipped", "--corpus", "a.txt", "b.txt", "--out", "new", "--corpus", "c.md", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["tokenizer"], facts["out"], facts["vocab_size"], facts["corpus"]["files"]) == (
        "shipped",
        "new",
        261,
        3,
    )
    code, out, _ = run("train", "shipped", "--corpus", "a.txt", "--out", "new2")
    assert "saved at ./new2" in out.decode() and "tokframe compare ./new2 shipped" in out.decode()
    assert run("encode", "./new2", stdin=b"the ")[1] == b"260\n"


def test_what_is_there_already_is_overwritten_only_on_request(shipped, run):
    (shipped / "a.txt").write_text("text")
    words = ("train", "shipped", "--corpus", "a.txt", "--out", "new")
    assert run(*words)[0] == 0
    code, out, err = run(*words)
    assert (code, out) == (1, b"") and "already exists" in err and "--overwrite" in err
    assert run(*words, "--overwrite")[0] == 0


def test_an_interrupted_training_says_how_to_go_on(shipped, run):
    (shipped / "a b.txt").write_text("text")
    (shipped / "c.json").write_text('{"stop": true}')
    words = ("train", "shipped", "--corpus", "a b.txt", "--out", "new", "--config", "c.json", "--seed", "3")
    code, out, err = run(*words)
    assert (code, out) == (130, b"")
    assert "stopped at step 3" in err
    assert "tokframe train shipped --corpus 'a b.txt' --out new --config c.json --seed 3 --resume" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fixed", "--corpus", "a.txt"), "'fixed' has no training"),
        (("shipped", "--corpus", "gone.txt"), "no file or folder 'gone.txt'"),
        (("shipped", "--corpus", "a.txt", "--config", "gone.json"), "gone.json"),
        (("shipped", "--corpus", "a.txt", "--config", "a.txt"), "not valid JSON"),
    ],
)
def test_training_that_cannot_begin_says_why_and_leaves_nothing(shipped, run, words, told):
    (shipped / "a.txt").write_text("text")
    code, out, err = run("train", *words, "--out", "new")
    assert (code, out) == (1, b"") and told in err
    assert not (shipped / "new").exists()


def test_the_first_signal_asks_to_stop_and_the_second_interrupts():
    told = []
    with stopping(told.append) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop() and stop.signal == signal.SIGINT and len(told) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -- compare and analyze ------------------------------------------------------------------------------------


def test_compare_takes_names_and_paths_and_writes_json_alone_or_to_a_file(shipped, run, quick):
    (shipped / "a.txt").write_text("the theatre\n" * 50)
    run("train", "shipped", "--corpus", "a.txt", "--out", "new")
    code, out, err = run("compare", "shipped", "./new", "--corpus", "a.txt", "--rounds", "1", "--json")
    assert (code, err) == (0, "")
    assert list(json.loads(out)["tokenizers"]) == ["shipped", "./new"]
    code, out, err = run("compare", "--json", "out.json", "shipped", "./new", "--corpus", "a.txt", "--rounds", "1")
    assert code == 0 and "bytes per token" in out.decode() and "wrote out.json" in err
    assert json.loads((shipped / "out.json").read_text())["tokenizers"]["./new"]["files"]["a.txt"]["bytes"] == 600


def test_compare_without_names_or_corpus_takes_what_is_ready_on_held_out_source(shipped, run, quick, monkeypatch):
    monkeypatch.setattr("tokframe.cli.compare._DEFAULT", str(shipped / "a.txt"))
    (shipped / "a.txt").write_text("the theatre\n" * 50)
    code, out, err = run("compare", "--rounds", "1", "--json")
    assert (code, err) == (0, "")
    assert list(json.loads(out)["tokenizers"]) == ["shipped"]


def test_compare_says_when_nothing_is_ready_and_what_was_left_out(toy_host, run):
    code, out, err = run("compare")
    assert (code, out) == (1, b"") and "toy is left out" in err and "no installed tokenizer is ready" in err


def test_analyze_shows_writes_and_draws(shipped, run):
    pytest.importorskip("matplotlib")
    (shipped / "a.txt").write_text("the theatre\n" * 50)
    code, out, err = run("analyze", "shipped", "--corpus", "a.txt", "--plots", "plots", "--json", "a.json")
    assert code == 0 and "utilisation" in out.decode() and "plots/lengths.png" in err
    assert json.loads((shipped / "a.json").read_text())["bytes"] == 600
    code, out, err = run("analyze", "shipped", "--corpus", "a.txt", "--json")
    assert (code, err) == (0, "") and json.loads(out)["tokenizer"] == "shipped"


def test_skipped_files_of_a_folder_are_told_on_stderr(shipped, run):
    (shipped / "docs").mkdir()
    (shipped / "docs" / "a.txt").write_text("the theatre\n")
    (shipped / "docs" / "a.png").write_bytes(b"\0")
    code, out, err = run("analyze", "shipped", "--corpus", "docs", "--json")
    assert code == 0 and "left out: docs/a.png is binary" in err and json.loads(out)["bytes"] == 12


# -- options ------------------------------------------------------------------------------------------------


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
    @json_file_option()
    def command(**values):
        got.update(values)

    command.main(words, standalone_mode=False)
    assert got == {"names": names, "corpus": corpus, "json_to": target}


def test_an_option_without_its_values_is_a_usage_error(shipped, run):
    assert run("compare", "shipped", "--corpus")[0] == 2
    assert run("train", "shipped", "--corpus", "--out", "x")[0] == 2


# -- progress -----------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands until it is told to go on."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def log():
    stream, clock = io.StringIO(), Clock()
    reporter = LogReporter(Console(file=stream, width=100), clock=clock)
    return reporter, clock, stream


def test_short_work_reports_nothing(log):
    reporter, clock, stream = log
    reporter.stage("training", 100, "steps")
    for step in range(10):
        clock.now += 0.15
        reporter.advance(step, loss=0.5)
    reporter.close()
    assert stream.getvalue() == ""


def test_a_log_gets_a_line_after_two_seconds_then_every_ten_and_one_at_the_end(log):
    reporter, clock, stream = log
    reporter.stage("training", 100, "steps")
    for step in range(1, 41):
        clock.now += 0.5
        reporter.advance(step, loss=2.5, char_accuracy=0.71, codes_in_use=30112, segments_per_s=45210.4)
    reporter.note("validated")
    reporter.stage("saving")
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "training 4%",
        "training 24%",
        "validated",
        "training: 20 s, 40/100 steps",
    ]
    assert lines[1].split("  ")[1:] == [
        "24/100 steps",
        "loss 2.5 · char accuracy 71.0% · codes in use 30,112 · 45,210 segments/s",
        "38 s left",
    ]


def test_time_left_counts_only_what_this_run_has_done(log):
    reporter, clock, stream = log
    reporter.stage("training", 1000, "steps")  # resumed: begins at 900
    for step in range(900, 920):
        clock.now += 1.0
        reporter.advance(step)
    assert "80 s left" not in stream.getvalue() and "1:29 left" in stream.getvalue()


def test_a_terminal_gets_a_bar_with_figures_and_is_left_clean():
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=100, force_terminal=True)
    reporter = TerminalReporter(console, delay=0.0, clock=clock)
    reporter.stage("training", 10, "steps")
    reporter._timer.join(5)
    clock.now += 3
    reporter.advance(1, loss=1.25)
    clock.now += 3
    reporter.advance(4, loss=1.0)
    picture = io.StringIO()
    Console(file=picture, width=100).print(reporter._picture())
    reporter.close()
    assert "40%" in picture.getvalue() and "4/10 steps" in picture.getvalue() and "loss 1" in picture.getvalue()
    assert "6 s left" in picture.getvalue()
    assert reporter._live is None and reporter._timer is None
    assert "training: 6 s, 4/10 steps  loss 1" in stream.getvalue()

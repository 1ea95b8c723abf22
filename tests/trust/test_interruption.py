"""Runs that are interrupted or fail at their start: what is kept, how they end, and that nothing else is left."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from support.stopping import stop_after

import tokframe
from tokframe.cli.main import main
from tokframe.errors import CorpusError, ShardsError, TokframeError, TrainingError, TrainingInterrupted
from tokframe.loading import loading
from tokframe.shards import ShardSettings, tokenize
from tokframe.shards.writing import UnitWriter
from tokframe.training.interruption import SIGNALS, interruptible, stopping

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends signals")
LINES = "some words of text\n" * 3000


@pytest.fixture
def text(tmp_path, monkeypatch):
    """Stand in a folder with a text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text(LINES)
    return tmp_path / "text"


def signalled(monkeypatch, place, name, number, times=1):
    """Have `place.name` send this process a signal, the first time it is called."""
    real, calls = getattr(place, name), iter(range(times))

    def call(*arguments, **options):
        if next(calls, None) is not None:
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    monkeypatch.setattr(place, name, call)


@pytest.mark.parametrize("number", SIGNALS)
def test_any_signal_keeps_what_is_done_and_says_how_to_continue(number, text, monkeypatch, capsys):
    before = [signal.getsignal(number) for number in SIGNALS]
    signalled(monkeypatch, UnitWriter, "__call__", number)
    words = ["tokenize", "bpe", "--corpus", "text", "--out", "out", "--workers", "1", "--shard-size", "20kB"]
    assert main(words) == 128 + number
    told = capsys.readouterr().err
    assert "stopped with 1 of 3 parts" in told
    assert told.endswith("Continue with:\n  tokframe " + " ".join(words) + " --resume\n")
    assert main([*words, "--resume"]) == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert sorted(os.listdir()) == ["out", "text"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_at_once(number, text, monkeypatch, capsys):
    signalled(monkeypatch, UnitWriter, "__call__", number)
    signalled(monkeypatch, UnitWriter, "_written", number)
    words = ["tokenize", "bpe", "--corpus", "text", "--out", "out", "--workers", "1", "--shard-size", "20kB"]
    assert main(words) == 128 + number
    told = capsys.readouterr().err
    assert told.endswith("Stopped at once; nothing was kept\nStart again with:\n  tokframe " + " ".join(words) + "\n")
    assert sorted(os.listdir()) == ["text"], "nothing was done that could be kept"


@pytest.mark.slow
@pytest.mark.trains
def test_a_second_signal_in_training_says_how_to_continue(text, monkeypatch, capsys):
    run = pytest.importorskip("tokframe_torch.run").StepRun
    words = ["lm", "train", "--tokenizer", "bpe", "--corpus", "text", "--out", "out", "--config", "lm.json"]
    (text.parent / "lm.json").write_text(
        '{"d_model": 16, "layers": 1, "heads": 2, "context": 16, "batch": 2, "steps": 9, "checkpoint_every": 2}'
    )
    real = run.update

    def twice_in_the_fourth_step(self):
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    monkeypatch.setattr(run, "update", twice_in_the_fourth_step)
    assert main(words) == 128 + signal.SIGTERM
    told = capsys.readouterr().err
    kept = text.parent / "out.training"
    assert f"Stopped at once; what was finished is kept in {kept}\nContinue with:\n" in told
    monkeypatch.setattr(run, "update", real)
    assert main([*words, "--resume"]) == 0
    assert sorted(os.listdir()) == ["lm.json", "out", "text"]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["export bpe --format huggingface --out out", "encode bpe text", "analyze bpe"])
def test_every_command_ends_on_any_signal_and_leaves_nothing(number, command, text, monkeypatch, capsys):
    signalled(monkeypatch, loading, "load", number)
    words = command.split()
    assert main([*words, "--corpus", "text"] if words[0] == "analyze" else words) == 128 + number
    assert capsys.readouterr().err.strip().endswith("Interrupted.")
    assert sorted(os.listdir()) == ["text"]


def test_under_nohup_a_lost_terminal_changes_nothing(text, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signalled(monkeypatch, UnitWriter, "__call__", signal.SIGHUP, times=3)
        assert main(["tokenize", "bpe", "--corpus", "text", "--out", "out", "--workers", "1"]) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone():
    found = []

    def work():
        with stopping(lambda: None) as stop:
            found.append(stop())
            os.kill(os.getpid(), 0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_lost_terminal_does_not_cost_what_is_done():
    def lost():
        raise OSError(5, "Input/output error")

    with stopping(lost) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop() and stop.signal == signal.SIGHUP


def test_ctrl_c_in_python_keeps_the_same_and_names_pythons_way_to_continue(text, tmp_path, monkeypatch):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signalled(monkeypatch, UnitWriter, "__call__", signal.SIGINT)
    options = {"corpus": [text], "out": tmp_path / "out", "workers": 1, "settings": ShardSettings(shard_size=20_000)}
    with pytest.raises(KeyboardInterrupt, match=r"stopped with 1 of 3 parts.*make the same call with resume=True"):
        tokenize("bpe", **options)
    assert len(tokenize("bpe", **options, resume=True).shards) == 3
    signalled(monkeypatch, tokframe.training.job.TrainJob, "documents", signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"nothing was saved$"):
        tokframe.train("word", corpus=[text], out=tmp_path / "words")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sorted(os.listdir()) == ["out", "text"]


def test_what_continues_by_itself_is_not_told_to_resume(tmp_path):
    told = pytest.raises(KeyboardInterrupt, match=r"^stopped\. To continue, call it again$")
    with told, interruptible(None, "call it again") as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        raise TrainingInterrupted("stopped", checkpoint=tmp_path)


# -- failed starts --------------------------------------------------------------------------------------------


def test_a_start_that_failed_leaves_nothing_and_the_next_one_works(text, tmp_path):
    (tmp_path / "blank").write_text("\n\n")
    for _ in range(2):
        with pytest.raises(TokframeError):
            tokframe.train("bpe", corpus=[text], config={"nonsense": 1}, out="new/out")
        with pytest.raises(TrainingInterrupted, match="nothing was saved"):
            tokframe.train("bpe", corpus=[text], out="new/out", should_stop=stop_after(0))
        with pytest.raises(ShardsError):
            tokenize("bpe", corpus=[text], out="new/out", should_stop=stop_after(0))
        with pytest.raises(CorpusError):
            tokenize("bpe", corpus=["nowhere"], out="new/out")
        assert sorted(os.listdir()) == ["blank", "text"]
    tokenize("bpe", corpus=[text], out="new/out", workers=1)


@pytest.mark.slow
def test_a_failed_start_of_training_on_torch_leaves_nothing(text, tmp_path):
    pytest.importorskip("torch")
    import tokframe_lm

    from tokframe.corpus.files import Corpus

    (tmp_path / "small").write_text("a b\n")
    small = Corpus.open(["small"])
    for _ in range(2):
        with pytest.raises(TokframeError):  # nothing in it is frequent
            tokframe.train("autoencoder-fsq", corpus=small, out="out")
        with pytest.raises(TrainingError, match="nosuch"):
            tokframe.train("autoencoder-fsq", corpus=[text], out="out", device="nosuch")
        with pytest.raises(TrainingInterrupted) as stopped:
            tokframe.train("autoencoder-fsq", corpus=[text], out="out", should_stop=stop_after(1))
        assert stopped.value.checkpoint is None
        with pytest.raises(TokframeError):
            tokframe_lm.train("bpe", corpus=small, out="out", config={"context": 512})
        with pytest.raises(TrainingError, match="nosuch"):
            tokframe_lm.train("bpe", corpus=Corpus.open(["text"]), out="out", device="nosuch")
        assert sorted(os.listdir()) == ["small", "text"]


@pytest.mark.parametrize("name", ["word", "bpe", "dictionary"])
def test_resuming_nothing_is_told_and_starts_from_the_beginning(name, text, listener):
    config = {"vocab_size": 300} if name == "dictionary" else None
    tokframe.train(name, corpus=[text], config=config, out="out", resume=True, reporter=listener)
    assert sum("nothing to resume: " in note and "Starting from the beginning" in note for note in listener.notes) == 1


def test_resuming_no_shards_is_told(text, listener):
    tokenize("bpe", corpus=[text], out="out", workers=1, resume=True, reporter=listener)
    assert any("nothing to resume: " in note for note in listener.notes)


def test_a_folder_of_somebody_elses_is_neither_used_nor_removed(text, tmp_path):
    (tmp_path / "out.training").mkdir()
    (tmp_path / "out.training" / "thesis").touch()
    for resume in (False, True):
        with pytest.raises(TrainingError, match=r"was not made by this version of tokframe\. Move it away"):
            tokframe.train("word", corpus=[text], out="out", resume=resume)
    assert os.listdir("out.training") == ["thesis"]

"""Workers and kills leave no trace: the same bytes however many there are and whichever die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from support.sharding import COMMAND, SETTINGS, Killer, content, prose
from support.stopping import never, stop_after

from tokframe.errors import EngineError, ShardsError, ShardsInterrupted, UnknownNameError
from tokframe.shards import ShardSettings, TokenShards, engines, tokenize
from tokframe.shards.job import unfinished

pytestmark = pytest.mark.slow


def test_more_workers_write_the_same_bytes(text, alone, tmp_path):
    tokenize("bpe", corpus=text, out=tmp_path / "out", workers=2, settings=SETTINGS)
    assert content(tmp_path / "out") == alone
    assert not unfinished(tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_worker_killed_at_work_loses_nothing(text, alone, tmp_path):
    killer = Killer(unfinished(tmp_path / "out"))
    tokenize("bpe", corpus=text, out=tmp_path / "out", workers=2, settings=SETTINGS, reporter=killer)
    assert killer.killed
    assert content(tmp_path / "out") == alone


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_workers_that_always_die_are_told_and_not_tried_for_ever():
    with pytest.raises(EngineError, match=r"workers died 3 times in a row .* fewer --workers"):
        list(engines.local(die, [1, 2], workers=2, should_stop=never))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker in /proc")
def test_a_worker_killed_while_it_starts_is_not_waited_for(in_processes):
    assert in_processes("starting_worker") == "[0, 1, 2, 3]\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs files without names")
def test_workers_have_nothing_in_the_temporary_folder_that_a_kill_could_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in engines.local(abs, [-1, -2, -3], workers=2, should_stop=never):
        assert os.listdir(tmp_path) == []


def test_a_full_temporary_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(EngineError, match=r"cannot write what workers need to .*gone.*TMPDIR, or use --workers 1"):
        list(engines.local(abs, [-1, -2], workers=2, should_stop=never))


def test_an_unknown_engine_is_told_with_what_there_is(toy, write, tmp_path):
    with pytest.raises(UnknownNameError, match=r"no engine named 'rya'") as error:
        tokenize(toy, corpus=[write("a.txt", "x")], out=tmp_path / "out", engine="rya")
    assert error.value.__notes__ == ["Built in: local."]
    with pytest.raises(UnknownNameError, match=r"Try: pip install .*tokframe-ray"):
        tokenize(toy, corpus=[write("a.txt", "x")], out=tmp_path / "out", engine="ray")


def test_a_stopped_run_goes_on_where_it_was(text, alone, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ShardsInterrupted, match=r"stopped with 3 of \d+ parts"):
        tokenize("bpe", corpus=text, out=out, workers=1, settings=SETTINGS, should_stop=stop_after(3))
    assert not out.exists()
    kept = {path: path.stat().st_mtime_ns for path in unfinished(out).glob("tokens-*")}
    assert len(kept) == 3
    with pytest.raises(ShardsError, match=r"holds an unfinished run\. Use --resume \(resume=True\) to continue"):
        tokenize("bpe", corpus=text, out=out, workers=1, settings=SETTINGS)
    with pytest.raises(ShardsError, match="unfinished run of other text, another tokenizer or other settings"):
        tokenize("bpe", corpus=text, out=out, workers=1, settings=ShardSettings(shard_size=1_000), resume=True)
    with pytest.raises(ShardsInterrupted):
        tokenize("bpe", corpus=text, out=out, workers=1, settings=SETTINGS, should_stop=stop_after(5), resume=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    damaged = min(kept)
    damaged.write_bytes(damaged.read_bytes()[:-2])
    tokenize("bpe", corpus=text, out=out, workers=1, settings=SETTINGS, resume=True)
    assert content(out) == alone


def test_a_changed_text_is_not_gone_on_with(toy, write, tmp_path):
    path = write("a.txt", prose(30_000))
    settings = ShardSettings(shard_size=5_000)
    with pytest.raises(ShardsInterrupted):
        tokenize(toy, corpus=[path], out=tmp_path / "out", workers=1, settings=settings, should_stop=stop_after(2))
    os.utime(path, ns=(1, 1))
    with pytest.raises(ShardsError, match="other text"):
        tokenize(toy, corpus=[path], out=tmp_path / "out", workers=1, settings=settings, resume=True)
    tokenize(toy, corpus=[path], out=tmp_path / "out", workers=1, settings=settings, overwrite=True)


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_run_killed_at_any_moment_goes_on(text, alone, tmp_path):
    words = ["tokenize", "bpe", "--corpus", *map(str, text), "--out", "out", "--shard-size", "300000", "--workers", "2"]
    work = unfinished(tmp_path / "out")
    for records in (1, 3):  # killed when so many are done
        run = subprocess.Popen([sys.executable, "-c", COMMAND, *words, "--resume"], cwd=tmp_path)
        while run.poll() is None and len(list(work.glob("units/unit-*.json"))) < records:
            time.sleep(0.002)
        run.kill()
        assert run.wait() == -signal.SIGKILL
        with pytest.raises(ShardsError, match=r"out.unfinished holds an unfinished run"):
            TokenShards.open(tmp_path / "out")
        with pytest.raises(ShardsError, match="not finished"):
            TokenShards.open(work)
    time.sleep(0.1)
    done = subprocess.run([sys.executable, "-c", COMMAND, *words, "--resume"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert content(tmp_path / "out") == alone

"""train: what it saves, what it refuses, and how it is stopped."""

from __future__ import annotations

import json
import signal

import pytest

from tokframe.cli.interruption import stopping


def test_train_saves_a_tokenizer_that_can_be_used(shipped, run):
    for name in ("b.txt", "c.md"):
        (shipped / name).write_text(name)
    code, out, err = run("train", "shipped", "--corpus", "a.txt", "b.txt", "--out", "new", "--corpus", "c.md", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["tokenizer"], facts["out"], facts["vocab_size"]) == ("shipped", "new", 261)
    assert facts["corpus"]["files"] == 3
    code, out, _ = run("train", "shipped", "--corpus", "a.txt", "--out", "new2")
    assert "saved at ./new2" in out.decode() and "tokframe compare ./new2 shipped" in out.decode()
    assert run("encode", "./new2", stdin=b"the ")[1] == b"260\n"


def test_what_is_there_already_is_overwritten_only_on_request(shipped, run):
    words = ("train", "shipped", "--corpus", "a.txt", "--out", "new")
    assert run(*words)[0] == 0
    code, out, err = run(*words)
    assert (code, out) == (1, b"") and "already exists" in err and "--overwrite" in err
    assert run(*words, "--overwrite")[0] == 0


def test_an_interrupted_training_says_how_to_continue(shipped, run):
    (shipped / "a b.txt").write_text("text")
    (shipped / "c.json").write_text('{"stop": "kept"}')
    words = ("train", "shipped", "--corpus", "a b.txt", "--out", "new", "--config", "c.json", "--seed", "3")
    code, out, err = run(*words)
    assert (code, out) == (130, b"")
    assert "stopped at step 3" in err
    again = "tokframe train shipped --corpus 'a b.txt' --out new --config c.json --seed 3 --resume"
    assert f"\nContinue with:\n  {again}\n" in err
    (shipped / "c.json").write_text('{"stop": "nothing is kept"}')
    code, out, err = run(*words)
    assert (code, out) == (130, b"")
    assert err == f"stopped at step 3; checkpoint: None\nStart again with:\n  {again.removesuffix(' --resume')}\n"


def test_training_that_a_limit_ended_says_how_to_learn_more(shipped, run):
    (shipped / "c.json").write_text('{"hurried": true}')
    words = ("train", "shipped", "--corpus", "a.txt", "--out", "new", "--config", "c.json")
    code, out, _ = run(*words)
    assert code == 0 and (shipped / "new.training").is_dir()
    assert "Continue with:\n  tokframe train shipped --corpus a.txt --out new --config c.json --overwrite --resume" in (
        out.decode()
    )
    assert run(*words)[0] == 1  # neither the tokenizer nor its checkpoint is replaced unasked
    code, out, _ = run(*words, "--overwrite", "--resume", "--json")
    assert code == 0 and json.loads(out)["finished"] is False
    (shipped / "c.json").write_text("{}")
    code, out, _ = run(*words, "--overwrite", "--resume", "--json")
    assert code == 0 and json.loads(out)["finished"] is True and not (shipped / "new.training").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fixed", "--corpus", "a.txt"), "'fixed' has no training"),
        (("shipped", "--corpus", "a.txt", "--config", "gone.json"), "gone.json"),
        (("shipped", "--corpus", "a.txt", "--config", "a.txt"), "not valid JSON"),
    ],
)
def test_training_that_cannot_begin_says_why_and_leaves_nothing(shipped, run, words, told):
    code, out, err = run("train", *words, "--out", "new")
    assert (code, out) == (1, b"") and told in err
    assert not (shipped / "new").exists()


def test_what_is_wrong_in_a_config_is_told_with_the_name_of_its_file(shipped, run):
    (shipped / "mine.json").write_text('{"odd": true}')
    code, out, err = run("train", "shipped", "--corpus", "a.txt", "--out", "new", "--config", "mine.json")
    assert (code, out, err) == (1, b"", "Error: mine.json: 1 problem\n  $.odd: unknown key\n")


def test_the_first_signal_asks_to_stop_and_the_second_interrupts():
    told = []
    with stopping(lambda: told.append(1)) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop() and stop.signal == signal.SIGINT and len(told) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

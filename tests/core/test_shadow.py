"""Shadow mode: the first tokenizer's answers, unchanged, and the record of how the other differs."""

from __future__ import annotations

import json
import os
import pickle
import re
import threading

import attrs
import numpy as np
import pytest
from support.toys import named, toy
from toy_bytes.tokenizer import ToyTokenizer

import tokframe
from tokframe.errors import ConfigError, EncodingError, InvalidTokenError, UnsupportedError
from tokframe.shadowing.tokenizer import ShadowTokenizer
from tokframe.tokenizer.results import Capabilities

TEXTS = ["the thing", "plain", "", "é 🙂 the\x00", "the the the\nthe\n"]


class Lossy(ToyTokenizer):
    """As the toy, but every `z` is unknown; counts how often it is asked."""

    capabilities = Capabilities(lossless=False, bytes_input=True, offsets=False)
    own = "only here"

    def encode_raw(self, data):
        self.asked = getattr(self, "asked", 0) + 1
        ids = super().encode_raw(data)
        return np.where(ids == 4 + ord("z"), 1, ids).astype(np.int32)


class Failing(Lossy):
    """Fails on what holds an `x`, in the way of a compiled library."""

    class PanicError(BaseException):
        pass

    def encode_raw(self, data):
        if b"x" in data:
            raise self.PanicError(f"cannot do {data!r}")
        return super().encode_raw(data)


@pytest.fixture(autouse=True)
def _host(toy_host):
    return toy_host


def first(**options):
    return toy([b"the "], **options)


def shadowed(other=None, *, wrap=False, **options):
    return tokframe.shadow(first(wrap=wrap), other or named(Lossy([b"the", b"thing"]), "lossy"), **options)


# -- the same answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("sample", [0.0, 0.5, 1.0])
def test_every_call_answers_as_the_first_does(wrap, sample):
    tok, plain = shadowed(wrap=wrap, sample=sample), first(wrap=wrap)
    for text in TEXTS:
        ids = plain.encode(text)
        assert tok.encode(text) == ids and tok.encode(text, False) == plain.encode(text, False)
        assert tok.encode_array(text).tolist() == ids and tok.encode_array(text).dtype == np.int32
        assert tok.encode_bytes(text.encode()) == plain.encode_bytes(text.encode())
        assert tok.encode_raw_list(text.encode()) == plain.encode_raw_list(text.encode())
        assert tok.decode(ids) == plain.decode(ids) and tok.decode_bytes(ids, False) == plain.decode_bytes(ids, False)
        assert tok.count(text) == plain.count(text)
        assert tok.offsets(text).char_spans.tolist() == plain.offsets(text).char_spans.tolist()
    assert tok.encode("<s>the", allowed_special=["<s>"]) == plain.encode("<s>the", allowed_special=["<s>"])
    assert tok.encode_batch(TEXTS) == plain.encode_batch(TEXTS)
    assert tok.encode_batch(TEXTS, max_length=4) == plain.encode_batch(TEXTS, max_length=4)
    assert tok.decode_batch(tok.encode_batch(TEXTS)) == TEXTS
    ours, theirs = tok.encode_batch_padded(TEXTS, max_length=6), plain.encode_batch_padded(TEXTS, max_length=6)
    assert ours.ids.tolist() == theirs.ids.tolist() and ours.mask.tolist() == theirs.mask.tolist()


def test_it_is_the_first_by_name_vocabulary_and_promises():
    tok, plain = shadowed(wrap=True), first(wrap=True)
    assert isinstance(tok, tokframe.ITokenizer)
    assert (tok.name, tok.vocab_size, tok.special_tokens) == ("toy", plain.vocab_size, plain.special_tokens)
    assert tok.capabilities == plain.capabilities and tok.template() == plain.template()
    assert tok.wrap is True and tok.token_bytes(260) == b"the "
    with pytest.raises(AttributeError):
        _ = tok.own  # the other's, not the first's
    assert "ToyTokenizer 'toy'" in repr(tok) and "Lossy 'lossy'" in repr(tok)


def test_streams_answer_as_the_first_and_are_recorded():
    tok, text = shadowed(), "the thing the other thing\n" * 20
    encoder, decoder = tok.stream_encoder(), tok.stream_decoder()
    ids = [token for at in range(0, len(text), 7) for token in encoder.feed(text[at : at + 7])] + encoder.finish()
    assert ids == first().encode(text)
    assert decoder.feed(ids) + decoder.finish() == text
    report = tok.report()
    assert report.first.bytes == len(text) and report.first.tokens == len(ids)


def test_errors_of_the_first_are_the_first_s_own():
    tok = shadowed()
    with pytest.raises(EncodingError):
        tok.encode("\ud800")
    with pytest.raises(InvalidTokenError):
        tok.decode([10_000])
    assert tok.report().texts == 0


# -- what is recorded -------------------------------------------------------------------------------------------


def test_tokens_bytes_unknowns_and_what_does_not_come_back_are_counted():
    other = named(Lossy([b"the", b"thing"]), "lossy")
    tok = tokframe.shadow(first(wrap=True), other)
    for text in ("the zoo", "the thing"):
        tok.encode(text)
    report = tok.report()
    assert (report.calls, report.texts, report.tried, report.compared, report.errors) == (2, 2, 2, 2, 0)
    plain = first()
    mine = sum(plain.count(text) for text in ("the zoo", "the thing"))
    assert (report.first.tokens, report.first.unknown, report.first.changed) == (mine, 0, 0)
    assert (report.other.tokens, report.other.unknown, report.other.changed) == (5 + 3, 1, 1)
    assert report.first.bytes == report.other.bytes == 16
    assert report.token_ratio == 8 / mine and report.changed_rate == 0.5
    assert report.other.unknown_rate == 1 / 8 and report.first.bytes_per_token == 16 / mine
    assert report.first.seconds > 0 and report.other.seconds > 0 and report.time_ratio > 0
    assert (report.first.name, report.other.name) == ("toy", "lossy")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.calls = 3


def test_unknowns_of_the_first_are_counted_too():
    tok = tokframe.shadow(named(Lossy()), first())
    tok.encode_batch(["zz", "a"])
    report = tok.report()
    assert (report.first.unknown, report.first.changed, report.other.unknown, report.other.changed) == (2, 1, 0, 0)


def test_a_truncated_answer_counts_with_the_whole_text():
    tok = shadowed(wrap=True)
    assert all(len(ids) <= 4 for ids in tok.encode_batch(TEXTS, max_length=4))
    tok.encode_batch_padded(TEXTS, max_length=4)
    assert tok.report().first.tokens == 2 * sum(first().count(text) for text in TEXTS)
    assert tok.report().first.changed == 0


def test_allowed_special_tokens_count_for_neither():
    tok = shadowed(first())
    tok.encode("<s>the </s>", allowed_special=["<s>", "</s>"])
    report = tok.report()
    assert report.first.bytes == len("the ") and report.other.changed == 0
    assert report.first.tokens == report.other.tokens == 1


@pytest.mark.slow
def test_a_batch_in_several_threads_is_recorded_whole():
    texts = [f"the zoo {number} " * 1000 for number in range(40)]
    tok = shadowed()
    assert tok.encode_batch(texts, threads=4) == first().encode_batch(texts)
    report = tok.report()
    assert report.calls > 1 and report.texts == report.compared == 40
    assert report.first.tokens == sum(map(first().count, texts)) and report.other.changed == 40


def test_all_that_encodes_nothing_is_the_first_s():
    """Methods and properties of the base class, whatever the first makes of them; those not known yet, too."""
    recorded = {"encode_parts", "stream_encoder"}
    recorded |= {"encode", "encode_array", "encode_bytes", "encode_batch", "encode_batch_padded"}
    own = {name for name, value in vars(ShadowTokenizer).items() if callable(value)} | {"from_state"}
    names = [name for name in dir(tokframe.ITokenizer) if not name.startswith("_") and name not in recorded | own]
    assert {"impossible_pairs", "stream_decoder", "decode", "special_tokens", "trains_in_processes"} <= {*names}
    answers = {
        name: property(lambda self, name=name: f"{name} of the first")
        if isinstance(vars(tokframe.ITokenizer)[name], property)
        else f"{name} of the first"
        for name in names
    }
    given = ToyTokenizer()
    tok = tokframe.shadow(given, first())
    given.__class__ = type("Own", (ToyTokenizer,), answers)
    given.name = tok.name = "name of the first"
    assert {name: getattr(tok, name) for name in names} == {name: f"{name} of the first" for name in names}


def test_nothing_recorded_gives_no_ratios():
    report = shadowed().report()
    assert (report.token_ratio, report.time_ratio, report.changed_rate, report.error_rate) == (None,) * 4
    assert report.first.bytes_per_token is None and report.first.unknown_rate is None


def test_errors_of_the_other_never_reach_the_caller_and_are_counted_by_class():
    tok = tokframe.shadow(first(), named(Failing(), "failing"))
    texts = ["a text", "fine", "xyz"]
    assert tok.encode("box") == first().encode("box")
    assert tok.encode_batch(texts) == first().encode_batch(texts)
    assert tok.encode_bytes(b"\xffx") == first().encode_bytes(b"\xffx")
    report = tok.report()
    assert report.errors == 4 and report.error_kinds == {"PanicError": 4}
    assert report.compared == 1 and report.first.bytes == report.other.bytes == len("fine")
    assert report.first.tokens == report.other.tokens == 4 and report.error_rate == 4 / 5


def test_a_first_that_cannot_decode_its_own_ids_still_answers():
    class Mute(ToyTokenizer):
        def decode_raw(self, ids):
            raise ValueError("not today")

    tok = tokframe.shadow(named(Mute()), first())
    assert tok.encode("the") == ToyTokenizer().encode("the")
    assert (tok.report().first.changed, tok.report().other.changed) == (1, 0)


def test_ctrl_c_is_no_error_of_the_other():
    class Interrupted(Lossy):
        def encode_raw(self, data):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shadowed(named(Interrupted())).encode("a")


def test_sampling_tries_a_share_and_answers_all():
    other = named(Lossy(), "lossy")
    tok = tokframe.shadow(first(), other, sample=0.25, seed=1)
    for _ in range(400):
        tok.encode("the")
    report = tok.report()
    assert report.texts == 400 and report.tried == other.asked and 50 < report.tried < 150
    again = tokframe.shadow(first(), named(Lossy()), sample=0.25, seed=1)
    again.encode_batch(["the"] * 400)
    assert again.report().tried == report.tried
    none = tokframe.shadow(first(), named(Lossy()), sample=0)
    none.encode("the")
    assert none.report().tried == 0 and not hasattr(none.other, "asked")


def test_reset_begins_at_zero():
    tok = shadowed(named(Failing()))
    tok.encode_batch(["a", "x"])
    tok.reset()
    assert tok.report() == shadowed(named(Failing())).report()


def test_threads_lose_no_count(tmp_path):
    tok = shadowed(log=tmp_path / "log.jsonl")

    def work():
        for _ in range(50):
            tok.encode("the zoo")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = tok.report()
    assert report.calls == report.tried == report.logged == 400 and report.other.unknown == 400
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert len(lines) == 400 and all(json.loads(line)["bytes"] == 7 for line in lines)


# -- the log ----------------------------------------------------------------------------------------------------


def test_the_log_holds_numbers_and_no_text(tmp_path):
    tok = shadowed(named(Failing(), "failing"), log=tmp_path / "log.jsonl")
    tok.encode_batch(["secret z", "secret x"])
    raw = (tmp_path / "log.jsonl").read_text()
    assert "secret" not in raw
    good, bad = map(json.loads, raw.splitlines())
    assert (good["bytes"], good["other_unknown"], good["other_changed"], good["error"]) == (8, 1, True, "")
    assert (bad["error"], bad["first_changed"]) == ("PanicError", False) and "other_tokens" not in bad
    assert set(good) == {
        *("time", "bytes", "error"),
        *(f"{side}_{key}" for side in ("first", "other") for key in ("tokens", "unknown", "changed", "seconds")),
    }


def test_texts_are_kept_where_asked_and_cut(tmp_path):
    tok = shadowed(log=tmp_path / "log.jsonl", keep_texts=True)
    tok.encode("a secret 🙂")
    tok.encode_bytes(b"\xff" + b"a" * 20_000)
    kept = [json.loads(line)["text"] for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert kept == ["a secret 🙂", "\ufffd" + "a" * 9_999]


def test_a_log_with_texts_acts_on_no_terminal_and_holds_a_line_each(tmp_path):
    text = "a\x9b31m\x1b[2J\u202eb\u2028c\x7f"
    shadowed(log=tmp_path / "log.jsonl", keep_texts=True).encode(text)
    (line,) = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert line.isprintable() and json.loads(line)["text"] == text


def test_the_log_is_bounded_and_says_what_it_left_out(tmp_path):
    tok = shadowed(log=tmp_path / "log.jsonl", log_limit=3)
    tok.encode_batch(["a"] * 5)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    assert (tok.report().logged, tok.report().not_logged, tok.report().tried) == (3, 2, 5)


def test_a_function_gets_the_same_facts_and_its_faults_stay_in_here():
    seen = []
    tok = shadowed(log=seen.append)
    tok.encode("the zoo")
    assert [entry["other_unknown"] for entry in seen] == [1]

    def broken(entry):
        raise OSError("full")

    tok = shadowed(log=broken)
    assert tok.encode("the") == first().encode("the")
    assert (tok.report().logged, tok.report().not_logged, tok.report().compared) == (0, 1, 1)


def test_a_log_that_vanishes_does_not_stop_the_answers(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    tok = shadowed(log=folder / "log.jsonl")
    (folder / "log.jsonl").unlink()
    folder.rmdir()
    assert tok.encode("the") == first().encode("the") and tok.report().not_logged == 1


# -- made, kept, refused ----------------------------------------------------------------------------------------


def test_names_paths_and_aliases_are_loaded(tmp_path, monkeypatch):
    folder = first().save(tmp_path / "mine")
    monkeypatch.setenv("TOKFRAME_ALIASES", f"production={folder}")
    tok = tokframe.shadow("production", folder)
    assert tok.encode("the ") == [260] and tok.report().token_ratio == 1


def test_saved_it_is_the_first(tmp_path):
    tok = shadowed(wrap=True)
    for number, save in enumerate((tok.save, lambda path: tokframe.save(tok, path))):
        again = tokframe.load(save(tmp_path / str(number)))
        assert type(again) is ToyTokenizer and again.encode("the") == tok.encode("the")
    with pytest.raises(UnsupportedError, match=r"tokframe\.shadow\(NAME, OTHER\)"):
        ShadowTokenizer.from_state(tok.state())


def test_pickled_it_is_a_shadow_that_begins_at_zero(tmp_path):
    second = named(ToyTokenizer([b"thing"]))
    tok = tokframe.shadow(first(wrap=True), second, log=tmp_path / "log.jsonl", sample=1.0)
    tok.encode("the")
    again = pickle.loads(pickle.dumps(tok))
    assert isinstance(again, ShadowTokenizer) and again.report().calls == 0
    assert again.encode("the thing") == tok.encode("the thing")
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    with_function = pickle.loads(pickle.dumps(tokframe.shadow(first(), second, log=print, keep_texts=True)))
    assert with_function.encode("the") == first().encode("the") and with_function.report().logged == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_as_log_that_nobody_reads_is_an_error_at_once_and_later_no_one_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(ConfigError, match="cannot be written"):
        shadowed(log=tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    tok = shadowed(log=tmp_path / "log")
    tok.encode("the cat")
    assert json.loads(os.read(reader, 10_000))["bytes"] == 7
    os.close(reader)
    tok.encode("the cat")
    assert (tok.report().logged, tok.report().not_logged) == (1, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sample": 1.5}, "sample: expected a share from 0 to 1, got 1.5"),
        ({"sample": True}, "sample: expected a share"),
        ({"sample": "all"}, "sample: expected a share"),
        ({"log_limit": -1}, "log_limit: expected a number of lines"),
        ({"keep_texts": True}, "texts are kept in the log only"),
        ({"log": 3}, "log: expected a path or a function, got int"),
        ({"log": "no/such/folder/log.jsonl"}, "cannot be written: No such file"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(options, says):
    with pytest.raises(ConfigError) as caught:
        shadowed(**options)
    assert says in str(caught.value)


# -- summaries ----------------------------------------------------------------------------------------------


def test_a_summary_is_written_when_it_is_due_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "shadow.json"
    tok = shadowed(summary=path, summary_every=0)
    tok.encode("a zebrafish")
    first = json.loads(path.read_text(encoding="utf-8"))
    tok.encode("another one")
    second = json.loads(path.read_text(encoding="utf-8"))
    assert (first["texts"], second["texts"]) == (1, 2)
    assert second["first"]["name"] == tok.name and second["token_ratio"] == tok.report().token_ratio
    assert second["first"]["unknown_rate"] == tok.report().first.unknown_rate
    rare = shadowed(summary=tmp_path / "rare.json", summary_every=3600)
    rare.encode("a zebrafish")
    assert not (tmp_path / "rare.json").exists()


def test_a_summary_function_gets_the_report_and_its_failure_is_counted_not_raised():
    seen = []
    tok = shadowed(summary=seen.append, summary_every=0)
    tok.encode_batch(["one text", "and another"])
    assert [report.texts for report in seen] == [2]

    def fails(report):
        raise OSError("full")

    tok = shadowed(summary=fails, summary_every=0)
    assert tok.encode("text") and tok.report().summaries_failed == 1


def test_a_summary_that_cannot_be_written_is_refused_at_once(tmp_path):
    for given in ({"summary": tmp_path / "no" / "file"}, {"summary": 3}, {"summary_every": -1}):
        with pytest.raises(ConfigError, match=next(iter(given))):
            shadowed(**given)


def test_prometheus_reads_counters_of_both_tokenizers():
    tok = shadowed()
    tok.first.name = 'a"b\\c\nd'
    tok.encode("a zebrafish")
    text = tok.to_prometheus()
    report = tok.report()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'tokframe_shadow_\w+\{(\w+="(?:[^"\\]|\\.)*",?)+\} [\d.e+-]+', line) for line in lines)
    values = dict(line.rsplit(" ", 1) for line in lines)
    both = r'first="a\"b\\c\nd",other="lossy"'
    assert values[f"tokframe_shadow_texts_total{{{both}}}"] == "1"
    assert values[f'tokframe_shadow_tokens_total{{{both},side="other"}}'] == str(report.other.tokens)
    for side, found in (("first", report.first), ("other", report.other)):
        unknown = float(values[f'tokframe_shadow_unknown_total{{{both},side="{side}"}}'])
        assert unknown == pytest.approx(found.unknown_rate * found.tokens)
    names = {line.split("{")[0] for line in lines}
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == names


def test_memory_does_not_grow_with_the_kinds_of_errors():
    class Many(Lossy):
        def encode_raw(self, data):
            raise type(f"Error{id(data)}{data.decode()}", (Exception,), {})

    tok = shadowed(Many([]))
    for number in range(300):
        tok.encode(f"text {number}")
    report = tok.report()
    assert report.errors == 300 and len(report.error_kinds) == 101 and report.error_kinds["other"] == 200

"""What is exported gives, in Hugging Face, the ids, offsets and text of the original."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import imported
from tokenizers import processors
from tokframe_huggingface.export import export
from tokframe_huggingface.reading import read

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import UnsupportedError
from tokframe.testing.fresh import run_fresh

pytestmark = pytest.mark.slow

TEXTS = [
    "",
    "the cat sat on the mat\n",
    "naïve café 漢字かな हिन्दी 🙂👩‍👩‍👧‍👦 e\u0301\x00\u2028",
    "<pad> <unk> <s> </s> [CLS]",
    " two  spaces\t\n\n\r\nend \n",
    "x" * 5000 + "\n" * 9 + "é" * 2500 + "\n" * 5000 + "中" * 1500 + "\nend",
]
PARTS = ["a", "é", "漢", "🙂", "\n", " ", "the ", "    ", "\r\n", "==", "<s>", "0"]
LINES = st.lists(st.sampled_from(PARTS), max_size=60)


@pytest.fixture
def quick(monkeypatch):
    """The exporter compares less: what it finds is not what the test is about."""
    monkeypatch.setattr(sys.modules[export.__module__], "SAMPLE_CHARS", 2000)


@pytest.fixture
def few_texts(monkeypatch):
    """The exporter compares on next to nothing: what it writes is what the test is about."""
    monkeypatch.setattr(sys.modules[export.__module__], "samples", lambda: iter(TEXTS[:5]))


def check_same(original, hugging_face, text):
    found = hugging_face(text, return_offsets_mapping=True)
    ids = original.encode(text)
    assert len(found["input_ids"]) == len(ids)
    assert found["attention_mask"] == [1] * len(ids)
    assert hugging_face.decode(ids) == original.decode(ids, skip_special=False)
    assert hugging_face.decode(found["input_ids"]) == original.decode(ids, skip_special=False)
    assert found["input_ids"] == ids
    assert [list(span) for span in found["offset_mapping"]] == original.offsets(text).char_spans.tolist()


@pytest.fixture(scope="module")
def hugging_face(exported, auto_tokenizer):
    return auto_tokenizer.from_pretrained(str(exported[0]))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_awkward_texts_are_the_same(original, hugging_face, text):
    check_same(original, hugging_face, text)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=60) | LINES.map("".join))
def test_any_text_is_the_same(original, hugging_face, text):
    check_same(original, hugging_face, text)


def test_source_code_is_the_same(original, hugging_face):
    documents = itertools.islice(Corpus.open(["stdlib:heldout"]).documents(), 2)
    for line in itertools.islice((line for text in documents for line in text.splitlines(True)), 1000):
        check_same(original, hugging_face, line)


def test_long_lines_are_cut_at_the_same_bytes(original, hugging_face):
    for size in range(4090, 4100):
        for character in ("é", "中", "🙂"):
            check_same(original, hugging_face, "a" * size + character * 3 + "\n\n" + "b" * 3)
        check_same(original, hugging_face, "a" * size + "\n" * 8 + "b")


def test_padding_and_special_tokens_are_the_same(original, hugging_face):
    texts = ["a", "<pad> and <s>", "b b b"]
    batch = hugging_face(texts, padding=True)
    padded = original.encode_batch_padded(texts)
    assert batch["attention_mask"] == padded.mask.tolist()
    assert batch["input_ids"] == padded.ids.tolist()
    for role, text in {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}.items():
        assert getattr(hugging_face, f"{role}_token") == text
        assert getattr(hugging_face, f"{role}_token_id") == original.special_tokens[text]
    assert len(hugging_face) == original.vocab_size
    ids = [2, *original.encode("b b"), 3, 0]
    assert hugging_face.decode(ids, skip_special_tokens=True) == original.decode(ids)
    assert hugging_face.decode(ids) == original.decode(ids, skip_special=False)


@pytest.fixture(scope="module")
def chatty(original, auto_tokenizer, tmp_path_factory):
    """An export that finds special tokens, with one more and a chat template, as who trains a chat model has it."""
    folder = tmp_path_factory.mktemp("chatty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[export.__module__], "samples", lambda: iter(TEXTS[:5]))
        assert all(check.ok for check in export(original, folder, special_tokens="found"))
    made = auto_tokenizer.from_pretrained(str(folder))
    made.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    made.chat_template = "{% for m in messages %}<|turn|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    return made


def test_chat_templates_and_tokens_added_later_work_where_special_tokens_are_found(original, chatty, tmp_path):
    turn = original.vocab_size
    chatty.save_pretrained(tmp_path)
    for made in (chatty, type(chatty).from_pretrained(tmp_path)):
        ids = made.apply_chat_template([{"role": "user", "content": "hi"}], return_dict=False)
        assert ids == [turn, *original.encode("hi"), made.eos_token_id]
        for text in TEXTS[1:]:
            assert made(text)["input_ids"] == original.encode(text, allowed_special=original.special_tokens)
            assert made(text, split_special_tokens=True)["input_ids"] == original.encode(text)


def test_what_users_write_can_be_kept_text_in_a_chat(chatty):
    special = {*chatty.all_special_ids}
    ids = chatty.apply_chat_template(
        [{"role": "user", "content": "<|turn|> a </s>"}], return_dict=False, sanitize_control_tokens=True
    )
    assert [token for token in ids if token in special] == [ids[0], ids[-1]]


def test_every_id_has_the_same_text(original, hugging_face):
    ids = range(0, original.vocab_size, 37)
    found = [hugging_face.decode([token]) for token in ids]
    assert found == [original.decode([token], skip_special=False) for token in ids]


def test_the_exporter_says_itself_what_is_the_same(original, exported):
    _, checks = exported
    assert checks["number of ids"].ok and checks["offsets"].ok and checks["text"].ok
    assert checks["ids"].ok


@pytest.mark.usefixtures("quick")
def test_a_difference_is_found_and_told(tmp_path):
    class Altered(type(tokframe.load("bpe"))):
        def encode_raw(self, data):
            return super().encode_raw(data)[::-1]

    state = tokframe.load("bpe").state()
    altered = Altered.from_state(state)
    checks = {check.name: check for check in export(altered, tmp_path)}
    assert not checks["ids"].ok and "different for" in checks["ids"].detail
    assert checks["number of ids"].ok


def test_hugging_face_needs_no_tokframe(exported, auto_tokenizer):
    source = """
    import sys; sys.modules["tokframe"] = None
    from tokenizers import Tokenizer
    print(len(Tokenizer.from_file(sys.argv[1]).encode("the cat").ids))
    """
    assert run_fresh(source, exported[0] / "tokenizer.json") > 0


@pytest.mark.usefixtures("quick")
def test_the_command_writes_a_folder_and_says_what_is_the_same(tmp_path, capsys):
    out = tmp_path / os.fsdecode(b"caf\xe9")  # no UTF-8
    assert main(["export", "bpe", "--format", "huggingface", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is True and told["files"] == ["tokenizer.json", "tokenizer_config.json"]
    assert main(["export", "bpe", "--format", "huggingface", "--out", str(out)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main(["export", "bpe", "--format", "huggingface", "--out", str(out), "--overwrite"]) == 0
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.usefixtures("few_texts")
@pytest.mark.parametrize(("choice", "found"), [((), True), (("text",), False)])
def test_the_command_says_what_becomes_of_special_tokens(tmp_path, capsys, choice, found):
    words = ["export", "bpe", "--format", "huggingface", "--out", str(tmp_path / "out"), "--json"]
    assert main([*words, *(("--special-tokens", *choice) if choice else ())]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["same"] and told["checks"][-1]["detail"].startswith("found in texts" if found else "text in texts")
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["split_special_tokens"] is not found


@pytest.mark.usefixtures("few_texts")
def test_an_imported_tokenizer_keeps_special_tokens_text_unless_asked(tmp_path):
    theirs = imported.byte_level(("t", "h"), ["<|endoftext|>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    made = read(tmp_path / "tokenizer.json")
    for choice, split in (("auto", True), ("text", True), ("found", False)):
        checks = export(made, tmp_path, special_tokens=choice)
        assert all(check.ok for check in checks), checks
        assert json.loads((tmp_path / "tokenizer_config.json").read_text())["split_special_tokens"] is split


def test_a_format_without_that_choice_refuses_it_and_is_not_given_it(tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("tokframe.loading.exporting.load_target", lambda spec: lambda tokenizer, folder: given)
    words = ["export", "bpe", "--format", "huggingface", "--out", str(tmp_path / "out")]
    assert main([*words, "--special-tokens", "text"]) == 1
    assert "has no choice of special tokens. Leave out --special-tokens text" in capsys.readouterr().err
    assert os.listdir(tmp_path) == [] and main(words) == 0


ROLES = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


@pytest.mark.usefixtures("few_texts")
@pytest.mark.parametrize(
    ("roles", "processor"),
    [
        (ROLES, None),
        ({"pad": "<pad>", "unk": "<unk>", "bos": "<bos>", "eos": "<eos>", "mask": "<mask>", "cls": "<cls>"}, None),
        ({"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>", "mask": "<mask>"}, processors.RobertaProcessing),
        ({**ROLES, "cls": "[FIRST]", "sep": "[LAST]"}, processors.BertProcessing),
        ({"unk": "[UNK]", "bos": "<|begin_of_text|>", "eos": "<|end_of_text|>", "pad": "<|padding|>"}, None),
    ],
)
def test_roles_of_special_tokens_survive_import_and_export(tmp_path, auto_tokenizer, roles, processor):
    if processor is processors.RobertaProcessing:
        roles = {**roles, "cls": "<s>", "sep": "</s>"}  # two roles each
    names = list(dict.fromkeys(roles.values()))
    theirs = imported.word_pieces([roles["unk"], *names, "the", "cat"], names, unknown=roles["unk"])
    if processor is not None:
        sep, cls = ((roles[role], theirs.token_to_id(roles[role])) for role in ("sep", "cls"))
        theirs.post_processor = processor(sep, cls)
        theirs.enable_truncation(128)
    theirs.save(str(tmp_path / "tokenizer.json"))
    made = tokframe.load(read(tmp_path / "tokenizer.json").save(tmp_path / "theirs"))
    assert all(check.ok for check in export(made, tmp_path, special_tokens="auto"))
    found = auto_tokenizer.from_pretrained(str(tmp_path))
    assert {role: getattr(found, f"{role}_token") for role in roles} == roles
    assert (found.model_max_length == 128) is (processor is not None)  # how much its model takes
    assert found.vocab_size == made.vocab_size and len(found) == made.vocab_size


def test_only_an_export_is_replaced(tmp_path, capsys):
    (tmp_path / "diary.txt").write_text("mine")
    assert main(["export", "bpe", "--format", "huggingface", "--out", str(tmp_path), "--overwrite"]) == 1
    assert "was not made by tokframe" in capsys.readouterr().err
    assert Path(tmp_path / "diary.txt").read_text() == "mine"


def test_an_unknown_format_is_answered_with_those_there_are(tmp_path, capsys):
    assert main(["export", "bpe", "--format", "huginface", "--out", str(tmp_path / "x")]) == 1
    assert "Did you mean 'huggingface'" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_a_tokenizer_without_a_model_is_refused(toy_host, tmp_path):
    toy = tokframe.create(toy_host.registry.names("tokenizer")[0])
    with pytest.raises(UnsupportedError, match=r"cannot be exported\. Supported: .*model\(\)"):
        export(toy, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("quick")
def test_any_tokenizer_with_a_model_is_exported(toy_host, tmp_path):
    toy = tokframe.create(toy_host.registry.names("tokenizer")[0])
    pieces = tuple(map(toy.token_bytes, range(toy.vocab_size)))
    model = tokframe.TokenizerModel(algorithm="bpe", pieces=pieces, special=toy.special_tokens)
    toy.model = lambda: model
    assert [check.name for check in export(toy, tmp_path) if not check.ok] == []
    toy.model = lambda: attrs.evolve(model, algorithm="lookup")
    with pytest.raises(UnsupportedError, match=r"algorithm is 'lookup'\. Supported: unigram, bpe, wordlevel"):
        export(toy, tmp_path)

"""Tokenizers made elsewhere give the ids of their own library, and promise only what they keep."""

from __future__ import annotations

import json
import pickle

import pytest
from support import imported
from support.imported import word_pieces
from tokenizers import processors
from tokframe_huggingface.reading import PATTERNS, read

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError, UnsupportedError
from tokframe.testing import TokenizerContract

pytestmark = pytest.mark.slow

TEXT = "the cat 漢字 is sitting\n\n <s> 🙂 don't"


def saved(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer) if isinstance(tokenizer, dict) else tokenizer.to_str(), encoding="utf-8")
    return path


def word_piece():
    made = word_pieces(["[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "cafe"], ["[CLS]", "[SEP]"])
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    return made


def byte_level(**changes):
    return {**json.loads(imported.byte_level(("t", "h"), ["<s>"]).to_str()), **changes}


@pytest.fixture
def tiktoken_one(ranks):
    pytest.importorskip("tiktoken")
    return read(ranks, pattern="gpt2", special={"<|end|>": 300})


@pytest.fixture
def spm_one(spm):
    return read(spm)


def back_again(tokenizer, tmp_path):
    yield pickle.loads(pickle.dumps(tokenizer))
    yield tokframe.load(tokenizer.save(tmp_path / "artifact"))


class TestTokenizerJsonContract(TokenizerContract):
    name = "imported-huggingface"

    @pytest.fixture
    def tokenizer(self, tmp_path):
        return read(saved(byte_level(), tmp_path))


class TestTiktokenContract(TokenizerContract):
    name = "imported-tiktoken"

    @pytest.fixture
    def tokenizer(self, tiktoken_one):
        return tiktoken_one


class TestTokenizerJson:
    def test_a_byte_level_one_keeps_any_bytes(self, tmp_path):
        made = read(saved(byte_level(), tmp_path))
        assert made.capabilities.lossless and made.capabilities.bytes_input and not made.capabilities.streaming
        data = b"the\xff\x00\xe6\xbc cat" + TEXT.encode()
        assert made.decode_bytes(made.encode_bytes(data)) == data
        assert made.decode(made.encode(TEXT)) == TEXT
        assert made.offsets(TEXT).char_spans[0].tolist() == [0, 2]

    @pytest.mark.parametrize(
        "changes",
        [
            {"normalizer": {"type": "NFC"}},
            {"normalizer": {"type": "Lowercase"}},
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        ],
    )
    def test_one_that_changes_text_does_not_promise_it_back(self, tmp_path, changes):
        made = read(saved(byte_level(**changes), tmp_path))
        assert not made.capabilities.lossless and not made.capabilities.bytes_input
        with pytest.raises(UnsupportedError, match="0xff at position 1"):
            made.encode_bytes(b"a\xff")

    def test_one_without_all_bytes_does_not_promise_them(self, tmp_path):
        data = byte_level()
        data["model"]["vocab"]["zz"] = data["model"]["vocab"].pop("A")
        assert not read(saved(data, tmp_path)).capabilities.lossless

    def test_word_pieces_are_as_hugging_face_has_them(self, tmp_path):
        theirs = word_piece()
        made = read(saved(theirs, tmp_path))
        text = "The cats  sat, Café [SEP]"
        assert made.encode(text)[:4] == theirs.encode(text).ids[:4] == [1, 3, 4, 5]
        assert made.template() == ((1,), (2,))
        plain = theirs.encode("The cats sat", add_special_tokens=False)
        assert made.offsets("The cats sat").char_spans.tolist() == [list(span) for span in plain.offsets]
        assert made.decode(made.encode("The cats sat")) == "the cats sat"
        assert made.token_bytes(5) == b"s"
        assert made.special_tokens == {"[CLS]": 1, "[SEP]": 2}
        assert not made.capabilities.lossless

    def test_truncation_and_dropout_of_the_file_do_not_count(self, tmp_path):
        data = byte_level(truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0})
        data["model"]["dropout"] = 0.9
        made = read(saved(data, tmp_path))
        assert {tuple(made.encode("th" * 50)) for _ in range(5)} == {tuple(made.encode("th") * 50)}

    def test_it_can_be_saved_pickled_and_exported(self, tmp_path):
        from tokframe_huggingface.export import export

        made = read(saved(word_piece(), tmp_path))
        for other in back_again(made, tmp_path):
            assert other.encode(TEXT) == made.encode(TEXT)
            assert other.capabilities == made.capabilities
        (tmp_path / "again").mkdir()
        assert all(check.ok for check in export(made, tmp_path / "again"))

    def test_one_with_unused_ids_is_exported_as_it_came(self, tmp_path):
        from tokframe_huggingface.export import export

        data = byte_level()
        data["model"]["vocab"] = {name: 2 * number for name, number in data["model"]["vocab"].items()}
        data["added_tokens"][0]["id"] = 1000
        data["model"]["vocab"]["<s>"] = 1000
        made = read(saved(data, tmp_path))
        assert made.special_tokens["<unused 1>"] == 1 and made.special_tokens["<s>"] == 1000
        (tmp_path / "again").mkdir()
        checks = {check.name: check for check in export(made, tmp_path / "again")}
        assert checks["ids"].ok and checks["offsets"].ok and checks["text"].ok


class TestTiktoken:
    def test_ids_are_tiktokens(self, tiktoken_one, ranks):
        import tiktoken
        from tiktoken.load import load_tiktoken_bpe

        theirs = tiktoken.Encoding(
            "x", pat_str=PATTERNS["gpt2"], mergeable_ranks=load_tiktoken_bpe(str(ranks)), special_tokens={}
        )
        assert tiktoken_one.capabilities.bytes_input
        assert tiktoken_one.encode(TEXT) == theirs.encode_ordinary(TEXT)
        assert tiktoken_one.decode(tiktoken_one.encode(TEXT)) == TEXT
        assert tiktoken_one.offsets(" the漢").char_spans.tolist() == [[0, 4], [4, 5]]

    def test_special_tokens_are_those_given(self, tiktoken_one):
        assert tiktoken_one.special_tokens["<|end|>"] == 300
        assert tiktoken_one.vocab_size == 301
        assert 300 not in tiktoken_one.encode("<|end|>")
        assert tiktoken_one.decode([300], skip_special=False) == "<|end|>"

    def test_ids_that_are_not_used_are_special_and_never_given(self, tiktoken_one, ranks, tmp_path):
        assert tiktoken_one.special_tokens["<unused 299>"] == 299
        assert tiktoken_one.token_bytes(299) == b"<unused 299>"
        assert tiktoken_one.decode([299, 97, 300]) == "a"
        assert 299 not in tiktoken_one.encode("<unused 299>")
        assert main(["verify", str(tiktoken_one.save(tmp_path / "saved"))]) == 0
        with pytest.raises(ArtifactCorruptError, match="too sparse for a vocabulary"):
            read(ranks, pattern="gpt2", special={"<|end|>": 2_000_000_000})

    @pytest.mark.parametrize("name", PATTERNS)
    def test_the_named_patterns_cut_like_tiktokens_own(self, ranks, name, monkeypatch):
        tiktoken = pytest.importorskip("tiktoken")
        from tiktoken_ext import openai_public

        monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_args, **_more: {})
        monkeypatch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", lambda **_more: {})
        theirs = openai_public.ENCODING_CONSTRUCTORS[name]()["pat_str"]
        made = read(ranks, pattern=name)
        tokens = tiktoken.load.load_tiktoken_bpe(str(ranks))
        other = tiktoken.Encoding("x", pat_str=theirs, mergeable_ranks=tokens, special_tokens={})
        for text in (TEXT, "I'LL they'll 1234567 \r\n\n  x\t\u00a0é's ǅa ½ ٣٤ /\n"):
            assert made.encode(text) == other.encode_ordinary(text)

    def test_a_pattern_that_leaves_text_out_does_not_promise_it_back(self, ranks):
        pytest.importorskip("tiktoken")
        made = read(ranks, pattern=r"\p{L}+")
        assert not made.capabilities.lossless and not made.capabilities.offsets

    def test_the_pattern_must_be_named(self, ranks):
        with pytest.raises(ArtifactError, match="--pattern gpt2 or cl100k_base"):
            read(ranks)

    def test_a_pattern_that_is_none_is_told(self, ranks):
        pytest.importorskip("tiktoken")
        with pytest.raises(ArtifactCorruptError, match="does not work with the pattern"):
            read(ranks, pattern="(")

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda lines: lines[:200], "no token for the byte 0xc8"),
            (lambda lines: [*lines, b"!!! 3"], "base64 and a rank in line 268"),
            (lambda lines: [*lines, b"eHl6 5"], "duplicate or negative ranks"),
        ],
    )
    def test_a_damaged_file_is_refused(self, ranks, tmp_path, change, problem):
        pytest.importorskip("tiktoken")
        path = tmp_path / "damaged.tiktoken"
        path.write_bytes(b"\n".join(change(ranks.read_bytes().splitlines())))
        with pytest.raises(ArtifactCorruptError, match=problem):
            read(path, pattern="gpt2")


class TestSentencePiece:
    def test_ids_offsets_and_text_are_sentencepieces(self, spm_one, spm):
        import sentencepiece

        theirs = sentencepiece.SentencePieceProcessor(model_file=str(spm))
        for text in ("the cat sat", TEXT, "  spaces  ", ""):
            assert spm_one.encode(text) == theirs.encode(text)
            assert spm_one.decode(spm_one.encode(text)) == theirs.decode(theirs.encode(text))
        assert spm_one.vocab_size == theirs.get_piece_size()
        found = spm_one.offsets("é the cat")
        assert found.ids.tolist() == theirs.encode("é the cat")
        spelt = ["é the cat"[a:b] for a, b in found.char_spans.tolist()]
        assert "".join(spelt) == "é the cat" and spelt[-1] == spm_one.token_bytes(int(found.ids[-1])).decode()
        assert found.char_spans[-1][1] == 9 and found.byte_spans[-1][1] == 10

    def test_it_promises_little(self, spm_one):
        assert not spm_one.capabilities.lossless and not spm_one.capabilities.bytes_input
        with pytest.raises(UnsupportedError, match="encodes only text"):
            spm_one.encode_bytes(b"\xff")

    def test_special_pieces_are_told_and_kept(self, spm_one):
        assert set(spm_one.special_tokens) == {"<unk>", "<s>", "</s>"}
        ids = [spm_one.special_tokens["<s>"], *spm_one.encode("the cat")]
        assert spm_one.decode(ids, skip_special=False) == "<s>the cat"
        assert spm_one.decode(ids) == "the cat"
        byte = next(n for n in range(spm_one.vocab_size) if spm_one.token_bytes(n) == b"\xff")
        assert byte > 0

    def test_it_can_be_saved_and_pickled(self, spm_one, tmp_path):
        for other in back_again(spm_one, tmp_path):
            assert other.encode(TEXT) == spm_one.encode(TEXT)

    def test_a_truncated_model_is_refused(self, spm, tmp_path):
        path = tmp_path / "short.model"
        path.write_bytes(spm.read_bytes()[:2001])
        with pytest.raises(ArtifactCorruptError, match="sentencepiece"):
            read(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04", "never opened"),
        (b"\x80\x04\x95", "never opened"),
        (b"GGUF\x03", "GGUF"),
        (b"\x10\0\0\0\0\0\0\0{}", "safetensors"),
        (b"#version: 0.2\na b\n", "merges.txt"),
        (b'{"tokenizer_class": "X"}', "tokenizer_config.json"),
        (b'{"a": 0, "b": 1}', "bare vocabulary"),
        (b"[1]", "without the 'model'"),
        (b"{", "looks like JSON"),
        (b"hello\nworld\n", "not a tokenizer file"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, content, what):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=what) as error:
        read(path)
    assert "tokenizer.json, a tiktoken file or a sentencepiece model" in str(error.value)


def test_a_tokenizer_json_that_hugging_face_cannot_read_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"type": "Nonsense"}}')
    with pytest.raises(ArtifactCorruptError, match="cannot be read by Hugging Face tokenizers"):
        read(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="there is no file"):
        read(tmp_path / "nothing")
    saved(byte_level(), tmp_path)
    with pytest.raises(ArtifactError, match=r"Use the file: .*tokenizer\.json"):
        read(tmp_path)


def test_the_command_makes_a_tokenizer_that_compares(tmp_path, capsys):
    path = saved(byte_level(), tmp_path)
    out = tmp_path / "theirs"
    assert main(["import", str(path), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokenizer"] == "imported-huggingface" and told["capabilities"]["lossless"] is True
    assert main(["verify", str(out)]) == 0
    capsys.readouterr()
    assert main(["import", str(path), "--out", str(out)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main(["import", str(path), "--out", str(tmp_path / "x"), "--pattern", "gpt2"]) == 1
    assert "not a tiktoken file" in capsys.readouterr().err
    assert main(["import", str(path), "--out", str(tmp_path / "x"), "--special", "nonsense"]) == 2
    assert "TEXT=ID" in capsys.readouterr().err

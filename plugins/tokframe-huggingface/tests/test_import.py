"""Tokenizers made elsewhere give the ids of their own library, and promise only what they keep."""

from __future__ import annotations

import json
import pickle
import subprocess

import pytest
from support import imported
from support.imported import word_pieces
from tokenizers import Tokenizer, processors
from tokframe_huggingface.imported.common import check_reach
from tokframe_huggingface.reading import PATTERNS, read
from tokframe_huggingface.tokenizer_json import to_json

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError, EncodingError, UnsupportedError
from tokframe.evaluate.measures import measure
from tokframe.testing import TokenizerContract
from tokframe.tokenizer.table import ALPHABET

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


def with_special(model, special, **parts):
    """Return the data of a tokenizer.json with special tokens at the ids that their texts have in its model."""
    vocab = model["vocab"]
    ids = vocab if isinstance(vocab, dict) else {piece: number for number, (piece, _) in enumerate(vocab)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"model": model, "added_tokens": [{"id": ids[text], "content": text, **plain} for text in special], **parts}


def unigram(special):
    letters = [(letter, -5.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    model = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], *((text, 0.0) for text in special), *letters]}
    return with_special(model, special, pre_tokenizer={"type": "Metaspace", "replacement": "▁"})


def looked_up(special, **parts):
    vocab = {text: number for number, text in enumerate(["<unk>", *special, "a", "b", "/s>"])}
    return with_special({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}, special, **parts)


def longest_match(special):
    vocab = {text: number for number, text in enumerate(["[UNK]", *special, "a", "##b", "[", "##]"])}
    model = {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
    model["max_input_chars_per_word"] = 100
    return with_special(model, special, pre_tokenizer={"type": "WhitespaceSplit"})


def merged(special, pairs=True, **changes):
    """Return a byte-level BPE whose merges lead to each special token, from the left."""
    parts = sorted({text[:end] for text in special for end in range(2, len(text))} - {*special})
    names = [*sorted(ALPHABET), *parts, *special]
    merges = [(text[:end], text[end]) for text in (*special,) for end in range(1, len(text))]
    model = {"type": "BPE", "vocab": {name: number for number, name in enumerate(names)}}
    model["merges"] = [list(merge) if pairs else " ".join(merge) for merge in dict.fromkeys(merges)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return with_special({**model, **changes}, special, pre_tokenizer=level, decoder=level)


def ids_by_hugging_face(data, text):
    theirs = Tokenizer.from_str(json.dumps(data))
    theirs.encode_special_tokens = True
    return theirs.encode(text, add_special_tokens=False).ids


REACHED = {
    "unigram": unigram(["</s>", "<pad>"]),
    "words": looked_up(["</s>", "[CLS]"], pre_tokenizer={"type": "WhitespaceSplit"}),
    "words of lower case": looked_up(["</s>", "[cls]"], normalizer={"type": "Lowercase"}),
    "words of one width": looked_up(["</s>"], normalizer={"type": "NFKC"}),
    "the text as one word": looked_up(["</s>", "a b"]),
    "word pieces": longest_match(["[CLS]", "[SEP]"]),
    "merges": merged(["</s>", "<|end|>"]),
    "merges as texts": merged(["</s>"], pairs=False),
    "whole words before merges": merged(["</s>", "Ġ<s>"], ignore_merges=True),
}


class TestSpecialTokensThatTheModelWouldFind:
    @pytest.mark.parametrize("name", REACHED)
    def test_they_stay_text_here_and_in_an_export(self, name, tmp_path):
        data = REACHED[name]
        made = read(saved(data, tmp_path))
        special = {made.special_tokens[text] for text in made.special_tokens} - {made.unknown_id}
        exported = to_json(made)
        assert special & {*ids_by_hugging_face(data, " ".join(made.special_tokens))} or len(made.special_tokens) > 1
        for text in made.special_tokens:
            for attack in (text, f"a {text} a", f"x{text}y", text * 2, text.upper(), "＜/s＞", f" {text[1:]}"):
                ids = made.encode(attack, False)
                assert not special & {*ids}
                assert ids_by_hugging_face(exported, attack) == ids
                assert made.encode_batch([attack], False) == [ids]
                if made.capabilities.lossless:
                    assert made.decode(made.encode(attack)) == attack
        assert made.encode("a b", False) == ids_by_hugging_face(data, "a b") or "a b" in made.special_tokens
        assert made.capabilities.lossless == (data["model"]["type"] == "BPE")

    def test_a_piece_that_is_only_a_prefix_is_no_unused_id(self, tmp_path):
        data = longest_match(["[CLS]"])
        data["model"]["vocab"]["##"] = len(data["model"]["vocab"])
        made = read(saved(data, tmp_path))
        assert made.token_bytes(made.encode("##")[0]) == b"##" and [*made.special_tokens] == ["[CLS]"]

    def test_nor_where_the_model_drops_what_stands_between(self, tmp_path):
        model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
        data = with_special(model, ["ab"])
        assert ids_by_hugging_face(data, "a?b") == [2]  # no token for "?", so what is around it comes together
        assert read(saved(data, tmp_path)).encode("a?b", False) == [0, 1]

    @pytest.mark.parametrize(
        "data",
        [
            looked_up(["$"], pre_tokenizer={"type": "WhitespaceSplit"}),
            merged(["!"]),
            with_special(
                {"type": "BPE", "vocab": {"<0x61>": 0, "b": 1}, "merges": [], "byte_fallback": True}, ["<0x61>"]
            ),
            longest_match(["##c"]),
        ],
    )
    def test_one_that_cannot_be_kept_out_is_refused(self, data, tmp_path):
        with pytest.raises(ArtifactCorruptError, match='Change "special" to false for it in added_tokens'):
            read(saved(data, tmp_path))

    @pytest.mark.parametrize("kind", ["word", "char", "bpe"])
    def test_control_pieces_stay_text_in_sentencepiece_models(self, kind, tmp_path):
        path = tmp_path / "small.model"
        options = {"model_type": kind, "add_dummy_prefix": False, "control_symbols": ["a", "cat"]}
        path.write_bytes(imported.sentencepiece_model("the cat sat a", byte_fallback=False, **options))
        made = read(path)
        control = {*made.special_tokens.values()} - {made.unknown_id}
        assert len(control) == 4
        for text in ("</s>", "a cat", "cat", "the cat</s> a"):
            assert not control & {*made.encode(text)}

    def test_a_library_that_finds_one_all_the_same_is_not_trusted(self):
        class Library:
            unknown_id = 0

            def encode(self, text, add_special):
                return [0, 1, 2] if "</s>x" in text else [0]

        special = {"<unk>": 0, "<s>": 1, "</s>": 2}
        with pytest.raises(ArtifactCorruptError, match="file encodes text to the id 1 of its special token '<s>'"):
            check_reach(Library(), "file", {**special, "x": 3})
        check_reach(Library(), "file", {"<unk>": 0, "<s>": 1})


class TestFilesThatContradictThemselves:
    @staticmethod
    def refused(data, tmp_path, problem):
        with pytest.raises(ArtifactCorruptError, match=problem):
            read(saved(data, tmp_path))

    @pytest.mark.parametrize(
        ("number", "problem"),
        [(10**9, "the id 1000000000, which the library makes 258"), (7, "the id 7, that of .* in the vocabulary")],
    )
    def test_special_tokens_have_the_library_s_ids(self, number, problem, tmp_path):
        data = byte_level()
        data["added_tokens"].append({**data["added_tokens"][0], "content": "<more>", "id": number})
        self.refused(data, tmp_path, problem)

    def test_two_of_one_id_or_one_text_are_refused(self, tmp_path):
        data = byte_level()
        data["added_tokens"].append({**data["added_tokens"][0], "content": "<more>"})
        self.refused(data, tmp_path, "'<more>' has the id 257")
        data["added_tokens"][1] = {**data["added_tokens"][0], "special": False}
        self.refused(data, tmp_path, "'<s>' is listed twice")
        data = looked_up(["</s>"])
        data["model"]["vocab"]["c"] = 1
        self.refused(data, tmp_path, "one id for two tokens: '</s>', 'c'")

    def test_a_post_processor_that_disagrees_is_refused(self, tmp_path):
        theirs = Tokenizer.from_str(json.dumps(byte_level()))
        for single, number, problem in (
            ("<s> $A", 3, "gives '<s>' the id 3"),
            ("$A <s> $A", 257, "does more than put"),
        ):
            theirs.post_processor = processors.TemplateProcessing(single, None, [("<s>", number)])
            self.refused(json.loads(theirs.to_str()), tmp_path, problem)

    def test_a_post_processor_that_doubles_or_drops_the_text_or_fails_is_refused(self, tmp_path, capfd):
        text, mark = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 0}}
        given = {"<s>": {"id": "<s>", "ids": [257], "tokens": ["<s>"]}}
        for single, known, problem in (
            ([text, text], given, "does more than put"),
            ([mark], given, "does more than put"),
            ([mark, text], {}, "a post_processor that fails"),
        ):
            template = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": known}
            self.refused({**byte_level(), "post_processor": template}, tmp_path, problem)
        assert capfd.readouterr().err.count("panicked") <= 1

    def test_ids_of_one_file_never_overwrite_a_special_token(self, tmp_path):
        data = looked_up(["<unused 7>"])
        data["model"]["vocab"]["far"] = 8
        made = read(saved(data, tmp_path))
        assert made.special_tokens["<unused 7>"] == 1 and made.special_tokens["<<unused 7>>"] == 7


class TestOtherLayouts:
    def test_a_model_without_its_type_is_the_same(self, tmp_path):
        for data in (byte_level(), json.loads(word_piece().to_str())):
            typed = read(saved(data, tmp_path))
            del data["model"]["type"]
            untyped = read(saved(data, tmp_path))
            assert untyped.capabilities == typed.capabilities and untyped.model().algorithm == typed.model().algorithm
            assert untyped.model().pieces == typed.model().pieces
            assert untyped.encode(TEXT) == typed.encode(TEXT)

    @pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_is_no_part_of_the_file(self, codec, tmp_path):
        path = saved(byte_level(), tmp_path)
        plain = read(path)
        path.write_text(path.read_text(encoding="utf-8"), encoding=codec)
        assert read(path).state().files == plain.state().files

    def test_special_tokens_are_put_around_a_text_that_has_no_a(self, tmp_path):
        model = {"type": "BPE", "vocab": {"你": 0, "好": 1, "[CLS]": 2, "[SEP]": 3}, "merges": []}
        theirs = Tokenizer.from_str(json.dumps(with_special(model, ["[CLS]", "[SEP]"])))
        template = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B", [("[CLS]", 2), ("[SEP]", 3)])
        for steps in (template, processors.Sequence([processors.ByteLevel(trim_offsets=False), template])):
            theirs.post_processor = steps
            made = read(saved(theirs, tmp_path))
            assert made.template() == ((2,), (3,)) and made.encode("你好") == theirs.encode("你好").ids


class TestUnknown:
    @pytest.mark.parametrize(
        ("data", "unknown"),
        [
            (unigram(["</s>"]), 0),
            (looked_up([]), 0),
            (longest_match([]), 0),
            (with_special({"type": "WordLevel", "vocab": {"a": 0, "<UNK>": 1}, "unk_token": "<UNK>"}, ["<UNK>"]), 1),
            (with_special({"type": "BPE", "vocab": {"a": 0, "UNK": 1}, "merges": [], "unk_token": "UNK"}, []), 1),
            (with_special({"type": "BPE", "vocab": {"a": 0}, "merges": []}, []), None),
            (merged(["<unk>"]), None),
        ],
    )
    def test_it_is_what_the_file_says(self, data, unknown, tmp_path):
        made = read(saved(data, tmp_path))
        for tokenizer in (made, *back_again(made, tmp_path)):
            assert tokenizer.unknown_id == tokenizer.model().unknown == unknown
            assert tokenizer.textless_ids == {
                *tokenizer.special_tokens.values(),
                *([] if unknown is None else [unknown]),
            }
        if unknown is not None:
            assert unknown in made.encode("?")

    def test_sentencepiece_s_has_any_text(self, tmp_path):
        path = tmp_path / "small.model"
        path.write_bytes(
            imported.sentencepiece_model(
                "the cat", vocab_size=60, byte_fallback=False, unk_piece="(what)", unk_id=3, pad_id=0
            )
        )
        assert read(path).unknown_id == 3 and 3 in read(path).encode("漢")

    def test_tiktoken_knows_every_byte(self, tiktoken_one):
        assert tiktoken_one.unknown_id is None

    def test_it_is_counted_by_compare_and_by_a_shadow(self, tmp_path):
        data = with_special({"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"}, [])
        made = read(saved({**data, "pre_tokenizer": {"type": "WhitespaceSplit"}}, tmp_path))
        text = tmp_path / "text.txt"
        text.write_text("a b a c")
        (file,) = tokframe.Corpus.open([text]).files
        assert measure(made, file).unknown_rate == 0.5
        both = tokframe.shadow(made, made)
        both.encode("a b")
        assert (both.report().first.unknown, both.report().other.unknown, both.unknown_id) == (1, 1, 1)


class TestPromises:
    def test_lossless_is_promised_only_if_encode_and_decode_keep_it(self, tmp_path):
        data = byte_level()
        data["added_tokens"].append({**data["added_tokens"][0], "content": "<mask>", "id": 258, "lstrip": True})
        assert read(saved(data, tmp_path)).capabilities.lossless  # no special token is found in text
        data["added_tokens"][-1]["special"] = False
        assert not read(saved(data, tmp_path)).capabilities.lossless
        theirs = Tokenizer.from_str(json.dumps(byte_level()))
        theirs.post_processor = processors.TemplateProcessing("th $A", None, [("th", theirs.token_to_id("th"))])
        made = read(saved(theirs, tmp_path))
        assert not made.capabilities.lossless  # what is put before each text is no special token, so it is decoded

    def test_an_added_token_that_is_also_spelled_for_bytes_is_noticed(self, tmp_path):
        data = byte_level()
        plain = {**data["added_tokens"][0], "special": False}
        data["added_tokens"] = [{**plain, "content": "ģ", "id": data["model"]["vocab"]["ģ"]}, *data["added_tokens"]]
        assert not read(saved(data, tmp_path)).capabilities.lossless


class TestFailuresOfTheLibraries:
    def test_a_pattern_that_gives_up_is_an_encoding_error(self, ranks, tmp_path, capfd):
        pytest.importorskip("tiktoken")
        model = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
        split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
        hostile = read(saved(with_special(model, [], pre_tokenizer=split), tmp_path))
        for made in (hostile, read(ranks, pattern="(a|aa)+(?=$)|.")):
            for call in (made.encode, made.count, lambda text, made=made: made.encode_batch([text])):
                with pytest.raises(EncodingError, match="cannot encode 'aaaa"):
                    call("a" * 40 + "b")
            assert made.encode("b" if made is not hostile else "a")
        capfd.readouterr()  # the traces that Rust prints

    def test_what_is_nested_too_deep_is_refused(self, tmp_path):
        path = tmp_path / "tokenizer.json"
        path.write_text('{"model":' + "[" * 100_000 + "]" * 100_000 + "}")
        with pytest.raises(ArtifactError, match="cannot be parsed"):
            read(path)

    def test_merges_that_would_end_the_process_are_refused(self, tmp_path):
        model = {"type": "BPE", "vocab": {"a": 0, "é": 1, "aé": 2}, "merges": [["a", "é"]]}
        with pytest.raises(ArtifactCorruptError, match="has no '#' before its second part"):
            read(saved({"model": {**model, "continuing_subword_prefix": "#"}}, tmp_path))

    def test_an_added_token_that_is_normalized_to_nothing_is_refused(self, tmp_path):
        data = looked_up(["aa"], normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": ""})
        data["added_tokens"][0]["normalized"] = True
        with pytest.raises(ArtifactCorruptError, match="removes the text of its added token 'aa'"):
            read(saved(data, tmp_path))


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
        for special, problem in (
            ({"<a>": 300, "<b>": 300}, "has the token '<a>' of the id of special token '<b>', 300"),
            ({"<a>": 97}, "has the token 'a' of the id of special token '<a>', 97"),
            ({"<a>": -1}, "cannot have a special token '<a>' of the id -1"),
            ({"": 300}, "cannot have a special token ''"),
        ):
            with pytest.raises(ArtifactCorruptError, match=problem):
                read(ranks, pattern="gpt2", special=special)
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
        for pattern in ("(", "x*"):
            with pytest.raises(ArtifactCorruptError, match="does not work with the pattern"):
                read(ranks, pattern=pattern)
        with pytest.raises(ArtifactError, match=r"'p50k_base' is not the name of a pattern\. Use --pattern gpt2 or"):
            read(ranks, pattern="p50k_base")

    @pytest.mark.parametrize("special", [{"\ud800": 300}, {5: 300}, {"": 300}, {"<x>": True}, {"<x>": 300.0}])
    def test_special_tokens_are_texts_with_ids(self, ranks, special):
        pytest.importorskip("tiktoken")
        with pytest.raises(ArtifactCorruptError, match="give it a text and an id"):
            read(ranks, pattern="gpt2", special=special)

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


def test_a_file_may_come_through_a_pipe(tmp_path):
    path = saved(byte_level(), tmp_path)
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
        piped = read(f"/dev/fd/{cat.stdout.fileno()}")
    assert piped.encode("a the") == read(path).encode("a the")


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="there is no file"):
        read(tmp_path / "nothing")
    saved(byte_level(), tmp_path)
    with pytest.raises(ArtifactError, match=r"Use the file: .*tokenizer\.json"):
        read(tmp_path)


@pytest.mark.parametrize("path", ["n" * 5000, "/proc/self/mem", "a\0b"])
def test_a_path_that_cannot_be_read_is_our_error(path):
    with pytest.raises(ArtifactError, match=r"cannot be read|there is no file"):
        read(path)


@pytest.mark.parametrize("rank", ["9" * 4000, str(1 << 64), "400000"])
def test_a_rank_far_from_all_others_is_refused_at_once_and_shown_in_a_line(ranks, tmp_path, rank):
    pytest.importorskip("tiktoken")
    path = tmp_path / "far.tiktoken"
    path.write_bytes(ranks.read_bytes() + b"YWJjZGVmZ2g= " + rank.encode() + b"\n")
    with pytest.raises(ArtifactCorruptError, match="too sparse") as error:
        read(path, pattern="gpt2")
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "special", [{"\ud800": 300}, {"<s>": 1 << 80}, {"<s>": True}, {"<s>": 1.0}, {5: 300}, {"": 300}]
)
def test_a_special_token_of_another_kind_is_refused(ranks, special):
    pytest.importorskip("tiktoken")
    with pytest.raises(ArtifactCorruptError, match="cannot have a special token"):
        read(ranks, pattern="gpt2", special=special)


def test_the_command_makes_a_tokenizer_that_compares(tmp_path, capsys):
    path = saved(byte_level(), tmp_path)
    out = tmp_path / "theirs"
    assert main(["import", str(path), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tokenizer"] == "imported-huggingface" and told["capabilities"]["lossless"] is True
    assert told["unknown_id"] is None
    assert main(["verify", str(out)]) == 0
    capsys.readouterr()
    assert main(["import", str(path), "--out", str(out)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main(["import", str(path), "--out", str(tmp_path / "x"), "--pattern", "gpt2"]) == 1
    assert "not a tiktoken file" in capsys.readouterr().err
    for special, told in (
        (["nonsense"], "TEXT=ID"),
        (["<s>=" + "9" * 5000], "TEXT=ID"),
        (["<s>=300", "<s>=301"], "'<s>' is given twice, as 300 and 301"),
    ):
        words = [word for text in special for word in ("--special", text)]
        assert main(["import", str(path), "--out", str(tmp_path / "x"), *words]) == 2
        assert told in capsys.readouterr().err

"""Vocabularies of words made without tokframe: the ids of their own library or rules, and what is refused."""

from __future__ import annotations

import json
import random
import string
from collections import Counter

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokframe_huggingface.reading import read

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ArtifactCorruptError, ArtifactError, TokframeError
from tokframe.evaluate.measures import measure

TEXTS = [
    "The cat sat on the mat. Don't!",
    "  two\u00a0spaces\u2003and\x1ca\x85separator \n\t ",
    "ΟΔΟΣ ΣΑΣ Σ İstanbul STRASSE straße ΌΣΟΣ'",
    "café CAFÉ 漢字 🙂 [UNK] <pad> unk",
    "",
    "don't (stop), (now)",
]


@pytest.fixture(scope="module")
def lines():
    """Return held-out text, and the words of it that are to be known."""
    text = "".join(part for _, part in Corpus.open(["stdlib:heldout"]).slices(40_000, 2_000))
    return [*TEXTS, *text.splitlines()]


def most_frequent(words, special, size=400):
    return [*special, *(word for word, _ in Counter(words).most_common(size) if word not in special)]


def written(tmp_path, content, name="vocab.txt"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def expected(vocab, unknown, words):
    ids = {word: number for number, word in enumerate(vocab)}
    return [ids.get(word, ids[unknown]) for word in words]


# -- the same ids as the original ---------------------------------------------------------------------------


@pytest.mark.parametrize("lowercase", [False, True])
def test_words_between_white_space_are_those_of_python(tmp_path, lines, lowercase):
    def split(text):
        return (text.lower() if lowercase else text).split()

    vocab = most_frequent([word for line in lines[::2] for word in split(line)], ["<pad>", "UNK"])
    made = read(written(tmp_path, "\n".join(vocab) + "\n"), lowercase=lowercase, unknown="UNK", pad="<pad>")
    for line in lines:
        if "<pad>" not in line:  # which is text here, and the padding there
            assert made.encode(line) == expected(vocab, "UNK", split(line))
    assert made.vocab_size == len(vocab) and made.unknown_id == 1 and made.special_tokens == {"<pad>": 0}


@pytest.mark.parametrize(
    ("theirs", "split"),
    [
        (pre_tokenizers.Whitespace(), r"\w+|[^\w\s]+"),
        (pre_tokenizers.Split(" ", "removed"), "[^ ]+"),
    ],
)
def test_a_regular_expression_gives_the_ids_of_hugging_face_word_level(tmp_path, lines, theirs, split):
    words = [word for line in lines[::2] for word, _ in theirs.pre_tokenize_str(line)]
    vocab = {word: number for number, word in enumerate(most_frequent(words, ["[PAD]", "[UNK]", "[BOS]", "[EOS]"]))}
    original = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    original.pre_tokenizer = theirs
    made = read(written(tmp_path, vocab, "vocab.json"), split=split)
    for line in lines:
        if "[UNK]" not in line:
            assert made.encode(line) == original.encode(line).ids
    assert dict(made.special_tokens) == {"[PAD]": 0, "[UNK]": 1, "[BOS]": 2, "[EOS]": 3}


def test_word_pieces_of_a_vocabulary_are_those_of_bert(tmp_path, lines):
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *(f"##{c}" for c in "abcdeinrst")]
    vocab += ["the", "cat", "##ing", "import", "def", "self", "##ed", "(", ")", ".", "字"]
    original = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocab)}, unk_token="[UNK]"))
    original.normalizer = normalizers.BertNormalizer(lowercase=True)
    original.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    original.decoder = decoders.WordPiece(cleanup=False)
    made = read(written(tmp_path, "\r\n".join(vocab)), lowercase=True)
    for line in lines:
        assert made.encode(line) == original.encode(line).ids
    assert made.decode(made.encode("The cats")) == original.decode(original.encode("The cats").ids)
    assert made.special_tokens["[MASK]"] == 4 and made.unknown_id == 1


def keras_texts_to_sequences(config, text):
    """Return ids as `keras.preprocessing.text.Tokenizer.texts_to_sequences` does (its algorithm, written anew)."""
    text = text.lower() if config["lower"] else text
    text = text.translate(dict.fromkeys(map(ord, config["filters"]), config["split"]))
    index, count = json.loads(config["word_index"]), config["num_words"]
    found = [index.get(word) for word in text.split(config["split"]) if word]
    return [index["<OOV>"] if number is None or (count and number >= count) else number for number in found]


@pytest.mark.parametrize("count", [None, 50])
@pytest.mark.parametrize("lower", [False, True])
def test_a_tokenizer_of_keras_is_read_with_its_own_rules(tmp_path, lines, count, lower):
    config = {
        "num_words": count,
        "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        "lower": lower,
        "split": " ",
        "char_level": False,
        "oov_token": "<OOV>",
        "document_count": 9,
    }
    words = [word for line in lines[::2] for word in line.lower().split()]
    config["word_index"] = json.dumps({word: n for n, word in enumerate(most_frequent(words, ["<OOV>"]), 1)})
    made = read(written(tmp_path, {"class_name": "Tokenizer", "config": config}, "keras.json"))
    for line in lines:
        assert made.encode(line) == keras_texts_to_sequences(config, line)
    assert made.special_tokens["<pad>"] == 0 and made.unknown_id == 1


def test_the_vocabulary_of_a_text_vectorization_layer_begins_with_an_empty_line(tmp_path, lines):
    def split(text):  # standardize="lower_and_strip_punctuation", as the layer's documentation has it
        return "".join(character for character in text.lower() if character not in string.punctuation).split()

    vocab = most_frequent([word for line in lines[::2] for word in split(line)], ["", "[UNK]"])
    remove = "[" + "".join("\\" + mark for mark in string.punctuation) + "]"
    for content, name in (("\n".join(vocab), "vocab.txt"), (vocab, "vocab.json")):
        made = read(written(tmp_path, content, name), lowercase=True, remove=remove)
        for line in lines:
            assert made.encode(line) == expected(vocab, "[UNK]", split(line))
        assert made.special_tokens["<pad>"] == 0


def test_the_split_rule_of_word_keeps_white_space(tmp_path):
    word = tokframe.load("word")
    vocab = ["<pad>", "<unk>", "the", " ", "cat", ".", "\n", "don't"]
    made = read(written(tmp_path, vocab, "vocab.json"), split="word")
    text = "the cat. don't\nthe  dog"
    pieces = [text[start:end] for start, end in word.offsets(text).char_spans.tolist()]
    assert made.encode(text) == expected(vocab, "<unk>", pieces)
    assert made.decode(made.encode("the cat.\n")) == "the cat.\n"


# -- like any other tokenizer -------------------------------------------------------------------------------


def test_it_is_saved_loaded_shadowed_and_measured_with_its_unknown_words_counted(tmp_path, capsys):
    path = written(tmp_path, {"NONE": 1, "the": 2, "cat": 3, "PAD": 0}, "vocab.json")
    out = str(tmp_path / "theirs")
    words = ["import", str(path), "--unknown", "NONE", "--pad", "PAD", "--lowercase", "--out", out, "--json"]
    assert main(words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["unknown_id"] == 1 and shown["vocab_size"] == 4 and shown["special_tokens"] == {"PAD": 0}
    made = tokframe.load(out)
    text = "The cat saw THE dog NONE"
    assert made.encode(text) == [2, 3, 1, 2, 1, 1]
    assert made.encode_batch_padded(["the", "the cat"]).ids.tolist() == [[2, 0], [2, 3]]
    shadow = tokframe.shadow(out, "word")
    assert shadow.encode(text) == made.encode(text) and shadow.report().first.unknown == 3
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text(text, encoding="utf-8")
    assert measure(made, Corpus.open([tmp_path / "text"]).files[0]).unknown == 3


def test_a_special_token_is_out_of_reach_of_text(tmp_path):
    made = read(written(tmp_path, "<pad>\n<unk>\n<s>\n</s>\nthe\n"), begin="<s>", end="</s>")
    assert {*made.encode("the <s> </s> <pad> x")} == {4, 1}


# -- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "kind", "what"),
    [
        ({"[UNK]": 0, "the": 2}, {}, ArtifactCorruptError, "none for id 1.*each needs a word"),
        ({"[UNK]": 1, "the": 2}, {}, ArtifactCorruptError, "none for id 0.*--pad"),
        ({"[UNK]": 0, "the": 1, "cat": 1}, {}, ArtifactCorruptError, "one id, 1, for 'the' and 'cat'"),
        ('{"[UNK]": 0, "the": 1, "the": 2}', {}, ArtifactCorruptError, "'the' twice"),
        ({"[UNK]": 0, "the": -1}, {}, ArtifactCorruptError, "'the' the id -1"),
        ({"[UNK]": 0, "the": True}, {}, ArtifactCorruptError, "'the' the id True"),
        ({"[UNK]": 0, "the": 1.0}, {}, ArtifactCorruptError, "'the' the id 1.0"),
        ({"[UNK]": 0, "": 1}, {}, ArtifactCorruptError, "'' the id 1"),
        ({"[UNK]": 0, "the": 10**30}, {}, ArtifactCorruptError, "id"),
        ('{"[UNK]": 0, "\\ud800": 1}', {}, ArtifactCorruptError, "no text"),
        (["[UNK]", 3], {}, ArtifactCorruptError, "3 in entry 1"),
        ({"the": 0, "cat": 1}, {}, ArtifactError, "--unknown NAME"),
        ({"Ġthe": 0, "cat": 1}, {}, ArtifactError, "of BPE pieces.*tokenizer.json"),
        ({"[UNK]": 0, "the": 1}, {"unknown": "[unk]"}, ArtifactError, r"no entry '\[unk\]'.*Did you mean '\[UNK\]'"),
        ("[UNK]\nthe\ncat\nthe\n", {}, ArtifactCorruptError, "'the' twice, in line 2 and line 4"),
        ("[UNK]\nthe\n\ncat\n", {}, ArtifactCorruptError, "line 3, which is no word"),
        ("[UNK]\nthe\n", {"split": "spaces"}, ArtifactError, "'spaces' is not the name of a split rule"),
        ("[UNK]\nthe\n", {"split": "(the"}, ArtifactError, "--split .*no regular expression"),
        ("[UNK]\nthe\n", {"remove": "[a"}, ArtifactError, "--remove .*no regular expression"),
        ("[UNK]\nthe\n_\n", {"pad": "_"}, ArtifactCorruptError, "special token '_'"),
        ("[UNK]\nthe\n", {"pattern": "gpt2"}, ArtifactError, "Use --split"),
        ({"config": {"word_index": "{}", "filters": "", "split": " "}}, {}, TokframeError, "vocabulary"),
        (
            {"config": {"word_index": '{"a": 1}', "filters": "", "split": " ", "oov_token": None}},
            {},
            ArtifactError,
            "no oov_token.*--unknown",
        ),
    ],
)
def test_a_vocabulary_that_contradicts_itself_or_lacks_something_says_what_to_do(
    tmp_path, capsys, content, options, kind, what
):
    path = written(tmp_path, content, "vocab")
    with pytest.raises(kind, match=what):
        read(path, **options)
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert main(["import", str(path), *words, "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    assert "bug" not in capsys.readouterr().err


def test_options_of_words_do_not_go_with_another_file(tmp_path):
    path = written(tmp_path, {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}, "tokenizer.json")
    with pytest.raises(ArtifactError, match=r"has its own rules\. Leave out --lowercase"):
        read(path, lowercase=True)


def test_damaged_vocabularies_are_tokenizers_or_our_errors(tmp_path):
    chance = random.Random(0)
    good = json.dumps({"[UNK]": 0, **{f"w{n}": n for n in range(1, 20)}}).encode()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        (tmp_path / "vocab").write_bytes(data)
        try:
            assert read(tmp_path / "vocab").encode("w1 w2 w3", False)
        except TokframeError:
            continue

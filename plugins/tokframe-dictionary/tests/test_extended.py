"""More ids for other text: those there are stay as they are, and the new ones are worth it beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from support.scripts import GREEK, written
from tokframe_dictionary.vocabulary.table import Vocabulary

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactExistsError, ConfigError, TrainingError, UnsupportedError
from tokframe.loading.inspection import verify

DOMAIN = "whereas the party of the first part, hereinafter the licensor,\n" * 60 + written(GREEK, 300)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("domain") / "law.txt"
    path.write_text(DOMAIN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def extended(saved: Path, domain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("extended") / "out"
    tokframe.extend(saved, corpus=[domain], vocab_size=460, out=out)
    return out


def spelled(tokenizer: tokframe.ITokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]


def test_ids_stay_as_they_are_and_new_ones_follow(saved: Path, extended: Path) -> None:
    old, new = tokframe.load(saved), tokframe.load(extended)
    assert new.vocab_size == 460 and spelled(new)[:400] == spelled(old)
    assert len(set(spelled(new))) == 460
    assert new.special_tokens == old.special_tokens
    assert new.training_counts()[:400].tolist() == old.training_counts().tolist()
    assert (new.training_counts()[400:] > 0).all()


def test_the_text_it_was_made_for_needs_fewer_ids_and_is_encoded_exactly(saved: Path, extended: Path) -> None:
    old, new = tokframe.load(saved), tokframe.load(extended)
    assert new.count(DOMAIN) < 0.7 * old.count(DOMAIN)
    assert new.decode(new.encode(DOMAIN)) == DOMAIN
    assert verify(extended).ok
    assert "α".encode() in spelled(new)  # characters of the text have ids here too


def test_the_old_vocabulary_is_the_new_one_pruned(saved: Path, extended: Path) -> None:
    old, new = tokframe.load(saved), tokframe.load(extended)
    assert spelled(new.prune(400)) == spelled(old)
    assert spelled(new.prune(300)) == spelled(old.prune(300))
    assert set(spelled(new.prune(430))) > set(spelled(old))
    assert "extended.json" in new.prune(430).files and "extended.json" not in new.prune(400).files


def test_candidates_are_valued_beside_the_ids_there_are(tmp_path: Path) -> None:
    (tmp_path / "first.txt").write_text("the cat sat on the mat\n" * 200)
    (tmp_path / "more.txt").write_text("the cat sat on the mat\n" * 200 + "xq zv\n" * 8)
    tokframe.train("dictionary", corpus=[tmp_path / "first.txt"], vocab_size=300, out=tmp_path / "old")
    new = tokframe.extend(tmp_path / "old", corpus=[tmp_path / "more.txt"], vocab_size=302, out=tmp_path / "new")
    added = spelled(new)[tokframe.load(tmp_path / "old").vocab_size :]
    assert any(b"xq" in segment or b"zv" in segment for segment in added)  # the others are frequent, and needless


def test_a_vocabulary_without_ranks_is_extended_without(saved: Path) -> None:
    tensors = load_file(saved / "vocabulary.safetensors")
    del tensors["ranks"]
    import numpy as np

    grown = Vocabulary.from_tensors(tensors).extended([b"new!"], {b"new!": 3}, np.zeros(1, np.int64))
    assert grown.token_bytes(400) == b"new!" and grown.counts[400] == 3 and not len(grown.ranks)


def test_extending_twice_counts_all_added_ids(extended: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("zanzibar quixotic vexation\n" * 40)
    twice = tokframe.extend(extended, corpus=[tmp_path / "more.txt"], vocab_size=470, out=tmp_path / "out")
    assert json.loads(twice.files["extended.json"])["ids"] == {
        "added": twice.vocab_size - 400,
        "after": twice.vocab_size,
        "before": 460,
    }


def test_the_command_writes_info_and_json(
    saved: Path, domain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    command = ["extend", str(saved), "--corpus", str(domain), "--vocab-size", "420", "--out", out]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["vocab_size"], found["before"], found["without_code"], found["corpus"]["files"]) == (
        420,
        400,
        None,
        1,
    )
    assert main(["info", out, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)["extended"]
    assert record["ids"] == {"added": 20, "after": 420, "before": 400}
    assert record["corpus"][0]["source"] == "law" and len(record["corpus"][0]["sha256"]) == 64
    assert main(command) == 1
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 400, True, 10**12, "500"])
def test_a_size_that_is_no_larger_is_refused(saved: Path, domain: Path, tmp_path: Path, size: object) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size: is .*; use more than 400, .* For fewer: tokframe prune"):
        tokframe.extend(saved, corpus=[domain], vocab_size=size, out=tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_text_that_needs_no_more_ids_is_told(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("abcdefghijk\n")
    with pytest.raises(TrainingError, match="no segment"):
        tokframe.extend(saved, corpus=[tmp_path / "empty.txt"], vocab_size=500, out=tmp_path / "out")


def test_a_place_that_is_taken_and_a_tokenizer_of_another_kind_are_refused(
    saved: Path, domain: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactExistsError):
        tokframe.extend(saved, corpus=[domain], vocab_size=500, out=saved)
    with pytest.raises(UnsupportedError, match=r"word cannot be given more ids\. Train it again"):
        tokframe.extend("word", corpus=[domain], vocab_size=50_000, out=tmp_path / "out")

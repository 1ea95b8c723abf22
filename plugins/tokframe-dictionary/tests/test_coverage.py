"""Coverage: which characters and beginnings of characters a vocabulary must hold, and that ids of parts stay exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.scripts import GREEK, HAN, written
from tokframe_dictionary.mining.blocks import BLOCKS, block_characters, block_range
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.coverage import (
    BEGINNINGS,
    BEGINNINGS_SHARE,
    CHARACTERS_SHARE,
    Required,
    required_segments,
)
from tokframe_dictionary.mining.pruning import Pruning
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.segmenter.segmenter import Segmenter

import tokframe
from tokframe.errors import ConfigError

BYTES = [bytes([value]) for value in range(256)]
LARGE = 32_508


def required(*sources: str, size: int = LARGE, longest: int = 16, **settings: Any) -> list[bytes]:
    made = [Source(name=str(number), data=source.encode()) for number, source in enumerate(sources)]
    return list(required_segments(made, MiningConfig(**settings), size, longest).all)


def characters(segments: list[bytes]) -> set[str]:
    return {segment.decode() for segment in segments if segment not in BEGINNINGS}


def test_every_character_of_the_basic_plane_costs_two_tokens_at_most() -> None:
    search = Segmenter([*BYTES, *BEGINNINGS], range(256 + len(BEGINNINGS)))
    every = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xF900 and code != 10]
    assert max(search.count(character.encode()) for character in every) == 2
    for beyond in ("🙂", "𞤀", "🤖", "🛒", "𑄀"):  # pictographs, Adlam, Chakma
        assert search.count(beyond.encode()) == 2


def test_what_begins_a_character_is_never_the_whole_of_one_or_a_beginning_of_none() -> None:
    for beginning in BEGINNINGS:
        with pytest.raises(UnicodeDecodeError, match="unexpected end"):
            beginning.decode()


def test_characters_of_a_source_make_up_the_coverage_asked_for() -> None:
    han = written(HAN, 4_000)
    few, many = (characters(required(han, character_coverage=share, least=1)) for share in (0.5, 0.999))
    for share, found in ((0.999, many), (0.99, few)):  # of a script, 99% is the floor
        assert sum(character in found or character < "\x80" for character in han) >= share * len(han)
    assert few < many <= set(HAN)


def test_a_small_source_is_covered_beside_a_large_one() -> None:
    english, greek = "the cat sat on the mat\n" * 20_000, written(GREEK, 40)
    assert characters(required(english, greek, least=1)) == set(greek) - {"\n"}


def test_an_alphabet_is_covered_even_where_it_is_a_vanishing_part_of_a_source() -> None:
    mixed = "the cat sat on the mat\n" * 20_000 + written(GREEK, 40)
    rare = [character for character in GREEK if mixed.count(character) < 4]
    assert characters(required(mixed, character_coverage=0.9)) == set(GREEK) - set(rare)


def test_a_character_is_left_out_that_the_whole_text_has_too_seldom() -> None:
    assert characters(required("ж" * 3 + "\n", "ж\n" + "щ" * 3 + "\n", character_coverage=1.0)) == {"ж"}


def test_coverage_zero_and_no_prefixes_require_nothing() -> None:
    assert required(written(HAN, 50), character_coverage=0, prefixes=False) == []
    assert set(required(written(HAN, 50), character_coverage=0)) == set(BEGINNINGS)


def test_the_most_frequent_characters_come_first_and_weigh_as_their_source() -> None:
    one, other = (Source(name=name, data=f"{name * 9}\n".encode(), weight=w) for name, w in (("ж", 1.0), ("щ", 2.0)))
    assert required_segments([one, other], MiningConfig(prefixes=False), LARGE, 16).all == ("щ".encode(), "ж".encode())


@pytest.mark.parametrize("size", [40, 1_000, 4_000])
def test_by_default_characters_and_beginnings_take_a_share_of_a_small_vocabulary(size: int) -> None:
    found = required(written(HAN, 9_000) + written(GREEK, 90), size=size, least=1)
    beginnings = [segment for segment in found if segment in BEGINNINGS]
    assert len(characters(found)) == min(len(set(HAN + GREEK)), int(size * CHARACTERS_SHARE))
    assert len(beginnings) <= int(size * BEGINNINGS_SHARE)
    assert {"一".encode()[:2]} <= set(beginnings) <= {character.encode()[:2] for character in HAN}


def test_segments_are_no_longer_than_those_of_the_tokenizer() -> None:
    found = required("🙂🤖" * 9 + "ж" * 9 + "中" * 9, longest=2)
    assert characters(found) == {"ж"}
    assert {len(segment) for segment in found} == {2}


def test_a_coverage_that_does_not_fit_says_what_would() -> None:
    def problem(size: int) -> str:
        with pytest.raises(ConfigError) as caught:
            required(written(HAN, 9_000), size=size, character_coverage=1.0)
        ((path, said),) = caught.value.problems
        assert path == "$.mining.character_coverage"
        return said

    start = "1.0 takes 600 characters, and a vocabulary of 850 ids has room for 580; "
    assert problem(590) == start + "use 0.995 (576), or use a vocab_size of at least 870"
    assert "has room for 490; leave it out, or use a vocab_size of at least 870" in problem(500)
    assert len(characters(required(written(HAN, 9_000), size=590, character_coverage=0.995))) == 576
    assert len(characters(required(written(HAN, 9_000), size=610, character_coverage=1.0))) == 600


def test_whole_blocks_get_ids_whatever_the_text_has() -> None:
    assert characters(required("the cat", blocks=("Cyrillic", "Basic Latin"))) == set(map(chr, range(0x400, 0x500)))
    assert {"ά", "Ω"} < characters(required("the cat", blocks=("Greek and Coptic",)))
    with pytest.raises(ConfigError, match=r"mining\.blocks: 11,172 characters, and a vocabulary of 8,260 ids has room"):
        required("the cat", size=8_000, blocks=("Hangul Syllables",))


def test_an_unknown_block_is_a_problem_of_the_config_that_names_the_nearest() -> None:
    (problem,) = MiningConfig(blocks=("Cyrilic",)).issues()
    assert problem == ("blocks", "'Cyrilic' is no Unicode block; did you mean 'Cyrillic'?")


def test_blocks_are_those_of_unicode() -> None:
    assert block_range("Cyrillic") == range(0x400, 0x500)
    assert block_range("Emoticons") == range(0x1F600, 0x1F650)
    assert len(block_characters("CJK Unified Ideographs")) >= 20_989
    assert sorted(BLOCKS.values()) == list(BLOCKS.values())
    assert all(start % 16 == 0 for start in BLOCKS.values())


def test_pruning_keeps_what_is_required_and_the_best_of_the_rest() -> None:
    source = Source(name="x", data=b"abab cdcd\n" * 100)
    needless = ["ж".encode(), b"\xe4\xb8", b"zz"]
    pool = Pruning(
        sources=[source],
        config=SelectionConfig(keep=0.5),
        required=Required(
            (
                *needless,
                b"q",
            )
        ),
    ).prune([b"ab", b"cd", b"abab", *needless], 4)
    assert set(pool.segments) == {b"cd", *needless}


def test_a_character_without_an_id_costs_two_tokens_after_training(covered: Path) -> None:
    tokenizer = tokframe.load(covered)
    for character in "鳥쓰ញ🙂":  # in none of the text
        ids = tokenizer.encode(character)
        assert len(ids) == 2
        assert tokenizer.token_bytes(ids[0]) in BEGINNINGS
        assert tokenizer.offsets(character).char_spans.tolist() == [[0, 1], [0, 1]]
        stream = tokenizer.stream_decoder()
        assert [stream.feed(ids[:1]), stream.feed(ids[1:])] == ["", character]
    for character in HAN[:50] + GREEK:
        assert tokenizer.count(character) == 1


@pytest.mark.slow
def test_an_export_gives_the_same_ids_and_offsets_within_characters(covered: Path, tmp_path: Path) -> None:
    hugging_face = pytest.importorskip("tokframe_huggingface.export")
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokframe.load(covered)
    assert all(check.ok for check in hugging_face.export(tokenizer, tmp_path))
    exported = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (written(HAN, 20, seed=1), written(GREEK, 20, seed=1), "鳥쓰ញ🙂 the 鳥鳥\n" * 3, "쓰" * 1_500):
        found = exported.encode(text)
        assert found.ids == tokenizer.encode(text)
        assert [list(span) for span in found.offsets] == tokenizer.offsets(text).char_spans.tolist()


def test_a_smaller_vocabulary_keeps_its_share_of_characters_and_of_beginnings() -> None:
    whole = Required(tuple(bytes([200, value]) for value in range(100)), tuple(bytes([230, v]) for v in range(100)))
    kept = whole.within(160)
    assert kept == {*whole.characters[:40], *whole.beginnings[:10]}
    assert whole.within(10_000) == set(whole.all)


def test_beginnings_that_the_text_uses_come_first() -> None:
    made = [Source(name="x", data=("中" * 9 + "ж" * 9 + "ไทย" * 5).encode())]
    first, second = required_segments(made, MiningConfig(), LARGE, 16).beginnings[:2]
    assert {first, second} == {"ท".encode()[:2], "中".encode()[:2]}

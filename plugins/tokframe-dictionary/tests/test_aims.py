"""Aims: weights of sources that follow from what the sources are to matter."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokframe_dictionary.mining.aims import Aim
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.pruning import Pool, Pruning
from tokframe_dictionary.mining.sources import Gathered, Source, balance

import tokframe
from tokframe.errors import ConfigError


def gathered(text: str, budget: int = 10**8) -> Gathered:
    made = Gathered(budget, lambda: [text.encode()])
    made.add(text.encode())
    return made


def prose(letters: str, lines: int) -> str:
    """Text of 400 words."""
    chance = random.Random(letters)
    words = ["".join(chance.choices(letters, k=chance.randrange(2, 8))) for _ in range(400)]
    return "".join(" ".join(chance.choices(words, k=8)) + "\n" for _ in range(lines))


TEXTS = {
    "en-large": prose("etaoinshrdlu", 4_000),
    "el-small": prose("αβγδεζηθικλμ", 300),
    "de": prose("enisratdhu", 900),
}


def selected(aim: dict[str, float], size: int = 300, **settings: Any) -> tuple[Pool, tuple[Source, ...]]:
    config = MiningConfig(aim=aim, **settings)
    sources = balance({name: gathered(text) for name, text in TEXTS.items()}, config)
    aimed = Aim.of(config, list(TEXTS))
    return Pruning(sources=sources, config=SelectionConfig(), aim=aimed).prune(
        mine(sources, config).segments, size
    ), sources


def test_at_equality_zero_a_share_of_the_tokens_is_worth_as_much_in_every_group() -> None:
    pool, sources = selected({"en-large": 1, "el-small": 1, "de": 1})
    worth = {source.name: pool.weights[source.name] * pool.tokens[source.name] for source in sources}
    assert max(worth.values()) < 1.1 * min(worth.values())  # the weights are those of the round before


def test_what_matters_more_costs_fewer_tokens() -> None:
    alike, greek = (selected({"el-small": share, "en-*": 1})[0] for share in (1, 20))
    assert greek.tokens["el-small"] < 0.95 * alike.tokens["el-small"]
    assert greek.tokens["en-large"] > alike.tokens["en-large"]


def test_equality_brings_the_cost_per_character_together() -> None:
    def spread(equality: float) -> float:
        pool, sources = selected({"en-large": 1, "el-small": 0.2}, equality=equality)
        costs = [pool.tokens[source.name] / source.characters for source in sources]
        return max(costs) / min(costs)

    assert spread(0) > 1.1 * spread(2) > 1.1 * spread(8)


def test_sources_of_one_pattern_share_what_it_matters_by_their_bytes() -> None:
    made = balance({name: gathered(text) for name, text in TEXTS.items()}, MiningConfig(aim={"*e*": 1}))
    assert [source.weight for source in made] == pytest.approx([1, 1, 1])


def test_a_thinned_source_matters_as_much_as_the_whole() -> None:
    config = MiningConfig(aim={"*": 1}, budget=10_000)
    texts = {"a": gathered(TEXTS["de"], config.budget), "b": gathered("x y\n", config.budget)}
    thin, whole = balance(texts, config)
    assert thin.weight == pytest.approx(whole.weight * len(TEXTS["de"]) / 10_000, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "path", "text"),
    [
        ({"aim": {"fr-*": 1}}, "$.mining.aim.fr-*", "names no source; the sources are small"),
        ({"aim": {"small": 0}}, "$.mining.aim.small", "is 0, must be a number above 0"),
        ({"aim": {"small": 1}, "weights": {"small": 1}}, "$.mining.weights", "leave out one of the two"),
        ({"equality": -1}, "$.mining.equality", "must be at least 0"),
    ],
)
def test_an_aim_that_cannot_be_is_a_problem_with_its_path(
    tmp_path: Path, corpus: Path, settings: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        tokframe.train("dictionary", corpus=[corpus], config={"mining": settings}, out=tmp_path / "out")
    assert [(where, text in said) for where, said in caught.value.problems] == [(path, True)]


def test_an_error_names_the_nearest_of_many_sources() -> None:
    names = [f"help-{number:02}" for number in range(40)]
    with pytest.raises(ConfigError, match=r"the sources are help-07, .* and 35 others"):
        Aim.of(MiningConfig(aim={"helb-07": 1}), names)


def test_the_record_of_a_run_has_the_weights_that_were_found(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    config = {"vocab_size": 600, "mining": {"aim": {"*": 1, "el-*": 2}, "equality": 1.0}}
    tokframe.train("dictionary", corpus=sorted(tmp_path.glob("*.txt")), config=config, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    weights = {source["source"]: source["weight"] for source in record["vocabulary"]["sources"]}
    assert weights["de"] == weights["en-large"] < weights["el-small"]

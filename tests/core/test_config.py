"""Configs: nothing is converted silently, and every problem is reported at once with its JSON path."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from attrs import evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from tokframe.errors import ConfigError
from tokframe.storage.config import problems_of, structure, unstructure
from tokframe.storage.documented import keys_of
from tokframe.storage.settings import check, setting
from tokframe.storage.strictjson import canonical_json, parse_json, read_json


@frozen(kw_only=True)
class Inner:
    levels: tuple[int, ...] = (8, 5)
    scale: float = 1.0

    def issues(self) -> Iterator[tuple[str, str]]:
        if not self.levels:
            yield "levels", "is empty"


@frozen(kw_only=True)
class Outer:
    steps: int
    rate: float = 1e-3
    name: str = "x"
    fast: bool = False
    seed: int | None = None
    path: str | None = None
    inner: Inner = field(factory=Inner)
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict)

    def issues(self) -> Iterator[tuple[str, str]]:
        if self.steps < 1:
            yield "steps", f"is {self.steps}; at least 1"
        if self.fast and self.rate > 1:
            yield "", "fast needs a small rate"


@frozen(kw_only=True)
class Bounded:
    size: int = setting(1, above=0)
    share: float = setting(0.5, at_least=0, below=1)
    kind: str = setting("a", one_of=("a", "b"))
    limit: int | None = setting(None, at_least=1)
    levels: tuple[int, ...] = setting((8, 5), at_least=2)

    def issues(self) -> Iterator[tuple[str, str]]:
        if self.size > len(self.levels):
            yield "size", "is larger than the number of levels"
        if self.share * self.size > 9:
            yield "share", "is too much"


def problems(data: Any, cls: type = Outer, where: str = "$") -> dict[str, str]:
    value, found = problems_of(cls, data, where)
    assert (value is None) == bool(found)
    assert len({path for path, _ in found}) == len(found), "one problem, one path"
    return dict(found)


def test_a_sound_config_is_built():
    data = {
        "steps": 3,
        "rate": 0.5,
        "name": "é",
        "fast": True,
        "seed": 7,
        "inner": {"levels": [8, 8, 5], "scale": 2},
        "maybe": {"levels": [2]},
        "many": [{}, {"scale": 0.5}],
        "extra": {"free": [1, None]},
    }
    built = structure(Outer, data)
    assert built.inner == Inner(levels=(8, 8, 5), scale=2.0)
    assert built.maybe == Inner(levels=(2,))
    assert built.many == (Inner(), Inner(scale=0.5))
    assert built.extra == {"free": [1, None]}
    assert (built.seed, built.path, built.rate) == (7, None, 0.5)
    assert isinstance(built.inner.scale, float), "an integer is a number"


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"steps": "3"}, "$.steps", "expected int, got str '3'"),
        ({"steps": 1.0}, "$.steps", "expected int, got float 1.0"),
        ({"steps": True}, "$.steps", "expected int, got bool True"),
        ({"steps": None}, "$.steps", "expected int, got null"),
        ({"steps": [1]}, "$.steps", "expected int, got list"),
        ({"rate": "3e-4"}, "$.rate", "expected a number, got str '3e-4'"),
        ({"rate": False}, "$.rate", "expected a number, got bool False"),
        ({"rate": math.nan}, "$.rate", "expected a finite number, got nan"),
        ({"rate": math.inf}, "$.rate", "expected a finite number, got inf"),
        ({"rate": {}}, "$.rate", "expected a number, got object"),
        ({"name": 5}, "$.name", "expected str, got int 5"),
        ({"name": None}, "$.name", "expected str, got null"),
        ({"fast": 1}, "$.fast", "expected true or false, got int 1"),
        ({"fast": "yes"}, "$.fast", "expected true or false, got str 'yes'"),
        ({"seed": "7"}, "$.seed", "expected int, got str '7'"),
        ({"seed": True}, "$.seed", "expected int, got bool True"),
        ({"path": 7}, "$.path", "expected str, got int 7"),
        ({"inner": {"levels": "85"}}, "$.inner.levels", "expected a list, got str '85'"),
        ({"inner": {"levels": {"8": 5}}}, "$.inner.levels", "expected a list, got object"),
        ({"inner": {"levels": 8}}, "$.inner.levels", "expected a list, got int 8"),
        ({"inner": {"levels": [8, "8"]}}, "$.inner.levels[1]", "expected int, got str '8'"),
        ({"inner": []}, "$.inner", "expected an object, got list"),
        ({"inner": None}, "$.inner", "expected an object, got null"),
        ({"maybe": 3}, "$.maybe", "expected an object, got int 3"),
        ({"maybe": {"scale": "x"}}, "$.maybe.scale", "expected a number, got str 'x'"),
        ({"many": [{}, {"scale": []}]}, "$.many[1].scale", "expected a number, got list"),
        ({"many": {}}, "$.many", "expected a list, got object"),
        ({"extra": [1]}, "$.extra", "expected an object, got list"),
        ({"stepz": 1}, "$.stepz", "unknown key; did you mean 'steps'?"),
        ({"inner": {"level": []}}, "$.inner.level", "unknown key; did you mean 'levels'?"),
        ({"qqqqqq": 1}, "$.qqqqqq", "unknown key; known keys: steps, rate, name"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(change, path, said):
    found = problems({"steps": 1} | change)
    assert list(found) == [path]
    assert found[path].startswith(said)


@pytest.mark.parametrize("data", [None, [], "x", 3, True])
def test_a_config_that_is_no_object(data):
    assert problems(data)["$"].startswith("expected an object, got ")


def test_a_missing_key():
    assert problems({}) == {"$.steps": "required key missing"}


def test_all_problems_are_reported_at_once():
    found = problems(
        {
            "steps": "3",
            "rate": math.nan,
            "fasst": True,
            "inner": {"levels": [1, None, True], "scal": 1},
            "many": [{"levels": 3}, {"x": 1}],
        }
    )
    assert set(found) == {
        "$.steps",
        "$.rate",
        "$.fasst",
        "$.inner.levels[1]",
        "$.inner.levels[2]",
        "$.inner.scal",
        "$.many[0].levels",
        "$.many[1].x",
    }


def test_what_classes_say_of_themselves_is_collected_from_every_depth():
    bad = {"levels": []}
    found = problems({"steps": 0, "fast": True, "rate": 2, "inner": bad, "maybe": bad, "many": [{}, bad]})
    assert found == {
        "$.steps": "is 0; at least 1",
        "$": "fast needs a small rate",
        "$.inner.levels": "is empty",
        "$.maybe.levels": "is empty",
        "$.many[1].levels": "is empty",
    }


def test_paths_begin_where_the_caller_says():
    assert list(problems({"steps": "x"}, where="$.training")) == ["$.training.steps"]
    assert list(problems(3, where="$.training")) == ["$.training"]


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"size": 0}, "$.size", "is 0, must be above 0"),
        ({"share": 1}, "$.share", "is 1.0, must be at least 0 and below 1"),
        ({"share": -0.1}, "$.share", "is -0.1, must be at least 0 and below 1"),
        ({"kind": "c"}, "$.kind", "is 'c', must be one of 'a', 'b'"),
        ({"limit": 0}, "$.limit", "is 0, must be at least 1 (or null)"),
        ({"levels": [8, 1]}, "$.levels", "is [8, 1]; every entry must be at least 2"),
        ({"size": 3}, "$.size", "is larger than the number of levels"),
    ],
)
def test_a_value_out_of_its_declared_bounds(change, path, said):
    assert problems(change, Bounded) == {path: said}


def test_values_at_their_bounds_pass():
    sound = {"size": 1, "share": 0.0, "kind": "b", "limit": None, "levels": [2]}
    assert structure(Bounded, sound) == Bounded(share=0.0, kind="b", levels=(2,))


def test_a_number_that_no_machine_holds_is_told_as_one():
    with pytest.raises(ConfigError, match=r"\$\.size: is 1180591620717411303424, and integers have at most 64 bits"):
        check(Bounded(size=2**70))


def test_an_object_built_directly_is_checked_alike_with_one_problem_a_field():
    check(Bounded())
    with pytest.raises(ConfigError) as caught:
        check(Bounded(size=0, share=math.inf, levels=()), "mine")
    assert caught.value.source == "mine"
    assert dict(caught.value.problems) == {
        "$.size": "is 0, must be above 0",
        "$.share": "is inf, must be at least 0 and below 1",
        "$.levels": "is empty; give at least one entry",
    }


def test_structure_raises_one_error_with_all_problems_and_the_source():
    with pytest.raises(ConfigError) as caught:
        structure(Outer, {"steps": "3", "rat": 1}, source="mine.json")
    error = caught.value
    assert dict(error.problems).keys() == {"$.steps", "$.rat"}
    assert str(error).startswith("mine.json: 2 problems\n") and "  $.steps: expected int" in str(error)


def test_no_cattrs_or_attrs_error_escapes():
    for data in ({}, {"steps": object()}, {"steps": 1, "inner": {"levels": [[]]}}, {"steps": 1, 3: 4}):
        with pytest.raises(ConfigError):
            structure(Outer, data)


sixty_four_bits = st.integers(1 - 2**63, 2**63 - 1)
outers = st.builds(
    Outer,
    steps=st.integers(1, 2**63 - 1),
    rate=st.floats(0, 1),
    name=st.text(st.characters(exclude_categories=["Cs"])),
    fast=st.booleans(),
    seed=st.none() | sixty_four_bits,
    inner=st.builds(Inner, levels=st.lists(sixty_four_bits, min_size=1).map(tuple), scale=st.floats(-9, 9)),
    maybe=st.none() | st.just(Inner()),
    many=st.lists(st.builds(Inner, scale=st.floats(0, 1)), max_size=3).map(tuple),
    extra=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.lists(sixty_four_bits)),
)


@given(outers)
def test_unstructure_gives_json_that_builds_the_same_object(built):
    data = unstructure(built)
    assert data == json.loads(json.dumps(data))
    assert structure(Outer, data) == built
    assert structure(Outer, parse_json(canonical_json(data), "x")) == built


def test_unstructure_copies():
    built = Outer(steps=1, extra={"a": [1]})
    unstructure(built)["extra"]["a"].append(2)
    assert built == evolve(built) and built.extra == {"a": [1]}


# -- strict JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b'{"a": [Infinity]}', "Infinity is not a finite number"),
        (b'{"a": -Infinity}', "-Infinity is not a finite number"),
        (b'{"a": 1e999}', "1e999 is not a finite number"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "key 'a' appears twice"),
        (b'{"x": {"a": 1, "b": 2, "a": 1}}', "key 'a' appears twice"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (b"[1]", "expected an object, got list"),
        (b'"x"', "expected an object, got str 'x'"),
        (b"null", "expected an object, got null"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
def test_json_is_parsed_strictly(raw, said):
    with pytest.raises(ConfigError) as caught:
        parse_json(raw, "config.json")
    ((path, text),) = caught.value.problems
    assert path == "$" and said in text
    assert caught.value.source == "config.json"


def test_sound_json_passes():
    assert parse_json('{"a": [1, 2.5, "é", null, true]}', "x") == {"a": [1, 2.5, "é", None, True]}
    assert parse_json(b"\xef\xbb\xbf{}", "x") == {}


def test_a_config_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.json") as caught:
        read_json(tmp_path / "nowhere.json")
    assert "cannot be read: No such file" in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_json(tmp_path)
    (tmp_path / "a.json").write_text('{"b": 1}', encoding="utf-8")
    assert read_json(str(tmp_path / "a.json")) == {"b": 1}


def test_a_config_that_a_user_gives_may_be_a_pipe_but_not_without_end():
    read, write = os.pipe()
    os.write(write, b'{"b": 1}')
    os.close(write)
    try:
        assert read_json(f"/dev/fd/{read}", given=True) == {"b": 1}
    finally:
        os.close(read)
    with pytest.raises(ConfigError, match="larger than"):
        read_json("/dev/zero", given=True)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_json("/dev/zero")


def test_canonical_json_depends_on_the_data_alone():
    assert canonical_json({"b": 1, "a": {"d": "é", "c": []}}) == canonical_json({"a": {"c": (), "d": "é"}, "b": 1})
    assert canonical_json({"a": "é"}) == '{\n  "a": "é"\n}\n'.encode()
    with pytest.raises(ValueError):
        canonical_json({"a": math.nan})
    with pytest.raises(TypeError):
        canonical_json({"a": b"bytes"})


@pytest.mark.parametrize(
    "value", [2**63, -(2**63), 10**400, 10**5000], ids=["2^63", "-2^63", "400 digits", "5000 digits"]
)
@pytest.mark.parametrize("key", ["steps", "rate", "seed"])
def test_a_number_beyond_64_bits_is_a_problem_however_it_comes(key, value):
    with pytest.raises(ConfigError) as caught:
        structure(Outer, {"steps": 1, key: value})
    assert caught.value.problems[0][0] == f"$.{key}" and len(str(caught.value)) < 200
    if value < 10**4000:  # Python itself refuses to write more digits
        with pytest.raises(ConfigError, match="not valid JSON"):
            parse_json(f'{{"{key}": {value}}}', "config")


@pytest.mark.parametrize("value", [2**63, -(10**400), 10**5000], ids=["2^63", "400 digits", "5000 digits"])
def test_a_setting_beyond_64_bits_is_refused_in_an_object_too(value):
    with pytest.raises(ConfigError) as caught:
        check(Bounded(limit=value))
    assert len(str(caught.value)) < 200


def test_the_type_of_a_key_reads_alike_once_its_annotation_is_resolved():
    @frozen
    class Section:
        sizes: tuple[int, ...] = (1,)
        shares: Mapping[str, float] = field(factory=dict)
        limit: int | None = None
        rate: float = 0.5

    written = [key.type for key in keys_of(Section)]
    attrs.resolve_types(Section, globals())
    assert written == [key.type for key in keys_of(Section)]
    assert written == ["list of int", "object of numbers", "int or null", "number"]

"""Aliases: which source wins, what they may stand for, and what is said when one is wrong."""

from __future__ import annotations

import json
import os
import pickle
import threading

import pytest
from support.toys import toy

import tokframe
from tokframe.cli.main import main
from tokframe.errors import (
    ArtifactNotFoundError,
    ConfigError,
    NameConflictError,
    TokframeError,
    UnknownNameError,
    UnsupportedError,
)
from tokframe.loading import aliases, loading
from tokframe.loading.reference import resolve


@pytest.fixture(autouse=True)
def place(toy_host, tmp_path, monkeypatch):
    """An empty working directory and an empty configuration folder, in a process that knows only the toy."""
    for variable in (aliases.ENVIRONMENT, aliases.CONFIG, "APPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def mine(tmp_path):
    """A saved tokenizer at `place/models/mine`."""
    return toy([b"the "]).save(tmp_path / "work" / "models" / "mine")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(name="production"):
    with pytest.raises(ConfigError) as caught:
        tokframe.load(name)
    return caught.value


# -- what an alias stands for -----------------------------------------------------------------------------------


def test_an_alias_of_a_path_loads_what_is_there(mine, monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=./models/mine, other = toy ,")
    tokenizer = tokframe.load("production")
    assert tokenizer.pieces == tokframe.load(mine).pieces
    assert resolve("production").spec is None


def test_an_alias_of_a_registered_name_is_that_name(monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=toy,full=toy-bytes/toy")
    for name in ("production", "full"):
        assert resolve(name).spec == resolve("toy").spec
        assert tokframe.create(name).name == "toy"


def test_a_path_in_a_file_is_relative_to_the_file_and_in_the_environment_to_here(mine, tmp_path, monkeypatch):
    write(tmp_path / "work" / "conf" / "names.toml", '[aliases]\nproduction = "../models/mine"\n')
    monkeypatch.setenv(aliases.CONFIG, str(tmp_path / "work" / "conf" / "names.toml"))
    monkeypatch.chdir(tmp_path)
    assert resolve("production").folder() == mine
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=work/models/mine")
    assert resolve("production").folder() == mine


def test_a_path_from_the_home_folder_and_an_absolute_one(mine, tmp_path, monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, f"a=~/tok,b={mine}")
    assert resolve("b").folder() == mine
    assert resolve("a").folder() == tmp_path / "home" / "tok"


def test_saving_and_pickling_record_the_real_name(mine, tmp_path, monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=./models/mine")
    tokenizer = tokframe.load("production")
    assert tokenizer.name == "toy"
    saved = tokenizer.save(tmp_path / "again")
    data = pickle.dumps(tokenizer)
    monkeypatch.delenv(aliases.ENVIRONMENT)
    assert json.loads((saved / "manifest.json").read_bytes())["tokenizer"]["name"] == "toy"
    assert b"production" not in data
    assert pickle.loads(data).pieces == tokenizer.pieces and tokframe.load(saved).pieces == tokenizer.pieces


def test_what_needs_a_registered_name_refuses_an_alias_of_a_path(mine, monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=./models/mine")
    with pytest.raises(UnsupportedError, match=r"'production' refers to the saved tokenizer .*create needs a regist"):
        tokframe.create("production")


# -- which source wins ------------------------------------------------------------------------------------------


def test_the_environment_comes_before_the_folder_and_that_before_the_user(place, tmp_path, monkeypatch):
    user = write(tmp_path / "config" / "tokframe" / "tokframe.toml", '[aliases]\na = "./u"\nb = "./u"\nc = "./u"\n')
    write(place / "tokframe.toml", '[aliases]\na = "./f"\nb = "./f"\n')
    monkeypatch.setenv(aliases.ENVIRONMENT, "a=./e")
    assert [resolve(name).folder().name for name in "abc"] == ["e", "f", "u"]
    overridden = [(a.name, a.target, a.overridden_by) for a in aliases.all_aliases() if a.overridden_by]
    assert overridden == [
        ("a", "./f", aliases.ENVIRONMENT),
        ("a", "./u", aliases.ENVIRONMENT),
        ("b", "./u", "tokframe.toml"),
    ]
    assert next(a for a in aliases.all_aliases() if a.name == "c").source == str(user)


def test_a_named_file_takes_the_place_of_both_and_an_empty_one_of_all(place, tmp_path, monkeypatch):
    write(place / "tokframe.toml", '[aliases]\nproduction = "toy"\n')
    monkeypatch.setenv(aliases.CONFIG, str(write(tmp_path / "x.toml", '[aliases]\nnext = "toy"\n')))
    assert [a.name for a in aliases.all_aliases()] == ["next"]
    monkeypatch.setenv(aliases.CONFIG, "")
    assert aliases.all_aliases() == []


def test_a_file_that_changes_is_read_again(place):
    write(place / "tokframe.toml", '[aliases]\nproduction = "./one"\n')
    assert resolve("production").folder().name == "one"
    write(place / "tokframe.toml", '[aliases]\nproduction = "./another"\n')
    assert resolve("production").folder().name == "another"


def test_a_path_never_looks_at_aliases(place, mine):
    write(place / "tokframe.toml", "nonsense")
    assert tokframe.load("./models/mine").name == tokframe.load(mine).name == "toy"


def test_no_toml_reader_is_imported_where_there_is_no_file(fresh, tmp_path):
    source = """
    import os, sys, tokframe
    from tokframe.loading.reference import resolve
    os.environ.pop("TOKFRAME_CONFIG")
    resolve("toy")
    assert "tomllib" not in sys.modules
    open("tokframe.toml", "w").write('[aliases]\\nours = "toy"\\n')
    assert resolve("ours").spec == resolve("toy").spec and "tomllib" in sys.modules
    assert "cattrs" not in sys.modules
    """
    fresh(source, TOKFRAME_PLUGINS="toy-bytes", XDG_CONFIG_HOME=str(tmp_path / "none"))


# -- what goes wrong --------------------------------------------------------------------------------------------


def test_an_alias_never_hides_a_registered_name(place):
    write(place / "tokframe.toml", '[aliases]\ntoy = "./mine"\n')
    with pytest.raises(NameConflictError) as caught:
        tokframe.load("toy")
    assert "'toy' is the tokenizer of toy-bytes, and an alias of './mine' in tokframe.toml (aliases.toy)" in str(
        caught.value
    )
    assert caught.value.candidates == ("toy-bytes", "tokframe.toml")
    assert resolve("toy-bytes/toy").spec.name == "toy"


def test_an_alias_of_an_alias_is_refused(place):
    write(place / "tokframe.toml", '[aliases]\nproduction = "current"\ncurrent = "next"\nnext = "toy"\n')
    error = problems()
    place_, text = error.problems[0]
    assert (error.source, place_) == ("tokframe.toml", "aliases.production")
    assert "refers to 'current', which is itself an alias of 'next' (in tokframe.toml, aliases.current)" in text
    assert "must refer to a registered name or a path" in text


@pytest.mark.parametrize("setting", ["production=production", "production=b,b=c,c=b"])
def test_a_circle_is_refused(monkeypatch, setting):
    monkeypatch.setenv(aliases.ENVIRONMENT, setting)
    assert "which is itself an alias of" in str(problems())


def test_an_unknown_name_suggests_aliases_too(monkeypatch):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=toy")
    with pytest.raises(UnknownNameError) as caught:
        tokframe.load("producton")
    assert "Did you mean 'production'? Available: toy. Aliases: production." in str(caught.value)
    assert caught.value.suggestions == ("production",)


def test_an_alias_of_nothing_says_where_it_is_set(place):
    write(place / "tokframe.toml", '[aliases]\nproduction = "toi"\nnext = "./gone"\n')
    for name, kind in (("production", UnknownNameError), ("next", ArtifactNotFoundError)):
        with pytest.raises(kind) as caught:
            tokframe.load(name)
        assert f"{name!r} is an alias of " in caught.value.__notes__[0]
        assert f"set in tokframe.toml (aliases.{name})" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ('[aliases]\nx = "y"\nproduction = \n', "file", "not valid TOML: Invalid value (at line 3, column 14)"),
        ("[aliases", "file", "not valid TOML"),
        (b'[aliases]\na = "\xff"\n', "file", "not valid TOML: 'utf-8' codec can't decode byte 0xff in position 15"),
        ('production = "toy"\n', "production", "unknown key; aliases are lines under [aliases]"),
        ('\n[alias]\nproduction = "toy"\n', "alias", "unknown key"),
        ("[aliases]\n\nproduction = 3\n", "aliases.production", '3; expected production = "NAME", a registered name'),
        ('[aliases]\nproduction = ""\n', "aliases.production", "a registered name or a path"),
        ('[aliases]\n"my name" = "toy"\n', "aliases.my name", "is not lower-case words joined by hyphens"),
        ('aliases = "toy"\n', "aliases", "expected a table"),
        ("[aliases.production]\nname = 1\n", "aliases.production", "a registered name or a path"),
    ],
)
def test_a_malformed_file_is_named_with_the_key(place, text, where, says):
    write(place / "tokframe.toml", text)
    error = problems()
    assert error.source == "tokframe.toml"
    assert error.problems[0][0] == where and says in error.problems[0][1]


def test_all_problems_of_a_file_are_reported_at_once(place):
    write(place / "tokframe.toml", '[aliases]\nA = "toy"\nb = 1\nc = "toy"\n')
    assert [place_ for place_, _ in problems().problems] == ["aliases.A", "aliases.b"]


def test_a_named_file_must_be_there(monkeypatch, place):
    monkeypatch.setenv(aliases.CONFIG, "gone.toml")
    assert "gone.toml" in str(problems()) and "TOKFRAME_CONFIG names it" in str(problems())
    monkeypatch.setenv(aliases.CONFIG, str(place))
    assert "cannot be read" in str(problems())


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("production", "expected production=NAME"),
        ("a=toy,a=toy", "'a' is set twice"),
        ("=toy", "alias ''"),
        ("a=", "'a'"),
    ],
)
def test_a_malformed_variable_is_named_with_the_entry(monkeypatch, setting, says):
    monkeypatch.setenv(aliases.ENVIRONMENT, setting)
    error = problems()
    assert error.source == aliases.ENVIRONMENT and error.problems[0][0].startswith("entry") and says in str(error)


# -- the command line -------------------------------------------------------------------------------------------


def test_commands_take_an_alias(mine, monkeypatch, capsys):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=./models/mine,ours=toy")
    text = write(mine.parent / "text.txt", "the text")
    for words in (["encode", "production", str(text)], ["info", "production"], ["verify", "production"]):
        assert main(words) == 0, words
        assert capsys.readouterr().out
    assert main(["train", "ours", "--corpus", str(text), "--out", "new"]) == 0
    assert "toy: 262 ids" in capsys.readouterr().out


def test_aliases_lists_what_each_is_and_whether_it_resolves(place, mine, monkeypatch, capsys):
    write(place / "tokframe.toml", '[aliases]\nproduction = "models/mine"\nnext = "toi"\nold = "./models"\n')
    monkeypatch.setenv(aliases.ENVIRONMENT, "next=./gone")
    assert main(["aliases", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["aliases"]
    assert [(row["name"], row["source"], row["place"], row["resolves"]) for row in rows] == [
        ("next", "TOKFRAME_ALIASES", "entry 1", False),
        ("production", "tokframe.toml", "aliases.production", True),
        ("next", "tokframe.toml", "aliases.next", False),
        ("old", "tokframe.toml", "aliases.old", False),
    ]
    assert set(rows[0]) == {"name", "target", "source", "place", "overridden_by", "resolves", "path", "reason"}
    assert rows[1]["path"] == str(mine) and rows[1]["reason"] == ""
    assert "does not exist" in rows[0]["reason"] and "is not a saved tokenizer" in rows[3]["reason"]
    assert rows[2]["overridden_by"] == "TOKFRAME_ALIASES"
    assert main(["aliases"]) == 0
    out = capsys.readouterr().out
    assert "tokframe.toml, aliases.production" in out and "overridden by TOKFRAME_ALIASES" in out


def test_aliases_can_be_checked_by_exit_code(monkeypatch, mine, capsys):
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=./models/mine")
    assert main(["aliases", "--check"]) == 0
    monkeypatch.setenv(aliases.ENVIRONMENT, "production=toi")
    assert main(["aliases", "--check"]) == 1
    assert "Did you mean 'toy'?" in " ".join(capsys.readouterr().out.split())


def test_without_aliases_the_command_says_how_to_set_one(capsys):
    assert main(["aliases"]) == 0
    assert '[aliases]\n  production = "word"' in capsys.readouterr().out


# -- files that are no files of aliases -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000 + "]" * 100_000,
        "[aliases]\na = " + "{a = " * 20_000,
        "[aliases]\na = " + "9" * 5000,
        "[aliases]\na = 'word'\na = 'bpe'",
        '[aliases]\na = "./x\\u0000"',
        "[aliases]\na = nan",
        "[aliases]\n" + "b" * (1 << 20) + " = 'word'",
        b"\xff\xfe",
    ],
    ids=["deep", "deep tables", "long number", "twice", "null", "nan", "too large", "not UTF-8"],
)
def test_a_hostile_file_is_a_config_error_that_is_soon_said(place, text):
    write(place / "tokframe.toml", text)
    error = problems("a")
    assert error.source == "tokframe.toml" and len(str(error)) < 500


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_not_a_regular_file_is_never_read(place, kind):
    path = place / "tokframe.toml"
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda path: os.symlink("/dev/zero", path)}[kind](path)
    assert "it is not a regular file" in str(problems())


def test_the_file_that_the_environment_names_may_be_a_pipe_or_the_empty_device(place, monkeypatch):
    read, end = os.pipe()
    os.write(end, b"[aliases]\nproduction = 'toy'")
    os.close(end)
    try:
        monkeypatch.setenv(aliases.CONFIG, f"/dev/fd/{read}")
        assert [resolve("production").spec.name for _ in range(2)] == ["toy", "toy"]
    finally:
        os.close(read)
        aliases._given_once.cache_clear()
    monkeypatch.setenv(aliases.CONFIG, os.devnull)
    assert aliases.all_aliases() == []
    monkeypatch.setenv(aliases.CONFIG, "/dev/zero")
    assert "larger than" in str(problems())


def test_a_link_to_a_file_of_aliases_is_followed(place, tmp_path):
    (place / "tokframe.toml").symlink_to(write(tmp_path / "dotfiles" / "mine.toml", "[aliases]\nproduction = 'toy'"))
    assert resolve("production").spec.name == "toy"


# -- switched without a restart -----------------------------------------------------------------------------


@pytest.fixture
def switching(monkeypatch, tmp_path):
    """Return a function that writes the aliases of both names, as a deployment does, without telling the process."""
    monkeypatch.setattr(loading, "_switched", {})
    toy([b"the "]).save(tmp_path / "old")
    toy([b"cat"]).save(tmp_path / "new")
    monkeypatch.setenv("TOKFRAME_CONFIG", str(tmp_path / "tokframe.toml"))

    def write(text):
        (tmp_path / "tokframe.toml").write_text(text, encoding="utf-8")

    return write


def both(name):
    return f'[aliases]\nproduction = "{name}"\nsearch = "{name}"\n'


def kind_of(tokenizer):
    """Return which of the two saved tokenizers it is, by how it cuts a text."""
    return {b"the ": "old", b"t": "new"}[tokenizer.token_bytes(tokenizer.encode("the cat")[0])]


def test_a_switch_is_seen_when_it_is_asked_for_and_what_a_request_holds_stays(switching):
    switching(both("./old"))
    tokframe.reload_aliases()
    held = tokframe.load("production")
    assert held is tokframe.load("production") and kind_of(held) == "old"
    switching(both("./new"))
    assert tokframe.load("production") is held
    found = tokframe.reload_aliases()
    assert tokframe.load("production") is found["production"] and kind_of(found["production"]) == "new"
    assert kind_of(held) == "old" and held.decode(held.encode("the cat")) == "the cat"
    with pytest.raises(TypeError):
        found["production"] = held


def test_a_switch_that_fails_switches_nothing(switching):
    switching(both("./old"))
    before = tokframe.reload_aliases()
    for text in ('[aliases]\nproduction = "./new"\nsearch = "brokn"\n', "[aliases\nproduction", both("./nowhere")):
        switching(text)
        with pytest.raises(TokframeError):
            tokframe.reload_aliases()
        assert tokframe.load("production") is before["production"] and tokframe.load("search") is before["search"]


def test_an_alias_that_is_gone_is_unknown_after_the_switch_and_a_new_one_is_read(switching):
    switching('[aliases]\nproduction = "./old"\n')
    tokframe.reload_aliases()
    switching('[aliases]\nnext = "./new"\n')
    assert kind_of(tokframe.load("next")) == "new"
    tokframe.reload_aliases()
    with pytest.raises(UnknownNameError):
        tokframe.load("production")


def test_no_request_sees_half_a_switch(switching):
    """Requests in threads, while the aliases are switched to and fro: both names are always of one switch."""
    kinds = ["./old", "./new"]
    switching(both("./old"))
    tokframe.reload_aliases()
    seen, errors, over = set(), [], threading.Event()

    def serve():
        while not over.is_set():
            aliases = loading._switched
            try:
                names = {kind_of(aliases["production"]), kind_of(aliases["search"])}
                tok = tokframe.load("production")
                text = tok.decode(tok.encode("the cat"))
            except Exception as error:
                errors.append(error)
                return
            seen.add(tuple(sorted(names)))
            if text != "the cat":
                errors.append(text)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        switching(both(kinds[(turn + 1) % 2]))
        tokframe.reload_aliases()
    over.set()
    for thread in threads:
        thread.join()
    assert not errors and seen <= {("old",), ("new",)} and seen

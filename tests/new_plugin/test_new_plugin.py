"""What `tokframe new-plugin` writes installs, is found, passes its contract and trains; bad names are refused."""

from __future__ import annotations

import json
import os
import tomllib

import pytest
from click.testing import CliRunner
from support.fixtures import completed, pip_install

from tokframe.cli.new_plugin import command, render
from tokframe.errors import InvalidSpecError, TokframeError

pytestmark = pytest.mark.slow

NAMES = {
    "encoder": "tokframe-made-encoder",
    "quantizer": "made-sign",
    "decoder": "tokframe-made2-out",
    "tokenizer": "made-words",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one new plugin of each kind, and the folder into which pip installed them."""
    folder = tmp_path_factory.mktemp("plugins")
    for kind, name in NAMES.items():
        completed(folder, ["-m", "tokframe.cli.main", "new-plugin", name, "--kind", kind])
    site = tmp_path_factory.mktemp("site")
    pip_install(site, [folder / name for name in NAMES.values()])
    return folder, site


def test_each_kind_is_found_where_it_is_installed(made):
    folder, site = made
    done = completed(folder, ["-W", "error", "-m", "tokframe.cli.main", "plugins", "--json"], PYTHONPATH=site)
    records = {record["distribution"]: record for record in json.loads(done.stdout)["plugins"]}
    for kind, name in NAMES.items():
        record, adds = records[name], f"{kind} {name.removeprefix('tokframe-')}"
        assert (record["status"], record["components"], record["heavy"]) == ("ok", [adds], []), record


def test_each_kind_passes_its_contract_and_trains(made):
    pytest.importorskip("torch")
    pytest.importorskip("tokframe_autoencoder")
    folder, site = made
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "-rs"]
    done = completed(folder, ["-m", "pytest", *options, *NAMES.values()], PYTHONPATH=site)
    assert "passed" in done.stdout and "skipped" not in done.stdout, done.stdout


def test_each_kind_is_formatted(made):
    pytest.importorskip("ruff")
    folder, _ = made
    style = ["--isolated", "--line-length", "120", *NAMES.values()]
    completed(folder, ["-m", "ruff", "check", *style])
    completed(folder, ["-m", "ruff", "format", "--check", *style])


@pytest.mark.parametrize("kind", NAMES)
def test_its_metadata_bounds_tokframe_and_offers_the_tests(kind):
    project = tomllib.loads(render("made-up", kind)["pyproject.toml"])["project"]
    (ours,) = [text for text in project["dependencies"] if text.startswith("tokframe")]
    assert "<" in ours
    assert "tokframe[testing]" in project["optional-dependencies"]["test"]
    assert project["entry-points"]["tokframe"] == {"made-up": "made_up"}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("My_Plugin", "'my-plugin' would do"),
        ("2fast", "'fast' would do"),
        ("a--b", "'a-b' would do"),
        ("../up", "'up' would do"),
        ("漢字", "e.g. 'tokframe-sign'"),
        ("", "e.g. 'tokframe-sign'"),
        ("tokframe-2", "leaves '2' as the name"),
        ("json", "'tokframe-json' would do"),
        ("class", "'tokframe-class' would do"),
        ("tokframe", "'tokframe-tokframe' would do"),
    ],
)
def test_a_bad_name_is_refused_with_one_that_would_do(name, what):
    with pytest.raises(InvalidSpecError) as caught:
        render(name, "quantizer")
    assert what in str(caught.value)
    assert caught.value.name == name


def test_a_name_that_is_taken_is_refused(toy_host):
    with pytest.raises(InvalidSpecError, match="tokenizer 'toy', which toy-bytes has already"):
        render("tokframe-toy", "tokenizer")
    assert render("tokframe-toy", "quantizer")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("there", "already exists; nothing was written"),
        ("file", "already exists; nothing was written"),
        ("file/below", "cannot write"),
    ],
)
def test_a_place_that_is_taken_or_cannot_be_made_is_an_error_and_left_alone(tmp_path, place, said):
    (tmp_path / "there" / "src").mkdir(parents=True)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    done = CliRunner().invoke(command, ["made-up", "--kind", "encoder", "--out", str(tmp_path / place)])
    assert isinstance(done.exception, TokframeError) and said in str(done.exception)
    assert sorted(os.listdir(tmp_path)) == ["file", "there"]
    assert os.listdir(tmp_path / "there") == ["src"] and (tmp_path / "file").read_text() == "mine"


def test_what_it_wrote_is_listed(tmp_path):
    done = CliRunner().invoke(command, ["made-up", "--kind", "tokenizer", "--out", str(tmp_path / "new" / "x")])
    assert done.exit_code == 0, done.output
    for path in ("pyproject.toml", "README.md", "src/made_up/tokenizer.py", "tests/test_contract.py"):
        assert str(tmp_path / "new" / "x" / path) in done.output
        assert (tmp_path / "new" / "x" / path).is_file()
    assert "pip install -e '.[test]'" in done.output

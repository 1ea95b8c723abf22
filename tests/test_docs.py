"""The README and the pages of the site: examples run as they stand, pages are in the menu, links lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest
from support.fixtures import completed

import tokframe
from tokframe.loading import loading

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
OUTPUT = "<!-- output -->"


def text_of(page):
    return page.read_text(encoding="utf-8")


def by_name(page):
    return page.name


@pytest.mark.parametrize(
    "page",
    [
        "index.md",
        "concepts.md",
        "looking.md",
        "migration.md",
        "optimization.md",
        "prompts.md",
        "python.md",
        "scale.md",
        "switching.md",
    ],
)
def test_the_examples_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", text_of(DOCS / page), re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKFRAME_ALIASES", "production=word,next=autoencoder-fsq")  # as docs/switching.md has them
    monkeypatch.setattr(loading, "_switched", {})  # which a page switches
    names = {"tokframe": tokframe}
    for example in examples:
        exec(compile(example, page, "exec"), names)


@pytest.mark.parametrize(
    "page", [page for page in [README, *DOCS.glob("*.md")] if OUTPUT in text_of(page)], ids=by_name
)
def test_an_example_prints_what_stands_below_it(page, capsys):
    shown = re.findall(rf"```python\n((?:(?!```).)*)```\n{OUTPUT}\n```\n(.*?)```", text_of(page), re.DOTALL)
    assert shown
    for example, printed in shown:
        exec(compile(example, page.name, "exec"), {})
        assert capsys.readouterr().out == printed


def test_every_file_the_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(README))
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_page_of_config_keys_is_current_and_says_what_each_means():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert text_of(DOCS / "configs.md") == module.page(), "run: python docs/generate.py"
    assert [line for line in module.page().splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_every_page_is_in_the_menu():
    menu = re.findall(r"([\w/-]+\.md)", text_of(ROOT / "mkdocs.yml"))
    assert sorted(menu) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text_of(DOCS / page))
    targets = {link: ((DOCS / page).parent / link).resolve() for link in links}
    inside = [link for link in links if targets[link].exists() and targets[link].is_relative_to(DOCS)]
    assert links == inside  # the site holds what is in docs/ and nothing else


def test_the_site_is_built_without_a_complaint(tmp_path):
    completed(ROOT, ["-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"])
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert "encode_batch_padded" in api and "UnsupportedError" in api


def test_the_architecture_names_files_and_folders_that_exist():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tokframe|tests|tokframe_\w+)/[\w/]*(?:\.py)?)`", text)
    sources = [ROOT, *ROOT.glob("plugins/*/src")]
    assert paths and [path for path in paths if not any((root / path).exists() for root in sources)] == []

"""The README and the pages of the site: examples run as they stand, pages are in the menu, links lead somewhere."""

import html
import json
import re
from pathlib import Path

import click
import pytest
from support.fixtures import completed

import tokframe
from tokframe import errors
from tokframe.cli.main import _root as cli
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


def generated():
    """The pages as a process of their own writes them: what tests do to plugins and commands is not in them."""
    code = "import json, generate; print(json.dumps({name: page() for name, page in generate.PAGES.items()}))"
    return json.loads(completed(DOCS, ["-c", code], PYTHONPATH=DOCS).stdout)


def test_the_generated_pages_are_current_and_every_config_key_says_what_it_means():
    pages = generated()
    assert [name for name, page in pages.items() if text_of(DOCS / name) != page] == [], "run: python docs/generate.py"
    assert [line for line in pages["configs.md"].splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_every_page_is_in_the_menu():
    menu = re.findall(r"([\w/-]+\.md)", text_of(ROOT / "mkdocs.yml"))
    assert sorted(menu) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text_of(DOCS / page))
    targets = {link: ((DOCS / page).parent / link).resolve() for link in links}
    inside = [link for link in links if targets[link].exists() and targets[link].is_relative_to(DOCS)]
    assert links == inside  # the site holds what is in docs/ and nothing else


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    completed(ROOT, ["-m", "mkdocs", "build", "--strict", "--site-dir", folder])
    return folder


def test_the_reference_has_every_public_name_command_option_and_error(site):
    api, errors_page, cli_page = (text_of(site / f"{name}.html") for name in ("api", "errors", "cli"))
    homes = {name: f"tokframe.{home}.{name}" for name, home in tokframe._HOMES.items() if home != "errors"}
    assert [name for name, path in homes.items() if f'id="{path}"' not in api] == []
    assert "encode_batch_padded" in api and "UnsupportedError" in api  # members, and what they raise
    assert [name for name in errors.__all__ if f'id="tokframe.errors.{name}"' not in errors_page] == []
    plain = html.unescape(re.sub("<[^>]+>", "", cli_page))
    for path, command in commands():
        assert path in plain
        missing = [opt for param in command.params for opt in param.opts if opt.startswith("--") and opt not in plain]
        assert missing == [] or missing == ["--help"], path


def commands(group=cli, path="tokframe"):
    """Yield every command, those of plugins of this project included, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_the_site_needs_no_network_and_finds_parts_of_names(site):
    page = text_of(site / "index.html")
    assert re.findall(r"<(?:script|link|img)[^>]*https?://[^>]*>", page) == []
    assert f"tokframe {tokframe.__version__}" in page  # which version it is about
    assert "md-footer__link--next" in page and "content.code.copy" in page and "data-md-color-scheme" in page
    index = json.loads(text_of(site / "search" / "search_index.json"))
    words = re.compile(index["config"]["separator"])
    texts = {word for doc in index["docs"] for word in words.split(re.sub("<[^>]+>", " ", doc["text"]))}
    for query in ("training.max_minutes", "--vocab-size", "learning_rate"):
        assert {*filter(None, words.split(query))} <= texts


def test_the_architecture_names_files_and_folders_that_exist():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tokframe|tests|tokframe_\w+)/[\w/]*(?:\.py)?)`", text)
    sources = [ROOT, *ROOT.glob("plugins/*/src")]
    assert paths and [path for path in paths if not any((root / path).exists() for root in sources)] == []

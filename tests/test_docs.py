"""The site's pages: their Python examples run as they stand, every page is in the menu, every link leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tokframe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))


@pytest.mark.parametrize(
    "page", ["index.md", "concepts.md", "looking.md", "migration.md", "optimisation.md", "scale.md", "switching.md"]
)
def test_the_examples_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKFRAME_ALIASES", "production=word,next=autoencoder-fsq")  # as docs/switching.md has them
    names = {"tokframe": tokframe}
    for example in examples:
        exec(compile(example, page, "exec"), names)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "<!-- output -->" in (DOCS / page).read_text(encoding="utf-8")]
)
def test_an_example_prints_what_stands_below_it(page, capsys):
    text = (DOCS / page).read_text(encoding="utf-8")
    shown = re.findall(r"```python\n((?:(?!```).)*)```\n<!-- output -->\n```\n(.*?)```", text, re.DOTALL)
    assert shown
    for example, printed in shown:
        exec(compile(example, page, "exec"), {})
        assert capsys.readouterr().out == printed


def test_every_page_is_in_the_menu():
    menu = re.findall(r"([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(menu) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", (DOCS / page).read_text(encoding="utf-8"))
    inside = [link for link in links if (DOCS / link).exists() and (DOCS / link).resolve().is_relative_to(DOCS)]
    assert links == inside  # the site holds what is in docs/ and nothing else


def test_the_site_is_built_without_a_complaint(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert "encode_batch_padded" in api and "UnsupportedError" in api

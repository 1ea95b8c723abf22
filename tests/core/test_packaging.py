"""What each distribution says of itself: license, authors, addresses, classifiers, and a README that reads anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tokframe._version import __version__
from tokframe.storage.advice import FIRST_PARTY

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name if folder != ROOT else "tokframe")
def folder(request):
    return request.param


@pytest.fixture
def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_distributions_are_those_that_advice_knows():
    names = [tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]["name"] for path in FOLDERS]
    assert {*names} == FIRST_PARTY


def test_metadata_is_complete_and_alike(folder, project):
    core = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert project["license"] == "MIT" and project["authors"] == [{"name": "tokframe contributors"}]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for name in ("Documentation", "Source", "Issues", "Changelog"):
        assert project["urls"][name] == core["urls"][name]
    assert project["urls"]["Homepage"].startswith(core["urls"]["Homepage"])
    supported = [name for name in core["classifiers"] if "Python :: 3" in name]
    assert len(supported) >= 6 and {*supported} <= {*project["classifiers"]}


def test_a_readme_of_a_plugin_has_no_link_that_only_a_checkout_has(folder):
    links = re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    if folder != ROOT:  # its links are checked as files
        assert [link for link in links if not link.startswith("https://")] == []
    source = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Source"]
    for link in links:
        path = link.removeprefix(source).partition("#")[0]
        if path != link and path:
            assert (ROOT / re.sub(r"^/(?:blob|tree)/main/", "", path)).exists(), link


def test_the_citation_is_of_this_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")

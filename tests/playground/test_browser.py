"""The playground and the page of a comparison in a real browser; skipped, and told, where there is no Chromium."""

from __future__ import annotations

import os
import shutil

import pytest
from support.serving import served
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.corpus.files import Corpus
from tokframe.evaluate import compare
from tokframe.evaluate.report.page import comparison_page
from tokframe.playground.server import MAX_BYTES

pytestmark = pytest.mark.slow

driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
INSTALLED = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def chromium():
    with driver.sync_playwright() as playwright:
        found = INSTALLED or playwright.chromium.executable_path  # else the one `playwright install chromium` fetches
        if not os.path.exists(found):
            pytest.skip(
                "no chromium or google-chrome is on the PATH and playwright has none: playwright install chromium"
            )
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@pytest.fixture
def tokenizers():
    return {"pieces": ToyTokenizer([b"the ", b"<b>"]), "bytes": ToyTokenizer()}


@pytest.fixture
def opened(chromium, tokenizers):
    """Yield (tab, what it complained of) with the playground open at a phone's width."""
    with served(tokenizers) as server:
        tab = chromium.new_page(viewport={"width": 390, "height": 844})
        complaints = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append("a dialog opened"))
        tab.goto(server.url)
        tab.locator(".pieces span").first.wait_for()
        yield tab, complaints
        tab.close()


def typed(tab, text):
    tab.locator("#text").fill(text)
    size = f"{len(text):,} characters"
    driver.expect(tab.locator("#size")).to_contain_text(size)


def test_typing_shows_every_tokenizer_s_pieces(opened):
    tab, complaints = opened
    typed(tab, "the <b>\u4e16")
    lists = tab.locator(".pieces")
    driver.expect(lists.nth(0).locator("span")).to_have_text(["the ", "<b>", "\u4e163"])
    driver.expect(lists.nth(1).locator("span")).to_have_count(8)
    driver.expect(tab.locator(".panel").nth(0).locator("dd").first).to_have_text("5")
    assert tab.evaluate("document.querySelectorAll('.pieces b').length") == 0
    assert tab.evaluate("document.documentElement.scrollWidth") == 390, "nothing sticks out on a phone"
    assert complaints == []


def test_markup_in_the_text_is_text(opened):
    tab, complaints = opened
    typed(tab, "<img src=x onerror=alert(1)><script>alert(2)</script>")
    driver.expect(tab.locator(".pieces").nth(1).locator("span").first).to_have_text("<")
    tab.locator(".pieces").nth(1).locator("span").first.click()
    driver.expect(tab.locator("#detail code").first).to_have_text("<")
    assert tab.evaluate("document.querySelectorAll('main img, main script').length") == 0 and complaints == []


def test_a_token_is_opened_and_closed(opened):
    tab, _ = opened
    typed(tab, "the x")
    tab.locator(".pieces").nth(0).locator("span", has_text="the").click()
    driver.expect(tab.locator("#about")).to_contain_text("id 260 of pieces")
    driver.expect(tab.locator("#about")).to_contain_text("4: 74 68 65 20")
    tab.keyboard.press("Escape")
    driver.expect(tab.locator("#detail")).to_be_hidden()


def test_a_long_text_is_drawn_as_one_scrolls(opened):
    tab, _ = opened
    tab.evaluate("text => { document.querySelector('#text').value = text; segment(); }", "the x " * 5000)
    note = tab.locator(".panel").nth(0).locator(".note")
    driver.expect(note).to_contain_text("of 15,000 tokens are drawn")
    assert tab.locator(".pieces").nth(0).locator("span").count() < 6000
    tab.evaluate("document.querySelector('.pieces').scrollTop = 1e9")
    driver.expect(note).not_to_contain_text("1,500 of")


def test_a_text_too_long_is_told(opened):
    tab, _ = opened
    tab.evaluate("text => { document.querySelector('#text').value = text; segment(); }", "x" * (MAX_BYTES + 1))
    driver.expect(tab.locator("#message")).to_contain_text("at most 1,000,000")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_comparison_opens_without_network_on_a_phone(
    chromium, tokenizers, toy_host, given_footprint, tmp_path, scheme
):
    (tmp_path / "t.txt").write_text("the <b>text</b> the end of it\n" * 40)
    corpus = Corpus.open([tmp_path / "t.txt"])
    tokenizers["long-" * 50] = ToyTokenizer([b"end"])
    comparison = compare(tokenizers, corpus, load=tokenizers.__getitem__, rounds=1)
    (tmp_path / "r.html").write_bytes(comparison_page(comparison, tokenizers, corpus))
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    complaints = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto((tmp_path / "r.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    paper, ink = tab.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.documentElement))")
    assert (brightness(paper) > brightness(ink)) is (scheme == "light")
    assert tab.locator("svg[role=img]").count() == 6 and complaints == []
    context.close()


def brightness(color):
    return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))

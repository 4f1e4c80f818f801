"""The book as a website: built from the notebooks, and looked at as a reader does."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil

import browser
import build_site
import chapters
import check_site
import pytest
from notebook import NOTEBOOKS, notebook_paths

import litad

missing = [name for name in ("smalldocs", "vl_convert") if not importlib.util.find_spec(name)]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"there is no {', '.join(missing)}")
no_browser = [] if importlib.util.find_spec("websocket") else ["websocket"]
no_browser += [] if browser.find() else ["chromium"]
in_a_browser = pytest.mark.skipif(bool(no_browser), reason=f"there is no {', '.join(no_browser)}")

PAGES = ("index.html", "tutorials/tour.html", "player.html", "reference/litad.html", "show.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "The site, built in a folder of its own; its address."
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(build_site.ROOT / "_quarto.yml", folder)
    build_site.PROCESSED, build_site.SITE = folder / "_proc", folder / "_docs"
    assert build_site.build() == []
    check_site.SITE = build_site.SITE
    with check_site.served(build_site.SITE) as base:
        yield base


def test_every_notebook_has_a_page(site):
    pages = {p.relative_to(build_site.SITE).as_posix() for p in build_site.SITE.rglob("*.html")}
    wanted = {chapters.page_name(p).with_suffix(".html").as_posix() for p in notebook_paths()}
    assert wanted <= pages and {"index.html", "CHANGELOG.html", "CONTRIBUTING.html"} <= pages


def test_the_reference_says_what_each_public_name_takes_and_refuses(site):
    page = (build_site.SITE / "reference" / "litad.html").read_text(encoding="utf-8")
    functions = {n for n in litad.__all__ if n not in ("bool_", "f32", "f64", "i32", "i64")}
    assert functions <= set(re.findall(r'id="(\w+)"', page))
    plain = re.sub(r"<[^>]+>", "", page)
    assert "f: Callable,  # a function that returns one number" in plain
    assert "Refuses LitadError: grad needs a function that returns one number" in plain
    assert 'href="../reverse.html#grad"' in page


def test_charts_carry_their_picture_and_their_specification(site):
    page = (build_site.SITE / "show.html").read_text(encoding="utf-8")
    charts = re.findall(r'<figure class="chart">(.*?)</figure>', page, re.S)
    assert len(charts) > 5
    for chart in charts:
        assert re.search(r'<svg role="img" aria-label="[^"]+', chart)
        spec = re.search(r'<script type="application/json">(.*?)</script>', chart, re.S)
        assert json.loads(spec[1])["description"]


def test_mathematics_is_drawn_by_the_browser_itself(site):
    for path in build_site.SITE.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert "katex" not in page.lower() and 'class="math ' not in page, path
    assert "<math" in (build_site.SITE / "reverse.html").read_text(encoding="utf-8")


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here">x</a> <a href="b.html">y</a>')
    (tmp_path / "c.html").write_text('<a href="a.html#there">z</a><a href="https://x.org">o</a>')
    assert build_site.broken_links(tmp_path) == [
        "a.html links to b.html, which is not there",
        "c.html links to a.html#there, which has no such place",
    ]


def test_names_in_prose_lead_to_their_definitions():
    links = {"grad": "reverse.ipynb#grad"}
    prose = "Call `grad(f)` or `grad`.\n\n```python\n`grad`\n```\n[`grad`](x.ipynb) and `other`"
    found = chapters.linked(prose, links)
    assert found.count("(reverse.ipynb#grad)") == 2 and "Call [`grad(f)`](reverse" in found


def test_numbers_of_chapters_are_not_in_addresses():
    assert chapters.page_name(NOTEBOOKS / "021_player.ipynb").as_posix() == "player.ipynb"
    assert chapters.NUMBER.sub("", "../003_ops.ipynb") == "../ops.ipynb"


@in_a_browser
@pytest.mark.parametrize("name", PAGES)
def test_a_page_as_a_reader_sees_it(site, name):
    with browser.Browser() as page:
        assert check_site.look(page, site, name) == []


@in_a_browser
@pytest.mark.parametrize("act", check_site.ACTS, ids=lambda act: act.__name__)
def test_what_a_reader_does(site, act):
    with browser.Browser() as page:
        act(page, site)


@in_a_browser
def test_what_is_wrong_with_a_page_is_found(tmp_path):
    (tmp_path / "bad.html").write_text("""
        <meta name="viewport" content="width=device-width"><main>
        <p style="color: #aaa">pale</p><div style="width: 700px">wide</div><svg></svg>
        <figure class="chart"></figure><img alt="" src="http://example.org/x.png">
        <script>window.smalldocsToggleScheme = () => {}; console.error('oops')</script></main>""")
    with check_site.served(tmp_path) as base, browser.Browser() as page:
        found = "\n".join(check_site.look(page, base, "bad.html"))
    for said in (
        "1 charts do not come to life",
        "no alternative text: <svg>",
        "no alternative text: <img",
        "hard to read, light: P. rgb(170, 170, 170) on 255,255,255: 2.3",
        'wider than a phone: <div style="width: 700px">',
        "asks another host: http://example.org/x.png",
        "error: oops",
    ):
        assert said in found, found

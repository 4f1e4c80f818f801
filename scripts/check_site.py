"""Look at the built site as a reader does, in a headless browser that reaches no other host.

python scripts/check_site.py                  # every page, and every button
python scripts/check_site.py show.html        # only these pages

Each page is opened at the width of a desktop and of a phone, by day and by night, and photographed
into build/site/pictures.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from browser import Browser, find
from notebook import ROOT

SITE = ROOT / "_docs"
PICTURES = ROOT / "build" / "site" / "pictures"
DESKTOP, PHONE = (1280, 900), (390, 844)

LIVE = """(async () => {
    for (const chart of document.querySelectorAll('figure.chart')) {
        chart.scrollIntoView({behavior: 'instant'});
        for (let k = 0; k < 200 && !chart.querySelector('.live'); k++)
            await new Promise(done => setTimeout(done, 25));
    }
    window.scrollTo({top: 0, behavior: 'instant'});
    return document.querySelectorAll('figure.chart').length
        - document.querySelectorAll('figure.chart .live svg').length;
})()"""

OVERFLOW = """(() => {
    const width = document.documentElement.clientWidth;  // innerWidth grows with what is too wide
    const scrolls = part => part && part.tagName !== 'MAIN'
        && (getComputedStyle(part).overflowX !== 'visible' || scrolls(part.parentElement));
    const wide = Array.from(document.querySelectorAll('main *')).filter(part =>
        part.getBoundingClientRect().right > width + 1 && !part.closest('svg svg, math math')
        && !scrolls(part.parentElement) && part.getClientRects().length);
    const page = Math.max(...[document.documentElement, document.body].map(x => x.scrollWidth));
    return wide.map(part => part.outerHTML.slice(0, 80)).slice(0, 3)
        .concat(page > width ? [`the page, by ${page - width} pixels`] : []);
})()"""

UNNAMED = """Array.from(document.querySelectorAll('main svg, main img')).filter(part =>
    !part.closest('[aria-hidden=true]') && !part.closest('svg svg') &&
    !(part.getAttribute('aria-label') ?? part.getAttribute('alt') ?? '').trim()
).map(part => part.outerHTML.slice(0, 120))"""

CONTRAST = """(() => {
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0.05);
    const parts = text => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, k) => c * a + under[k] * (1 - a));
    const behind = part => {
        if (!part) return [255, 255, 255];
        const own = parts(getComputedStyle(part).backgroundColor);
        return own[3] === undefined || own[3] === 1 ? own : over(own, behind(part.parentElement));
    };
    const bad = new Map(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const part = walk.currentNode.parentElement, style = getComputedStyle(part);
        const text = walk.currentNode.textContent.trim().slice(0, 30);
        if (!text || part.closest('svg, script, style, noscript')) continue;
        if (style.visibility === 'hidden' || !part.getClientRects().length) continue;
        const page = behind(part), ink = over(parts(style.color), page);
        const [dark, bright] = [light(ink), light(page)].sort((a, b) => a - b);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if (bright / dark < (large ? 3 : 4.5) - 0.01) {
            const ratio = (bright / dark).toFixed(2), on = page.map(Math.round);
            const name = `${part.tagName}.${part.className} ${style.color} on ${on}`;
            if (!bad.has(name)) bad.set(name, `${name}: ${ratio} "${text}"`);
        }
    }
    return Array.from(bad.values());
})()"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    "The address of a folder's files."

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *message: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def opened(browser: Browser, address: str, size: tuple[int, int]) -> None:
    "Go to a page of the site, and wait until all of it is there."
    browser.events.clear()
    browser.size(*size)
    browser.open(address)
    browser.wait(f"location.href.startsWith('{address}') && document.readyState === 'complete'")


def complaints(browser: Browser, base: str) -> list[str]:
    "What a page has done that it should not: asked another host, or met an error."
    own = (base, "data:", "blob:")
    outside = [url for url in browser.requests if not url.startswith(own)]
    return [f"asks another host: {url}" for url in outside] + [
        f"error: {e}" for e in browser.errors
    ]


def look(browser: Browser, base: str, name: str) -> list[str]:
    "What is wrong with a page: by day and by night, on a desktop and on a phone."
    found, stem = [], name.removesuffix(".html").replace("/", "-")
    opened(browser, f"{base}/{name}", DESKTOP)
    if still := browser.run(LIVE):
        found.append(f"{still} charts do not come to life")
    found += [f"has no alternative text: {part}" for part in browser.run(UNNAMED)]
    for mode in ("light", "dark"):
        if mode == "dark":
            browser.run("smalldocsToggleScheme(), new Promise(done => setTimeout(done, 350))")
        found += [f"hard to read, {mode}: {part}" for part in browser.run(CONTRAST)]
        browser.picture(PICTURES / f"{stem}-{mode}.png")
    browser.run("smalldocsToggleScheme()")
    found += complaints(browser, base)
    opened(browser, f"{base}/{name}", PHONE)
    browser.run(LIVE)
    found += [f"wider than a phone: {part}" for part in browser.run(OVERFLOW)]
    browser.picture(PICTURES / f"{stem}-phone.png")
    return found + complaints(browser, base)


# ---------------------------------------------------------------- what a reader does


def moves_a_slider(browser: Browser, base: str) -> None:
    "A slider moves, and the chart with it."
    opened(browser, f"{base}/show.html", DESKTOP)
    browser.run(LIVE)
    drawn = "document.querySelector('figure.chart:has(input[type=range]) svg').outerHTML"
    browser.run("document.querySelector('figure.chart input[type=range]').focus()")
    browser.run(f"window.before = {drawn}")
    browser.press("ArrowRight", 39)
    browser.wait(f"{drawn} !== window.before", 10)


def steps_the_player(browser: Browser, base: str) -> None:
    "The tape player goes forward a step at a time, by its button and by the keyboard."
    opened(browser, f"{base}/player.html", DESKTOP)
    step = "document.querySelector('.tape-player').dataset.step"
    first = int(browser.run(step))
    browser.click(".tape-player [data-go='next']")
    browser.wait(f"{step} == {first + 1}", 10)
    browser.press("ArrowRight", 39)
    browser.wait(f"{step} == {first + 2}", 10)
    browser.press("ArrowLeft", 37)
    browser.wait(f"{step} == {first + 1}", 10)


def searches(browser: Browser, base: str) -> None:
    "A word typed into the search leads to a page that has it."
    opened(browser, f"{base}/index.html", DESKTOP)
    browser.run("document.querySelector('.smalldocs-search input').focus()")
    browser.write("value_and_grad")
    browser.wait("document.querySelectorAll('.search-result').length > 0", 20)
    browser.picture(PICTURES / "search.png")
    browser.press("Enter", 13)
    browser.wait("!location.pathname.endsWith('index.html')", 10)
    browser.wait("document.querySelector('main')?.innerText.includes('value_and_grad')", 10)


def turns_dark(browser: Browser, base: str) -> None:
    "The button turns the page dark, and the next page stays so."
    opened(browser, f"{base}/index.html", DESKTOP)
    dark = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(c => c < 80)"
    assert not browser.run(dark)
    browser.click(".quarto-color-scheme-toggle")
    browser.wait(dark, 10)
    opened(browser, f"{base}/forward.html", DESKTOP)
    browser.wait(dark, 10)
    browser.click(".quarto-color-scheme-toggle")
    browser.wait(f"!({dark})", 10)


def walks_by_keyboard(browser: Browser, base: str) -> None:
    "Every stop of the tabulator is on the screen and has a visible mark around it."
    opened(browser, f"{base}/tutorials/tour.html", DESKTOP)
    marked = """(() => { const style = getComputedStyle(document.activeElement);
        return document.activeElement !== document.body
            && (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
                || style.boxShadow !== 'none'); })()"""
    for _ in range(25):
        browser.press("Tab", 9)
        assert browser.run(marked), browser.run("document.activeElement.outerHTML.slice(0, 200)")


def works_as_a_file(browser: Browser, base: str) -> None:
    "Opened from a folder, without a server: charts are live and the search finds."
    browser.events.clear()
    browser.open((SITE / "show.html").as_uri())
    browser.wait("location.protocol === 'file:' && document.readyState === 'complete'")
    assert browser.run(LIVE) == 0
    browser.run("document.querySelector('.smalldocs-search input').focus()")
    browser.write("checkpoint")
    browser.wait("document.querySelectorAll('.search-result').length > 0", 20)


ACTS: list[Callable[[Browser, str], None]] = [
    moves_a_slider,
    steps_the_player,
    searches,
    turns_dark,
    walks_by_keyboard,
    works_as_a_file,
]


def main() -> int:
    if not find() or not SITE.is_dir():
        missing = (
            "Chromium (Debian's package is called chromium)" if not find() else "site: make site"
        )
        print(f"there is no {missing}", file=sys.stderr)
        return 1
    names = sys.argv[1:] or sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    start, wrong = time.perf_counter(), 0
    with served(SITE) as base, Browser() as browser:
        for name in names:
            for complaint in dict.fromkeys(look(browser, base, name)):
                wrong += 1
                print(f"{name}: {complaint}", flush=True)
        for act in ACTS:
            try:
                act(browser, base)
            except (AssertionError, RuntimeError, TimeoutError) as error:
                wrong += 1
                print(f"{act.__name__}: {error or 'it does not'}", flush=True)
    seconds, where = time.perf_counter() - start, PICTURES.relative_to(ROOT)
    print(f"{len(names)} pages in {seconds:.0f} s, {wrong} complaints; pictures in {where}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

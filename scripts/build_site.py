"""Build the book as a website in _docs/: with Quarto where it is installed, else with smalldocs.

python scripts/build_site.py            # every page that has changed, and all links checked
python scripts/build_site.py --force    # every page again
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import nbformat
import yaml
from chapters import NUMBER, front_links, linked, page_name, processed, reference
from notebook import NOTEBOOKS, ROOT, notebook_paths
from page import mathml, outside_references

PROCESSED = ROOT / "_proc"
SITE = ROOT / "_docs"
CACHE = ROOT / "build" / "site"
SCRIPTS = Path(__file__).parent
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")


# ---------------------------------------------------------------- nbs/ -> _proc/


def prepare(force: bool = False) -> int:
    "Write the project that Quarto or smalldocs renders; how many notebooks were not in the cache."
    shutil.rmtree(PROCESSED, ignore_errors=True)
    PROCESSED.mkdir()
    new = 0
    for path in notebook_paths():
        text, fresh = page_of(path, force)
        new += fresh
        write(page_name(path), text)
    for name, text in reference().items():
        write(Path(name), text)
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("](nbs/", "](")
    write(Path("index.md"), linked(NUMBER.sub("", readme), front_links()))
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](nbs/", "](")
        write(Path(name), NUMBER.sub("", text))
    for folder in ("images", "data"):
        if (NOTEBOOKS / folder).is_dir():
            shutil.copytree(NOTEBOOKS / folder, PROCESSED / folder)
    for name in ("_quarto.yml", "styles.css"):
        shutil.copy(NOTEBOOKS / name, PROCESSED / name)
    write(Path("nbdev.yml"), yaml.safe_dump(settings()))
    write(Path("sidebar.yml"), yaml.safe_dump(sidebar(), sort_keys=False))
    return new


def page_of(path: Path, force: bool) -> tuple[str, bool]:
    "A processed notebook as text, from the cache if nothing that it is made from has changed."
    sources = [path, SCRIPTS / "chapters.py", ROOT / "litad" / "__init__.py"]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    kept = CACHE / f"{path.stem}.{digest}.json"
    if kept.exists() and not force:
        return kept.read_text(encoding="utf-8"), False
    text = nbformat.writes(processed(path))
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{path.stem}.*.json"):
        old.unlink()
    kept.write_text(text, encoding="utf-8")
    return text, True


def write(name: Path, text: str) -> None:
    path = PROCESSED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def settings() -> dict:
    "What settings.ini says of the site."
    from configparser import ConfigParser

    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    told = parser["DEFAULT"]
    website = {"title": told["title"], "description": told["description"]}
    return {"project": {"output-dir": SITE.name}, "website": website}


def sidebar() -> dict:
    "The contents as the README has them: a section for each part of its book, a row for a page."
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    book = re.search(r"^## The book$.*?(?=^## )", readme, re.M | re.S)
    rows = re.compile(r"^### (.+)$|^\| \[(.+?)\]\(nbs/([^)]+\.ipynb)\)", re.M)
    sections: list[dict] = [{"section": "The book", "contents": []}]
    for part, title, name in rows.findall(book[0] if book else ""):
        if part:
            sections.append({"section": part, "contents": []})
        elif (NOTEBOOKS / name).exists():
            sections[-1]["contents"].append({"text": title, "href": NUMBER.sub("", name)})
    listed = {page["href"] for section in sections for page in section["contents"]}
    names = [page_name(path).as_posix() for path in notebook_paths()]
    rest = {"section": "More", "contents": [name for name in names if name not in listed]}
    pages = sorted(p.relative_to(PROCESSED).as_posix() for p in PROCESSED.glob("reference/*.md"))
    names = {"section": "Reference", "contents": pages}
    sections = [*sections[:3], names, *sections[3:], rest]  # after the tutorials and explanations
    sections = [section for section in sections if section["contents"]]
    contents = [{"text": "Home", "href": "index.md"}, *sections]
    return {"website": {"sidebar": {"contents": contents}}}


# ---------------------------------------------------------------- _proc/ -> _docs/


def render() -> str:
    "Render the project; the renderer's name."
    shutil.rmtree(SITE, ignore_errors=True)
    if quarto := shutil.which("quarto"):
        subprocess.run([quarto, "render"], cwd=PROCESSED, check=True)
    else:
        # Its warnings are about settings meant for Quarto; broken links are looked for below.
        command = [sys.executable, "-m", "smalldocs.cli", "render", "--quiet"]
        done = subprocess.run(command, cwd=PROCESSED, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    shutil.move(PROCESSED / SITE.name, SITE)
    return "Quarto" if quarto else "smalldocs"


def add_scripts() -> None:
    "What brings charts to life: Vega from vl-convert, as one file beside the pages."
    import vl_convert

    kept = CACHE / f"vega-{vl_convert.__version__}.js"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        kept.write_text(vl_convert.javascript_bundle(vl_version="5.21"), encoding="utf-8")
    shutil.copy(kept, SITE / "vega.js")
    shutil.copy(SCRIPTS / "site.js", SITE / "site.js")
    index = json.dumps(json.loads((SITE / "search.json").read_text(encoding="utf-8")))
    (SITE / "search.js").write_text(f"window.searchIndex = {index};\n", encoding="utf-8")


def make_local(page: str, depth: int) -> str:
    "A page that needs no network and no server: MathML for KaTeX, relative links for rooted."
    page = re.sub(r"<(?:script|link)[^>]*katex[^>]*>(?:\s*</script>)?", "", page)
    page = re.sub(
        r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', _math, page, flags=re.S
    )
    return re.sub(r'\b(href|src)="/(?!/)', rf'\1="{"../" * depth or "./"}', page)


def _math(match: re.Match[str]) -> str:
    return mathml(html.unescape(match[2]), display=match[1] == "display")


# ---------------------------------------------------------------- links


def links_in(page: str) -> Iterator[tuple[str, str]]:
    "Every link of a page to this site: the file, empty for the page itself, and the anchor."
    outside = re.compile(r"<script\b.*?</script>", re.S)
    for link in re.findall(r'<[^>]*\b(?:href|src)="([^"]+)"', outside.sub("", page)):
        if not re.match(r"[a-z][\w+.-]*:|//", link):
            name, _, anchor = html.unescape(link).partition("#")
            yield unquote(name.partition("?")[0]), unquote(anchor)


def broken_links(site: Path) -> list[str]:
    "The links that lead nowhere, to a page that is not there or to a place that the page has not."
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]+)"', page)) for path, page in pages.items()}
    found = []
    for path, page in sorted(pages.items()):
        for name, anchor in sorted(set(links_in(page))):
            target = Path(os.path.normpath(path.parent / name)) if name else path
            target = target / "index.html" if target.is_dir() else target
            where = f"{path.relative_to(site)} links to {name}{'#' if anchor else ''}{anchor}"
            if not target.exists():
                found.append(f"{where}, which is not there")
            elif anchor and anchor != "top" and html.escape(anchor) not in places.get(target, ()):
                found.append(f"{where}, which has no such place")
    return found


def build(force: bool = False) -> list[str]:
    "Build the site; what is wrong with it."
    start = time.perf_counter()
    new = prepare(force)
    renderer = render()
    add_scripts()
    for path in SITE.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"@import url\([^)]*//[^)]*\);?", "", style), encoding="utf-8")
    problems, pages = [], sorted(SITE.rglob("*.html"))
    for path in pages:
        depth = len(path.relative_to(SITE).parts) - 1
        page = make_local(path.read_text(encoding="utf-8"), depth)
        path.write_text(page, encoding="utf-8")
        problems += [f"{path.relative_to(SITE)} loads {url}" for url in outside_references(page)]
    problems += broken_links(SITE)
    shutil.rmtree(PROCESSED)
    seconds = time.perf_counter() - start
    print(f"{len(pages)} pages ({new} notebooks processed) by {renderer} in {seconds:.0f} s")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--force", action="store_true", help="process every notebook again")
    problems = build(parser.parse_args().force)
    if problems:
        print("\n".join(problems), file=sys.stderr)
    print(f"The site: {SITE.name}/index.html")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

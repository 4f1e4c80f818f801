"""Build the book as a website in _docs/: with Quarto where it is installed, else with smalldocs."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from notebook import ROOT
from page import mathml, outside_references

PROCESSED = ROOT / "_proc"
SITE = ROOT / "_docs"


def process_notebooks() -> None:
    """Let nbdev resolve directives, links and documentation: nbs/ -> _proc/."""
    from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
    from nbdev.serve import proc_nbs

    os.environ.pop("IN_TEST", None)
    os.chdir(ROOT)
    shutil.rmtree(PROCESSED, ignore_errors=True)
    refresh_quarto_yml()
    nbdev_sidebar.__wrapped__()
    proc_nbs(force=True)


def add_front_page() -> None:
    """Where no index notebook stands, the README opens the book."""
    if not any(PROCESSED.glob("index.*")):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (PROCESSED / "index.md").write_text(readme.replace("](nbs/", "]("), encoding="utf-8")


def render() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    if quarto := shutil.which("quarto"):
        subprocess.run([quarto, "render"], cwd=PROCESSED, check=True)
    else:
        # Its warnings are about settings meant for Quarto; broken links are looked for below.
        command = [sys.executable, "-m", "smalldocs.cli", "render", "--quiet"]
        done = subprocess.run(
            command, cwd=PROCESSED, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
    shutil.move(PROCESSED / SITE.name, SITE)


def drop_numbers() -> None:
    """Name pages as nbdev's links do, without the chapter's number: 003_ops.html -> ops.html."""
    renamed = {}
    for path in SITE.rglob("*.html"):
        name = re.sub(r"^\d+[a-zA-Z0-9]*_", "", path.name)
        if name != path.name:
            renamed[path.name] = name
            path.rename(path.with_name(name))
    for path in [*SITE.rglob("*.html"), *SITE.glob("*.json"), *SITE.glob("*.xml")]:
        text = path.read_text(encoding="utf-8")
        for old, new in renamed.items():
            text = re.sub(rf"(?<![\w-]){re.escape(old)}", new, text)
        path.write_text(text, encoding="utf-8")


def make_local(page: str, depth: int) -> str:
    """A page that needs no network and no server: MathML for KaTeX, relative links for rooted."""
    page = re.sub(r"<(?:script|link)[^>]*katex[^>]*>(?:\s*</script>)?", "", page)
    page = re.sub(
        r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', _math, page, flags=re.S
    )
    # Links to the source need a public repository, and settings.ini names none.
    page = re.sub(r'<a\b[^>]*href="(?:\.\.?/|/)*blob/[^>]*>.*?</a>', "", page, flags=re.S)
    return re.sub(r'\b(href|src)="/(?!/)', rf'\1="{"../" * depth or "./"}', page)


def broken_links(path: Path, page: str) -> list[str]:
    links = re.findall(r'\b(?:href|src)="([^"#?:]+)', page)
    missing = sorted({link for link in links if not (path.parent / link).exists()})
    return [f"{path.relative_to(ROOT)} links to {link}, which is not there" for link in missing]


def _math(match: re.Match[str]) -> str:
    return mathml(html.unescape(match[2]), display=match[1] == "display")


def main() -> int:
    process_notebooks()
    add_front_page()
    render()
    drop_numbers()
    for path in SITE.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"@import url\([^)]*//[^)]*\);?", "", style), encoding="utf-8")
    problems = []
    for path in sorted(SITE.rglob("*.html")):
        depth = len(path.relative_to(SITE).parts) - 1
        page = make_local(path.read_text(encoding="utf-8"), depth)
        path.write_text(page, encoding="utf-8")
        outside = outside_references(page)
        problems += [f"{path.relative_to(ROOT)} loads {url}" for url in outside]
        problems += broken_links(path, page)
    shutil.rmtree(PROCESSED)
    if problems:
        print("\n".join(problems), file=sys.stderr)
    print(
        f"The site: {SITE.name}/index.html (search needs a server: python -m http.server -d _docs)"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

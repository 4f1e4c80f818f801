"""The project as a whole: what importing costs, what is committed, what the tools do."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import notebook
import pytest
import tour
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook import ROOT
from page import Page, mathml, outside_references

import litad

UNTRACKED = {"build", "dist", "_docs", "_proc", "node_modules"}
CHART = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><defs><clipPath id="c0"/></defs>'
    '<g clip-path="url(#c0)"/></svg>'
)


def committed_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(
                part in UNTRACKED or part.startswith((".", "__")) or part.endswith(".egg-info")
                for part in path.relative_to(ROOT).parts[:-1]
            )
        ]
    return [path for path in paths if path.is_file()]


def test_version_is_that_of_the_settings():
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    assert litad.__version__ == settings["DEFAULT"]["version"]


@pytest.mark.parametrize("package", ["scipy", "altair", "llvmlite", "vl_convert", "IPython"])
def test_import_is_light(package):
    code = f"import sys, litad; sys.exit({package!r} in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode
    assert loaded == 0, f"`import litad` also imports {package}: import it where it is first used"


def test_no_file_names_a_machine_or_a_registry():
    # Spelled in pieces, so that this file passes its own test.
    roots = "|".join(["work", "root", "home", "Users", "tmp"])
    hosts = "|".join(["pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(?:org|com)"])
    forbidden = re.compile(rf"(?<![\w.~\-/])/(?:{roots})/[\w.]|{hosts}")
    found = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if match := forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", notebook.notebook_paths(), ids=lambda path: path.stem)
def test_notebook_loads_nothing_from_elsewhere(path):
    text = path.read_text(encoding="utf-8").replace('\\"', '"')
    assert not re.findall(r"<script\b[^>]*\bsrc|cdn\.|unpkg\.com|cdnjs", text)
    assert not outside_references(text)


def small_notebook() -> nbformat.NotebookNode:
    chart = new_output("display_data", data={"image/svg+xml": CHART, "text/plain": "chart"})
    return new_notebook(
        cells=[
            new_markdown_cell("# A *title*\n> A summary."),
            new_markdown_cell("## First\nA sum $\\sum_i x_i < 3$ and\n\n$$\\frac{a}{b}$$"),
            new_code_cell("#| label: charts\nchart, chart", outputs=[chart, chart]),
            new_code_cell("#| echo: false\nprint('<hidden>')"),
            new_code_cell("#| eval: false\nimport absent"),
            new_code_cell("#| label: headline\n{'loss': 1 / 4}"),
        ]
    )


def rendered(book: nbformat.NotebookNode) -> str:
    return Page(book, ROOT / "nbs" / "x.ipynb", ROOT / "build" / "x.html").render("end")


def test_page_is_self_contained():
    page = rendered(small_notebook())
    assert not outside_references(page)
    assert "<script" not in page
    assert "<title>A title</title>" in page and "<p>A summary.</p>" in page
    assert page.count("<math") == 2 and "<mfrac>" in page
    assert "#|" not in page


def test_page_keeps_the_ids_of_charts_apart():
    page = rendered(small_notebook())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    clips = re.findall(r'clip-path="url\(#([^)]+)\)"', page)
    assert len(clips) == 2 and set(clips) <= set(ids)


def test_outside_references_are_found():
    host = "//example.org/"
    assert outside_references(f'<script defer src="https:{host}a.js">') == [f"https:{host}a.js"]
    assert outside_references(f'<link rel="x" href="{host}a.css">') == [f"{host}a.css"]
    assert outside_references(f"<style>@import url(https:{host}f)</style>")
    assert outside_references(f'<a href="https:{host}">a link may leave</a>') == []


def test_mathematics_that_cannot_be_converted_stays_readable():
    assert mathml(r"\nosuchcommand{x}", display=False) == r"<code>\nosuchcommand{x}</code>"


def test_tour_runner_executes_and_finds_the_headline(tmp_path):
    path = tmp_path / "small.ipynb"
    book = small_notebook()
    book.cells[2].source = "1 + 1"
    notebook.write(book, path)
    before = path.read_bytes()
    executed = tour.run(path)
    assert tour.headline(executed) == "{'loss': 0.25}"
    assert path.read_bytes() == before
    assert "&lt;hidden&gt;" in rendered(executed)


def test_tour_runner_shows_the_failing_cell(tmp_path, monkeypatch, capsys):
    path = tmp_path / "broken.ipynb"
    notebook.write(new_notebook(cells=[new_code_cell("weights = 1 / 0")]), path)
    page = tmp_path / "broken.html"
    monkeypatch.setattr(sys, "argv", ["tour.py", str(path), "--page", str(page)])
    assert tour.main() == 1
    shown = capsys.readouterr().err
    assert "weights = 1 / 0" in shown and "ZeroDivisionError: division by zero" in shown
    assert not page.exists()


def test_signatures_have_no_annotations_in_quotes():
    "The site evaluates annotations where it shows a function: perhaps before they are defined."
    quoted = []
    for path in (ROOT / "litad").rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8")).body
        classes = [x for x in module if isinstance(x, ast.ClassDef)]
        makers = [x for c in classes for x in c.body if getattr(x, "name", "") == "__init__"]
        for node in [*module, *makers]:
            if isinstance(node, ast.FunctionDef) and (node in makers or node.name[0] != "_"):
                a = node.args
                told = [x.annotation for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
                if any(isinstance(x, ast.Constant) and x.value for x in [*told, node.returns]):
                    quoted.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert not quoted, quoted

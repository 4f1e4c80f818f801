"""The notebooks are documentation and tests at once: they run, are truthful, and are clean."""

from __future__ import annotations

import ast
import difflib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import notebook
import pytest
from nbformat import NotebookNode
from notebook import NOTEBOOKS, ROOT

PATHS = notebook.notebook_paths()
CHAPTERS = [path for path in PATHS if re.match(r"\d+_", path.name)]
PACKAGE = ROOT / "litad"
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def name(path: Path) -> str:
    return path.relative_to(NOTEBOOKS).with_suffix("").as_posix()


def remedy(path: Path) -> str:
    return f"remedy: python scripts/notebook.py {path.relative_to(ROOT).as_posix()}"


each_notebook = pytest.mark.parametrize("path", PATHS, ids=name)


@each_notebook
def test_runs(path, executed):
    try:
        executed(path)
    except notebook.CellFailed as failed:
        pytest.fail(f"{path.relative_to(ROOT)}, {failed}", pytrace=False)


@each_notebook
def test_stored_outputs_are_what_it_prints(path, executed):
    try:
        stored, fresh = notebook.read(path), executed(path)
    except notebook.CellFailed:
        pytest.skip("the notebook does not run")
    for before, after in zip(stored.cells, _clean(fresh).cells, strict=True):
        if before.cell_type != "code":
            continue
        old, new = _texts(before), _texts(after)
        if "varies" in before.metadata.get("tags", []):
            same = old.keys() == new.keys()
        else:
            same = old.keys() == new.keys() and all(agree(old[kind], new[kind]) for kind in old)
        if not same:
            pytest.fail(_difference(path, before, old, new), pytrace=False)


def _clean(executed: NotebookNode) -> NotebookNode:
    return nbformat.reads(notebook.dumps(executed), as_version=4)


def _texts(cell: NotebookNode) -> dict[str, str]:
    """What a cell shows, by position and kind of output, as comparable text."""
    texts = {}
    for position, output in enumerate(cell.outputs):
        if output.output_type == "stream":
            texts[f"{position} {output.name}"] = output.text
        elif output.output_type == "error":
            texts[f"{position} error"] = f"{output.ename}: {output.evalue}"
        else:
            for kind, content in output.data.items():
                text = (
                    content
                    if isinstance(content, str)
                    else json.dumps(content, indent=1, sort_keys=True)
                )
                texts[f"{position} {kind}"] = _without_ids(text) if "svg" in kind else text
    return texts


def _without_ids(svg: str) -> str:
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    for count, identifier in enumerate(names):
        svg = re.sub(rf'(?<=["#]){re.escape(identifier)}(?=[")])', f"id-{count}", svg)
    return svg


def agree(old: str, new: str) -> bool:
    """Equal, but for the last digits of numbers, which differ between processors."""
    if old == new:
        return True
    if _words(old) != _words(new):
        return False
    pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs)


def _words(text: str) -> list[str]:
    return NUMBER.sub(" 0 ", text).split()


def _difference(path: Path, cell: NotebookNode, old: dict[str, str], new: dict[str, str]) -> str:
    def lines(texts: dict[str, str]) -> list[str]:
        return [line for kind in texts for line in [f"[{kind}]", *texts[kind].splitlines()]]

    changes = difflib.unified_diff(lines(old), lines(new), "stored", "executed", lineterm="", n=1)
    shown = "\n".join(line[:200] for line in list(changes)[:60])
    return (
        f"{path.relative_to(ROOT)}, cell {cell.id}, shows something else when it runs again:\n\n"
        f"{cell.source}\n\n{shown}\n\n{remedy(path)}\n"
        "A cell whose output differs between runs, such as a time, takes the tag `varies`."
    )


@each_notebook
def test_is_clean(path):
    text = path.read_text(encoding="utf-8")
    clean = notebook.dumps(notebook.read(path))
    if text != clean:
        changes = difflib.unified_diff(
            text.splitlines(), clean.splitlines(), "stored", "clean", lineterm="", n=1
        )
        shown = [line[:200] for line in list(changes)[:40]]
        pytest.fail("\n".join([*shown, remedy(path)]), pytrace=False)


@each_notebook
def test_outputs_are_fit_to_commit(path):
    for cell in notebook.read(path).cells:
        tags = cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            kinds = output.get("data", {})
            widgets = [kind for kind in kinds if "widget" in kind]
            assert not widgets, f"cell {cell.id} stores widget state {widgets}"
            page = "".join(kinds.get("text/html", 'class="tape-player"'))
            assert 'class="tape-player"' in page, f"cell {cell.id} stores HTML: show text or SVG"
            expected = output.output_type != "error" or "raises-exception" in tags
            assert expected, f"cell {cell.id} stores an error without the tag raises-exception"


def test_litad_is_what_the_notebooks_export(tmp_path):
    copy = tmp_path / "litad-export"
    copy.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".*.draft")
    shutil.copytree(NOTEBOOKS, copy / "nbs", ignore=ignored)
    shutil.copy(ROOT / "settings.ini", copy)
    (copy / "litad").mkdir()
    shutil.copy(PACKAGE / "__init__.py", copy / "litad")
    environment = {key: value for key, value in os.environ.items() if key != "IN_TEST"}
    command = [sys.executable, "-c", "from nbdev.doclinks import nbdev_export; nbdev_export()"]
    subprocess.run(command, cwd=copy, env=environment, check=True, capture_output=True)

    exported, committed = _modules(copy / "litad"), _modules(PACKAGE)
    stale = sorted(committed.keys() - exported.keys())
    assert not stale, f"no notebook exports {stale}; remedy: delete them"
    missing = sorted(exported.keys() - committed.keys())
    assert not missing, f"not exported yet: {missing}; remedy: make export"
    for module, code in exported.items():
        changes = difflib.unified_diff(
            committed[module].splitlines(), code.splitlines(), "litad", "nbs", lineterm="", n=1
        )
        assert committed[module] == code, "\n".join(
            [f"litad/{module} differs from its notebook:", *changes, "remedy: make export"]
        )


def _modules(package: Path) -> dict[str, str]:
    files = sorted(package.rglob("*.py"))
    return {f.relative_to(package).as_posix(): f.read_text(encoding="utf-8") for f in files}


def _room(path: Path) -> tuple[int, str | None]:
    """A chapter's number and the module that it exports."""
    number = int(path.name.split("_")[0])
    pattern = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)", re.MULTILINE)
    found = (pattern.search(c.source) for c in notebook.read(path).cells if c.cell_type == "code")
    return number, next((match[1] for match in found if match), None)


def imported_modules(code: str) -> set[str]:
    """The litad modules that a piece of code imports, wherever in it the import stands."""
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"litad.{node.module or ''}".rstrip(".") if node.level else node.module
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        modules |= {name.split(".")[1] for name in names if name.startswith("litad.")}
    return modules


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_imports_only_earlier_chapters(path):
    rooms = {module: number for number, module in map(_room, CHAPTERS) if module}
    number, module = _room(path)
    code_cells = [cell for cell in notebook.read(path).cells if cell.cell_type == "code"]
    # IPython's own syntax (%magic, !command, help?) is no Python and imports nothing.
    sources = [re.sub(r"^\s*[%!].*$|^.*\?$", "", c.source, flags=re.M) for c in code_cells]
    if module:
        sources.append((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    imported = set().union(*map(imported_modules, sources))
    later = sorted(name for name in imported & rooms.keys() if rooms[name] >= number)
    assert not later, f"{path.name} imports {later}, which a notebook not before it exports"

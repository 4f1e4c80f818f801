"""What CONTRIBUTING promises: notebooks as text and back, modules mended and taken back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import notebook
import pytest
import where
from notebook import NOTEBOOKS, ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROOM = NOTEBOOKS / "001_tree.ipynb"
BIN = Path(sys.executable).parent


def test_everything_that_it_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", TEXT)):
        assert re.search(rf"^{target}:", makefile, re.M), target
    named = re.findall(r"(?:scripts|litad|nbs|bench)/[\w/]+\.(?:py|ipynb|md)\b", TEXT)
    assert len(named) > 8
    for file in named:
        assert (ROOT / file).is_file(), file
    for tool in set(re.findall(r"\.venv/bin/(\w+)", TEXT)):
        assert (BIN / tool).exists(), tool


def test_a_notebook_is_a_text_and_back(tmp_path, monkeypatch):
    "A word changed in an editor changes that word of the notebook, and nothing else."
    for name, folder in (("NOTEBOOKS", "nbs"), ("TEXTS", ".scratch")):
        monkeypatch.setattr(notebook, name, tmp_path / folder)
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "nbs").mkdir()
    copy = Path(shutil.copy(ROOM, tmp_path / "nbs"))
    before = copy.read_text(encoding="utf-8")
    text = notebook.to_text(copy)
    assert notebook.from_text(text) == copy
    assert copy.read_text(encoding="utf-8") == before
    text.write_text(text.read_text(encoding="utf-8").replace("container", "vessel"), "utf-8")
    notebook.from_text(text)
    ids = [cell.id for cell in notebook.read(ROOM).cells]
    assert [cell.id for cell in notebook.read(copy).cells] == ids
    assert "vessel" in copy.read_text(encoding="utf-8")


def test_a_mend_in_a_module_goes_back_to_its_cell(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for folder in ("nbs", "litad"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "settings.ini", tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "IN_TEST"}
    module, room = tmp_path / "litad" / "tree.py", tmp_path / "nbs" / ROOM.name

    def run(*command):
        told = {"capture_output": True, "text": True}
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, **told)
        assert done.returncode == 0, done.stderr

    source = module.read_text(encoding="utf-8")
    found = re.search(r"^def leaf_type.*?\n    \".*?\n", source, re.M | re.S)
    mended = source.replace(found[0], found[0] + "    assert x is x, 'mended'\n")
    module.write_text(mended, encoding="utf-8")
    run(BIN / "nbdev_update", "--fname", "litad/tree.py")
    changed = [c for c in notebook.read(room).cells if "'mended'" in c.source]
    line = found[0].count("\n") + source[: found.start()].count("\n")
    assert [c.id for c in changed] == [where.cell_of(ROOT / "litad" / "tree.py", line).id]
    run(BIN / "nbdev_export")
    assert module.read_text(encoding="utf-8") == mended


def test_the_archive_of_a_release_has_what_the_wheel_is_made_from(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "litad", tmp_path / "litad", ignore=ignored)
    for file in ROOT.glob("*"):
        if file.is_file():
            shutil.copy(file, tmp_path)
    told = {"cwd": tmp_path, "check": True, "capture_output": True}
    subprocess.run([sys.executable, "setup.py", "-q", "sdist"], **told)
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {Path(name).name for name in opened.getnames()}
    assert {"settings.ini", "setup.py", "pyproject.toml", "README.md"} <= names


def test_a_traceback_leads_to_its_cells():
    from litad import grad

    with pytest.raises(TypeError) as caught:
        grad("no function")
    cells = where.cells_in(str(caught.getrepr(style="short")))
    assert cells and all((ROOT / cell.notebook).is_file() for cell in cells)
    for cell in cells:
        sources = {c.id: c.source for c in notebook.read(ROOT / cell.notebook).cells}
        assert cell.line in sources[cell.id]

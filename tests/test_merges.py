"""Two edits of one notebook become one notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import notebook
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="there is no git")


class Clone:
    """A repository with one notebook, `make hooks` done, and no environment activated."""

    def __init__(self, folder):
        self.folder, self.path = folder / "clone", folder / "clone" / "a.ipynb"
        self.folder.mkdir()
        venv = os.path.dirname(sys.executable)
        places = [p for p in os.environ["PATH"].split(os.pathsep) if p != venv]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.environment |= {"HOME": str(folder), "PATH": os.pathsep.join(places)}
        shutil.copy(ROOT / ".gitattributes", self.folder)
        shutil.copy(ROOT / "settings.ini", self.folder)
        self.git("init", "--initial-branch=main")
        self.git("config", "user.name", "A reader")
        self.git("config", "user.email", "reader@example.org")
        self.run(sys.executable, ROOT / "scripts" / "hooks.py")
        cells = [new_markdown_cell("# A title", id="title")]
        cells += [new_code_cell(f"x{k} = {k}", id=f"cell{k}") for k in range(4)]
        self.commit("start", new_notebook(cells=cells))

    def run(self, *command, check=True):
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=check, capture_output=True
        )

    def git(self, *arguments, check=True):
        return self.run("git", *arguments, check=check)

    def commit(self, message, book):
        notebook.write(book, self.path)
        self.git("add", ".")
        self.git("commit", "-m", message)

    def edit(self, branch, **sources):
        "On a branch from the start, give cells other sources."
        self.git("checkout", "-b", branch, "start")
        book = notebook.read(self.path)
        for cell in book.cells:
            cell.source = sources.get(cell.id, cell.source)
        self.commit(branch, book)

    def merge(self, ours, theirs):
        self.git("tag", "start")
        self.edit("ours", **ours)
        self.edit("theirs", **theirs)
        status = self.git("merge", "--no-edit", "ours", check=False).returncode
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        return status, ["".join(cell["source"]) for cell in cells]


def test_edits_of_two_cells_are_both_kept(tmp_path):
    status, sources = Clone(tmp_path).merge({"cell0": "x0 = 'ours'"}, {"cell3": "x3 = 'theirs'"})
    assert status == 0
    assert sources[1:] == ["x0 = 'ours'", "x1 = 1", "x2 = 2", "x3 = 'theirs'"]


def test_edits_of_one_cell_stand_side_by_side(tmp_path):
    "The file stays a notebook: both versions as cells, between cells that say whose they are."
    status, sources = Clone(tmp_path).merge({"cell1": "x1 = 'ours'"}, {"cell1": "x1 = 'theirs'"})
    assert status != 0, "git must not commit what nobody has decided"
    assert "x1 = 'ours'" in sources and "x1 = 'theirs'" in sources
    assert {"x0 = 0", "x2 = 2", "x3 = 3"} <= set(sources)
    assert any(s.startswith("`<<<<<<<") for s in sources)


def test_outputs_of_both_are_no_conflict(tmp_path):
    "A cell that both have executed again, unchanged, keeps the output of one of them."
    clone = Clone(tmp_path)
    clone.git("tag", "start")
    for branch in ("ours", "theirs"):
        clone.git("checkout", "-b", branch, "start")
        book = notebook.read(clone.path)
        book.cells[1].outputs = [new_output("stream", name="stdout", text=f"{branch}\n")]
        clone.commit(branch, book)
    assert clone.git("merge", "--no-edit", "ours", check=False).returncode == 0
    cells = json.loads(clone.path.read_text(encoding="utf-8"))["cells"]
    assert ["".join(c["source"]) for c in cells[1:]] == ["x0 = 0", "x1 = 1", "x2 = 2", "x3 = 3"]
    assert cells[1]["outputs"][0]["text"] in (["ours\n"], ["theirs\n"])

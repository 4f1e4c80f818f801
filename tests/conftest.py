from __future__ import annotations

from functools import cache
from pathlib import Path

import notebook
import pytest
from nbformat import NotebookNode


@cache
def _executed(path: Path) -> NotebookNode | notebook.CellFailed:
    try:
        return notebook.execute(notebook.read(path), path.parent)
    except notebook.CellFailed as failed:
        return failed


@pytest.fixture
def executed():
    """Execute a notebook in a fresh kernel, once for all the tests that look at it."""

    def run(path: Path) -> NotebookNode:
        result = _executed(path)
        if isinstance(result, notebook.CellFailed):
            raise result
        return result

    return run

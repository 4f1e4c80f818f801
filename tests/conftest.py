from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path

import notebook
import pytest
import where
from nbformat import NotebookNode

SECONDS: dict[str, float] = {}  # how long each notebook took
TIMES = notebook.ROOT / "build" / "notebooks.json"


@cache
def _executed(path: Path) -> NotebookNode | notebook.CellFailed:
    start = time.perf_counter()
    try:
        return notebook.execute(notebook.read(path), path.parent)
    except notebook.CellFailed as failed:
        return failed
    finally:
        name = path.relative_to(notebook.ROOT).as_posix()
        SECONDS[name] = round(time.perf_counter() - start, 1)


@pytest.fixture
def executed():
    """Execute a notebook in a fresh kernel, once for all the tests that look at it."""

    def run(path: Path) -> NotebookNode:
        result = _executed(path)
        if isinstance(result, notebook.CellFailed):
            raise result
        return result

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Below a failure's traceback, the notebook cells that its lines come from."""
    report = yield
    if report.failed and (cells := where.cells_in(str(report.longrepr))):
        report.sections.append(("notebook cells", "\n".join(map(str, cells))))
    return report


def pytest_terminal_summary(terminalreporter):
    """How long each notebook took, the slowest first; all of them in build/notebooks.json."""
    if not SECONDS:
        return
    slowest = sorted(SECONDS.items(), key=lambda item: -item[1])
    TIMES.parent.mkdir(exist_ok=True)
    TIMES.write_text(json.dumps(dict(slowest), indent=1) + "\n", encoding="utf-8")
    total = f"{sum(SECONDS.values()):.0f} s in {len(SECONDS)} notebooks"
    terminalreporter.section(f"{total}, the slowest first")
    for name, seconds in slowest:
        terminalreporter.write_line(f"{seconds:7.1f} s  {name}")

from __future__ import annotations

import json
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import notebook
import pytest
import where
from nbformat import NotebookNode

RUNS: dict[Path, Future] = {}  # of the notebooks, which have begun or wait for their turn
POOL = pytest.StashKey[ThreadPoolExecutor]()
SECONDS: dict[str, float] = {}  # how long each notebook took
TIMES = notebook.ROOT / "build" / "notebooks.json"


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
def executed(request):
    """Execute a notebook in a fresh kernel, once for all tests that look at it, two at a time."""
    if not RUNS:
        asked = [item for item in request.session.items if "executed" in item.fixturenames]
        pool = request.config.stash[POOL] = ThreadPoolExecutor(min(2, os.cpu_count() or 1))
        for path in dict.fromkeys([item.callspec.params["path"] for item in asked]):
            RUNS[path] = pool.submit(_executed, path)

    def run(path: Path) -> NotebookNode:
        result = RUNS[path].result()
        if isinstance(result, notebook.CellFailed):
            raise result
        return result

    return run


def pytest_sessionfinish(session):
    """What has not begun when the tests end early need not run."""
    if POOL in session.config.stash:
        session.config.stash[POOL].shutdown(cancel_futures=True)


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

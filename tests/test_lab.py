"""Notebooks as a reader runs them: in JupyterLab, in a browser, from top to bottom."""

from __future__ import annotations

import importlib.util

import browser
import lab
import pytest
from notebook import ROOT

missing = [name for name in ("jupyterlab", "websocket") if not importlib.util.find_spec(name)]
missing += [] if browser.find() else ["chromium"]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"there is no {', '.join(missing)}")


def test_two_notebooks_run_in_jupyterlab():
    with lab.server() as address, browser.Browser() as page:
        for name in ("tutorials/tour.ipynb", "020_tape.ipynb"):
            found = lab.drive(page, address, name)
            page.picture(ROOT / "build" / "lab" / f"{name.split('/')[-1]}.png")
            assert found["cells"] > 10 and not found["not run"] and not found["failed"], found
            assert found["charts"] and found["drawn"] >= found["charts"], found
            assert not found["elsewhere"], "a notebook must not need the network"

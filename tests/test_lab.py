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


@pytest.fixture(scope="module")
def jupyterlab():
    with lab.server() as address, browser.Browser() as page:
        yield address, page


def run(jupyterlab, name: str) -> dict:
    "Run a notebook from top to bottom; what became of it, if that is as it should be."
    address, page = jupyterlab
    found = lab.drive(page, address, name)
    page.picture(ROOT / "build" / "lab" / f"{name.split('/')[-1]}.png")
    assert found["cells"] > 10 and not found["not run"] and not found["failed"], found
    assert found["drawn"] >= found["charts"], found
    assert not found["elsewhere"], "a notebook must not need the network"
    return found


def test_the_tour_runs(jupyterlab):
    assert run(jupyterlab, "tutorials/tour.ipynb")["charts"]


def test_a_slider_moves_its_chart(jupyterlab):
    assert run(jupyterlab, "018_forward.ipynb")["charts"]
    page = jupyterlab[1]
    drawn = "document.querySelector('.jp-RenderedVegaCommon5:has(input[type=range]) svg, "
    drawn += ".jp-RenderedVegaCommon5:has(input[type=range]) canvas')"
    slider = "document.querySelector('.jp-RenderedVegaCommon5 input[type=range]')"
    picture = f"{drawn}.toDataURL?.() ?? {drawn}.outerHTML"
    page.run(f"window.before = {picture}")
    page.run(f"{slider}.value = 6, {slider}.dispatchEvent(new Event('input'))")
    page.wait(f"({picture}) !== window.before", 10)


def test_the_tape_player_steps(jupyterlab):
    run(jupyterlab, next((ROOT / "nbs").glob("*_player.ipynb")).name)
    page, box = jupyterlab[1], "document.querySelector('.tape-player')"
    page.wait(f"{box}?.dataset.step === '0'", 10)
    page.run(f"{box}.querySelector('[data-go=next]').click()")
    page.wait(f"{box}.dataset.step === '1'", 10)
    assert page.run(f"{box}.querySelector('output').textContent").startswith("1 of ")

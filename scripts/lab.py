"""A notebook run from top to bottom in JupyterLab itself, in a headless browser.

python scripts/lab.py tutorials/tour.ipynb 020_tape.ipynb
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from browser import Browser, find, until
from notebook import NOTEBOOKS, ROOT

# The notebook's widget, once JupyterLab has opened it and its kernel is there.
FIND = "window.book = Array.from(jupyterapp.shell.widgets('main')).find(x => x.context?.isReady)"
OPENED = f"window.jupyterapp && ({FIND}) && (jupyterapp.shell.activateById(book.id), true)"
READY = "book.sessionContext.ready.then(() => true)"
RUN = "jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)"
CELLS = """JSON.stringify(Array.from(book.content.model.cells, cell => ({
    type: cell.type, source: cell.sharedModel.source, tags: cell.getMetadata('tags') ?? [],
    count: cell.executionCount,
    outputs: cell.outputs?.toJSON().map(x => x.ename ? x.ename + ': ' + x.evalue
        : Object.keys(x.data ?? {})) ?? []})))"""
DRAWN = "document.querySelectorAll('.jp-RenderedVegaCommon5 svg, .jp-RenderedVegaCommon5 canvas')"


@contextmanager
def server() -> Iterator[str]:
    "The address of a JupyterLab over a copy of the notebooks, with settings of its own."
    folder = Path(tempfile.mkdtemp(prefix="litad-lab-"))
    shutil.copytree(NOTEBOOKS, folder / "nbs", ignore=shutil.ignore_patterns(".*"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = os.environ | {f"JUPYTER_{place}": str(folder / place) for place in places}
    environment |= {"IPYTHONDIR": str(folder / "ipython")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder / 'nbs'}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    for place in ("user_settings", "workspaces"):
        command += [f"--LabApp.{place}_dir={folder / place}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: answers(process, address, folder / "log"), 120, "JupyterLab")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def answers(process: subprocess.Popen, address: str, log: Path) -> bool:
    "Whether the server is up."
    if process.poll() is not None:
        raise RuntimeError(f"JupyterLab ended:\n{log.read_text()[-2000:]}")
    try:
        return urlopen(f"{address}/api").status == 200
    except (URLError, ConnectionError):
        return False


def drive(browser: Browser, address: str, name: str) -> dict:
    "Open a notebook, run all of it, and say what became of its cells."
    start = time.perf_counter()
    browser.events.clear()
    browser.open(f"{address}/lab/tree/{name}?reset")
    browser.wait(OPENED, 120)
    browser.wait(READY, 120)
    browser.run(RUN)
    cells = [cell for cell in json.loads(browser.run(CELLS)) if cell["type"] == "code"]
    failed = [x for c in cells for x in c["outputs"] if isinstance(x, str)]
    meant = [x for c in cells if "raises-exception" in c["tags"] for x in c["outputs"]]
    charts = sum("application/vnd.vegalite.v5+json" in x for c in cells for x in c["outputs"])
    with suppress(TimeoutError):  # they are drawn when their cells are done
        browser.wait(f"{DRAWN}.length >= {charts}", 20)
    return {
        "cells": len(cells),
        "not run": [c["source"] for c in cells if c["source"].strip() and not c["count"]],
        "failed": [x for x in failed if x not in meant],
        "charts": charts,
        "drawn": browser.run(f"{DRAWN}.length"),
        "elsewhere": [x for x in browser.requests if x.startswith("http") and address not in x],
        "seconds": time.perf_counter() - start,
    }


def main() -> int:
    if not find():
        print("there is no Chromium; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    bad = False
    with server() as address, Browser() as browser:
        for name in sys.argv[1:] or ["tutorials/tour.ipynb"]:
            found = drive(browser, address, name)
            browser.picture(ROOT / "build" / "lab" / f"{Path(name).stem}.png")
            bad |= bool(found["not run"] or found["failed"])
            print(f"{name}: {found}")
    return bad


if __name__ == "__main__":
    sys.exit(main())

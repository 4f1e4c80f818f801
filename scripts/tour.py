"""Run the tour: execute it, print its headline results, write it as one self-contained page."""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from pathlib import Path

import numpy
from nbformat import NotebookNode
from notebook import NOTEBOOKS, ROOT, CellFailed, execute, read
from page import Page
from tqdm import tqdm

import litad

TOUR = NOTEBOOKS / "tutorials" / "tour.ipynb"
PAGE = ROOT / "build" / "tour.html"


def run(path: Path) -> NotebookNode:
    """Execute the notebook under a progress bar that names the section at work."""
    notebook = read(path)
    sections = _sections(notebook)
    layout = "{desc:<32.32} {bar:24} {n_fmt}/{total_fmt} cells  {elapsed}"
    with tqdm(total=len(notebook.cells), bar_format=layout, desc=sections[0]) as bar:

        def advance(index: int) -> None:
            bar.n = index + 1
            bar.set_description_str(sections[min(index + 1, len(sections) - 1)])

        executed = execute(notebook, path.parent, after_cell=advance)
        bar.n = bar.total
        bar.set_description_str("done")
    return executed


def _sections(notebook: NotebookNode) -> list[str]:
    """For each cell, the heading that it stands under."""
    current, names = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#{1,2}\s+(.+)$", cell.source, flags=re.MULTILINE)
            current = headings[-1] if headings else current
        names.append(current)
    return names


def headline(notebook: NotebookNode) -> str:
    """The text output of the cell that carries `#| label: headline`."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and re.search(
            r"^#\s*\|\s*label:\s*headline\s*$", cell.source, re.M
        ):
            parts = [
                output.text if output.output_type == "stream" else output.data["text/plain"]
                for output in cell.outputs
                if output.output_type == "stream" or "text/plain" in output.get("data", {})
            ]
            if parts:
                return "\n".join(part.rstrip() for part in parts)
    raise LookupError("the notebook has no cell with `#| label: headline` that shows a result")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", nargs="?", type=Path, default=TOUR)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    options = parser.parse_args()

    start = time.perf_counter()
    path, destination = options.notebook.resolve(), options.page.resolve()
    try:
        notebook = run(path)
        results = headline(notebook)
    except (CellFailed, LookupError) as error:
        print(f"\nThe tour failed: {error}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - start
    footer = (
        f"litad {litad.__version__} · executed in {seconds:.0f} s with Python "
        f"{platform.python_version()} and NumPy {numpy.__version__}"
    )
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text(Page(notebook, path, destination).render(footer), encoding="utf-8")
    shown = destination.relative_to(Path.cwd()) if destination.is_relative_to(Path.cwd()) else ""
    print(f"\n{results}\n\nThe tour took {seconds:.0f} s. Read it: {shown or destination}")
    print(destination.as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())

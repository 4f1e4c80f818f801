"""Format, export, execute and clean notebooks: the one way outputs enter the repository.

python scripts/notebook.py nbs/003_ops.ipynb           # export, execute in place, clean
python scripts/notebook.py --to-text nbs/003_ops.ipynb # -> .scratch/003_ops.py, to edit as text
python scripts/notebook.py .scratch/003_ops.py         # -> nbs/003_ops.ipynb, then as above
python scripts/notebook.py --all
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from where import cells_in

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "nbs"
TEXTS = ROOT / ".scratch"
CELL_TIMEOUT = 600


class CellFailed(Exception):
    """A cell raised, or took too long; the message shows the cell and its traceback."""


def notebook_paths() -> list[Path]:
    """Every notebook of the book, in reading order."""
    relative = (path.relative_to(NOTEBOOKS) for path in NOTEBOOKS.rglob("*.ipynb"))
    kept = [path for path in relative if not any(part[0] in "._" for part in path.parts)]
    return [NOTEBOOKS / path for path in sorted(kept, key=lambda p: (len(p.parts), p))]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def dumps(notebook: NotebookNode) -> str:
    """The clean form of a notebook: what `nbdev_clean` leaves, and nothing of the machine."""
    from execnb.nbio import nb2str
    from nbdev.clean import clean_nb

    raw = json.loads(nbformat.writes(notebook))
    for cell in raw["cells"]:
        for output in cell.get("outputs", []):
            _portable(output)
    clean_nb(raw, allowed_cell_metadata_keys=["tags"])
    raw["metadata"] = {
        "kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}
    }
    return nb2str(raw)


def _portable(output: dict) -> None:
    """Leave out what depends on the machine: folders, traceback frames, a second rendering."""
    if output["output_type"] == "stream":
        text = "".join(output["text"]).replace(f"{ROOT}{os.sep}", "")
        text = re.sub(r"^\S*ipykernel_\d+\S*?\.py:\d+: ", "", text, flags=re.MULTILINE)
        output["text"] = text.splitlines(keepends=True)
    elif output["output_type"] == "error":
        output["evalue"] = output["evalue"].replace(f"{ROOT}{os.sep}", "")
        output["traceback"] = [f"{output['ename']}: {output['evalue']}"]
    elif len(output["data"]) > 1 and "<script" not in "".join(output["data"].get("text/html", "")):
        output["data"].pop("text/html", None)  # the same table again; a page with buttons stays


def formatted(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its code cells formatted by ruff, directives kept as `#| name`."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "notebook.ipynb", "-"]
    bare = deepcopy(notebook)
    for cell in bare.cells:  # ruff writes other last digits of the numbers in outputs
        if cell.cell_type == "code":
            cell.outputs = []
    result = subprocess.run(
        command,
        check=False,
        input=nbformat.writes(bare),
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if result.returncode:
        raise SyntaxError(result.stderr.strip())
    notebook = deepcopy(notebook)
    for cell, new in zip(notebook.cells, nbformat.reads(result.stdout, as_version=4).cells):
        if cell.cell_type == "code":
            cell.source = re.sub(r"^# \|", "#|", new.source, flags=re.MULTILINE)
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(dumps(notebook), encoding="utf-8")
    draft.replace(path)


def execute(
    notebook: NotebookNode,
    folder: Path,
    after_cell: Callable[[int], None] = lambda index: None,
) -> NotebookNode:
    """Run a copy of the notebook in a fresh kernel, its outputs replaced, and return it."""
    notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))
    skipped = [cell for cell in notebook.cells if _is_skipped(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell not in skipped:
            cell.outputs = []
    client = _Client(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],
        on_cell_complete=lambda cell, cell_index: after_cell(cell_index),
    )
    # Outputs must not depend on who runs the notebook: no colours, no calling test environment.
    environment = {k: v for k, v in os.environ.items() if k not in ("IN_TEST", "FORCE_COLOR")}
    try:
        client.execute(env=environment | {"NO_COLOR": "1"})
    except CellExecutionError as error:
        raise CellFailed(_describe(client.current_cell, str(error))) from None
    except TimeoutError as error:
        raise CellFailed(_describe(client.current_cell, str(error))) from None
    return notebook


class _Client(NotebookClient):
    current_cell: NotebookNode | None = None

    async def async_execute_cell(self, cell, cell_index, *args, **kwargs):
        if _is_skipped(cell):
            return cell
        self.current_cell = cell
        return await super().async_execute_cell(cell, cell_index, *args, **kwargs)


def _is_skipped(cell: NotebookNode) -> bool:
    lines = (line.replace(" ", "") for line in cell.source.splitlines())
    return cell.cell_type == "code" and any(line == "#|eval:false" for line in lines)


def _describe(cell: NotebookNode | None, error: str) -> str:
    if cell is None:
        return error
    errors = [output for output in cell.outputs if output.output_type == "error"]
    trace = "\n".join(errors[-1].traceback) if errors else error
    trace = re.sub(r"\x1b\[[0-9;]*m", "", trace)
    rooms = "".join(f"\n{room}" for room in cells_in(trace))
    return f"cell {cell.get('id', '?')}:\n\n{cell.source}\n\n{trace}{rooms}"


def from_text(text: Path) -> Path:
    """Write the notebook that a percent-format file describes, keeping known cells' ids."""
    import jupytext
    from jupytext.combine import combine_inputs_with_outputs

    path = NOTEBOOKS / text.resolve().relative_to(TEXTS).with_suffix(".ipynb")
    notebook = formatted(jupytext.read(text, fmt="py:percent"))
    known: set[str] = set()
    if path.exists():
        old = read(path)
        known = {cell.id for cell in old.cells}
        notebook = combine_inputs_with_outputs(notebook, old, fmt="py:percent")
    used: set[str] = set()
    for cell in notebook.cells:
        if cell.get("id") not in known or cell.id in used:
            cell.id = _new_id(cell.source, used | known)
        used.add(cell.id)
    write(notebook, path)
    return path


def _format_in_place(path: Path) -> Path:
    path = path.resolve()
    write(formatted(read(path)), path)
    return path


def _new_id(source: str, used: set[str]) -> str:
    for attempt in range(1_000_000):
        digest = hashlib.sha256(f"{source}{attempt or ''}".encode()).hexdigest()[:8]
        if digest not in used:
            return digest
    raise RuntimeError("no free cell id")


def to_text(path: Path) -> Path:
    import jupytext

    text = TEXTS / path.resolve().relative_to(NOTEBOOKS).with_suffix(".py")
    text.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(read(path), text, fmt="py:percent")
    return text


def export() -> None:
    """`nbdev_export`, whatever the calling environment."""
    from nbdev.doclinks import nbdev_export

    os.environ.pop("IN_TEST", None)
    os.chdir(ROOT)
    nbdev_export.__wrapped__()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks, or texts in .scratch/")
    parser.add_argument("--all", action="store_true", help="every notebook of the book")
    parser.add_argument("--to-text", action="store_true", help="notebook -> .scratch/ text")
    parser.add_argument("--no-execute", action="store_true", help="write and export only")
    parser.add_argument("--check", action="store_true", help="only say what is not formatted")
    options = parser.parse_args()
    paths = notebook_paths() if options.all else options.paths
    if not paths:
        parser.error("name at least one notebook, or --all")
    if options.to_text:
        for path in paths:
            print(f"{path} -> {to_text(path).relative_to(ROOT)}")
        return 0

    if options.check:
        bad = [path for path in paths if formatted(read(path)) != read(path)]
        for path in bad:
            print(f"not formatted: {path}; remedy: python scripts/notebook.py {path}")
        return 1 if bad else 0

    notebooks = []
    for path in paths:
        try:
            notebooks.append(from_text(path) if path.suffix == ".py" else _format_in_place(path))
        except SyntaxError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    export()
    failures = 0
    for path in notebooks:
        start = time.perf_counter()
        name = path.relative_to(ROOT)
        if options.no_execute:
            print(f"{name}: written")
            continue
        try:
            write(execute(read(path), path.parent), path)
            print(f"{name}: executed in {time.perf_counter() - start:.1f} s")
        except CellFailed as failed:
            failures += 1
            print(f"{name}: FAILED in {failed}\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

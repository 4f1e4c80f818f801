"""From a line of a generated module to the notebook cell that it was exported from.

python scripts/where.py litad/core.py:288      # the cell of one line
python my_program.py 2>&1 | python scripts/where.py   # of every line of a traceback
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^# %% (\S+\.ipynb) #(\w+)$")
FRAME = re.compile(r"((?:litad[/\\])(?:\w+[/\\])*\w+\.py)\"?(?:, line |:)(\d+)")


class Cell(NamedTuple):
    """Where a line comes from."""

    notebook: Path  # from the project's folder
    id: str
    line: str  # the line itself, to search the notebook for

    def __str__(self) -> str:
        return f"{self.notebook.as_posix()}, cell {self.id}: {self.line}"


def cell_of(module: Path, number: int) -> Cell | None:
    "The cell that a line of a generated module comes from; none for what nbdev itself has written."
    lines = module.read_text(encoding="utf-8").splitlines()
    for line in reversed(lines[:number]):
        if match := MARK.match(line):
            notebook = (module.parent / match[1]).resolve().relative_to(ROOT)
            return Cell(notebook, match[2], lines[number - 1].strip())
    return None


def cells_in(traceback: str) -> list[Cell]:
    "The cells of a traceback's lines, in its order, each once."
    found = {}
    for name, number in FRAME.findall(traceback):
        module = ROOT / name.replace("\\", "/")
        if module.is_file() and (cell := cell_of(module, int(number))):
            found[cell] = None
    return list(found)


def main() -> int:
    cells = cells_in(" ".join(sys.argv[1:]) or sys.stdin.read())
    print("\n".join(map(str, cells)) or "no line of a module that a notebook exports")
    return not cells


if __name__ == "__main__":
    sys.exit(main())

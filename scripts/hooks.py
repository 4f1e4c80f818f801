"""Teach git to merge notebooks cell by cell, and Jupyter to save them clean.

nbdev's own hooks, named by their full path: they work whether or not `.venv` is activated.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def tool(name: str) -> str:
    "A command of nbdev beside this Python, quoted for a shell."
    return f"'{(Path(sys.executable).parent / name).as_posix()}'"


def install(repository: Path) -> None:
    "Install the hooks into a clone."
    subprocess.run(
        [Path(sys.executable).parent / "nbdev_install_hooks"], cwd=repository, check=True
    )
    driver = f"{tool('nbdev_merge')} %O %A %B %P"
    command = ["git", "config", "--local", "merge.nbdev-merge.driver", driver]
    subprocess.run(command, cwd=repository, check=True)
    hook = repository / ".git" / "hooks" / "post-merge"
    hook.write_text(f"#!/bin/sh\nexec {tool('nbdev_trust')}\n", encoding="utf-8")


if __name__ == "__main__":
    install(Path.cwd())

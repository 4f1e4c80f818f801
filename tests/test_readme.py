"""The README tells the truth: its examples print what it says, its links lead somewhere."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import readme_chart
import readme_table
from notebook import NOTEBOOKS, ROOT, notebook_paths

from litad import LitadError, grad

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```$", README, re.S | re.M)


def test_every_python_block_is_followed_by_its_output():
    assert len(EXAMPLES) == README.count("```python") >= 3


@pytest.mark.parametrize("code, printed", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_prints_what_the_readme_says(code, printed, tmp_path):
    # Each is a program of its own, for a reader copies one and not all.
    program = tmp_path / "example.py"
    program.write_text(code, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", program.name]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert _words(done.stdout) == _words(printed)
    assert _numbers(done.stdout) == pytest.approx(_numbers(printed), rel=1e-12, abs=1e-12)


NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")


def _words(text: str) -> list[str]:
    return [NUMBER.sub("0", line.rstrip()) for line in text.rstrip().splitlines()]


def _numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", README)
    missing = [x for x in links if not x.startswith("https:") and not (ROOT / x).exists()]
    assert len(links) > 10 and not missing


def test_every_notebook_is_in_the_readme():
    paths = [path.relative_to(ROOT).as_posix() for path in notebook_paths()]
    unmentioned = [path for path in paths if f"]({path})" not in README]
    assert not unmentioned, f"add to the README: {unmentioned}"


def test_named_files_and_commands_exist():
    scripts = set(re.findall(r"scripts/\w+\.py", README))
    assert scripts and all((ROOT / script).is_file() for script in scripts)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)`", README)):
        assert re.search(rf"^{target}:", makefile, re.M), f"no target {target} in the Makefile"


def test_picture_is_the_one_of_the_tour():
    stored = (NOTEBOOKS / "images" / "lynx_hare.svg").read_text(encoding="utf-8")
    assert stored == readme_chart.picture(), "remedy: python scripts/readme_chart.py"
    assert "<script" not in stored and "href" not in stored


def test_times_are_those_that_were_measured():
    assert readme_table.written(README) == README, "remedy: python scripts/readme_table.py"
    rows = [line for line in readme_table.table().splitlines() if line.startswith("| ")]
    assert len(rows) == len(readme_table.RACES) + 2 and "JAX" in rows[0]


WITHOUT_SOURCE = """
def stored(x):
    out = np.zeros(2)
    out[0] = x[0]
    return out[0]

NOT_POSSIBLE = {
    "math.sin": lambda x: math.sin(x[0]),
    "float(x)": lambda x: float(x[0]),
    "dtype=float": lambda x: np.sum(np.asarray(x, dtype=float)),
    "np.zeros(n)": stored,
}
"""
_space: dict = {"np": np, "math": math}
exec(WITHOUT_SOURCE, _space)
NOT_POSSIBLE = _space["NOT_POSSIBLE"]


@pytest.mark.parametrize("name", NOT_POSSIBLE)
def test_what_the_readme_says_is_missing_is_refused(name):
    assert name in README
    x = np.array([0.3, 0.2, 0.9])
    with pytest.raises(LitadError):
        grad(NOT_POSSIBLE[name])(x)

"""Whether memory grows: a million calls of compiled functions, a thousand compilations."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

# By the end of the warm-up everything that remembers is full, and the heap has found its shape.
CALLS, COMPILATIONS, WARM_UP = 10**6, 10**3, 2 * 10**3
CALLS_LIMIT, COMPILATIONS_LIMIT = 256.0, 1024.0  # KB


def resident() -> float:
    "Kilobytes of memory that this process holds."
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024


def calls() -> dict[str, float]:
    "The growth over calls that return numbers, arrays and containers."
    import numpy as np
    import scalar

    import litad
    from litad.jit import jit

    of_numbers = jit(litad.value_and_grad(scalar.rosenbrock, (0, 1)))
    of_array = jit(litad.value_and_grad(lambda x: np.sum(x * x)))
    x, sizes = np.ones(100), []
    for count in (CALLS // 5, CALLS):  # by turns
        for _ in range(count // 2):
            of_numbers(1.2, 2.0)
            of_array(x)
        sizes.append(resident())
    return {"calls": sizes[1] - sizes[0]}


def compilations() -> dict[str, float]:
    "The growth over compilations of which only the last few hundred are remembered."
    import numpy as np

    import litad
    from litad.jit import jit

    lengths = np.random.default_rng(0).permutation(4 * COMPILATIONS)  # some hundreds of any size
    arrays, sizes = (np.ones(n) for n in lengths), []
    for count in (10, WARM_UP, COMPILATIONS):
        for _ in range(count):
            jit(litad.value_and_grad(lambda x: np.sum(x * x)))(next(arrays))
        sizes.append(resident())
    return {"compilations": sizes[2] - sizes[1], "each": (sizes[1] - sizes[0]) / WARM_UP}


def measure(options, there) -> dict:
    "Both, each in a process of its own."
    rows = {}
    for name in ("calls", "compilations"):
        done = subprocess.run(
            [sys.executable, __file__, name], capture_output=True, text=True, check=True
        )
        rows |= json.loads(done.stdout)
    body = [
        [f"{CALLS:,} calls, after a fifth as many", f"{rows['calls']:.0f} KB"],
        [f"{COMPILATIONS:,} compilations, after {WARM_UP}", f"{rows['compilations']:.0f} KB"],
        [f"each of the first {WARM_UP}", f"{rows['each']:.0f} KB"],
    ]
    return {
        "workload": "soak",
        "race": "soak",
        "title": "how much the process grows",
        "rows": rows,
        "table": [["", "growth"], body],
        "targets": [
            ["soak: a million calls", "kilobytes", CALLS_LIMIT, rows["calls"], ""],
            ["soak: compilations", "kilobytes", COMPILATIONS_LIMIT, rows["compilations"], ""],
        ],
    }


if __name__ == "__main__":
    print(json.dumps({"calls": calls, "compilations": compilations}[sys.argv[1]]()))

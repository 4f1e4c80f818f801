"""Whether memory grows: a million calls, a thousand compilations, ten million bound calls."""

from __future__ import annotations

import collections
import gc
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

# By the end of the warm-up everything that remembers is full, and the heap has found its shape.
CALLS, COMPILATIONS, WARM_UP = 10**6, 10**3, 2 * 10**3
BOUND, SLOW_BOUND, THREADS = 10**7, 10**8, 8
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


def driven(call, count: int) -> None:
    "Call so often, from a loop in C."
    collections.deque(itertools.starmap(call, itertools.repeat((), count)), maxlen=0)


def bound(count: int = BOUND) -> dict[str, float]:
    "The growth over bound calls, in the main thread and from several."
    import numpy as np
    import scalar

    import litad

    f, x = litad.jit(litad.value_and_grad(scalar.of_array)), scalar.ARRAY.copy()
    g = f.bind(x)
    driven(g, CALLS)
    before = resident()
    start = time.perf_counter()
    driven(g, count)
    each = (time.perf_counter() - start) / count
    after = resident()
    assert np.allclose(g()[1], f(x)[1], rtol=1e-12)
    return {"bound": after - before, "bound each": 1e9 * each, "from threads": from_threads(f, g)}


def from_threads(f, shared) -> float:
    "The growth over a million calls from threads, half of them of one object."
    import numpy as np

    def work():
        own = f.bind(np.array([1.2, 2.0]))
        for call in (shared, own):
            driven(call, CALLS // THREADS // 2)

    sizes = []
    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        sizes.append(resident())
    return sizes[2] - sizes[1]


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
    count = SLOW_BOUND if options.slow else BOUND
    for name in (["calls"], ["bound", str(count)], ["compilations"]):
        command = [sys.executable, __file__, *name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows |= json.loads(done.stdout)
    body = [
        [f"{CALLS:,} calls, after a fifth as many", f"{rows['calls']:.0f} KB"],
        [f"{count:,} bound calls, {rows['bound each']:.0f} ns each", f"{rows['bound']:.0f} KB"],
        [f"{CALLS:,} bound calls from {THREADS} threads", f"{rows['from threads']:.0f} KB"],
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
            ["soak: bound calls", "kilobytes", CALLS_LIMIT, rows["bound"], ""],
            ["soak: bound calls from threads", "kilobytes", CALLS_LIMIT, rows["from threads"], ""],
            ["soak: compilations", "kilobytes", COMPILATIONS_LIMIT, rows["compilations"], ""],
        ],
    }


if __name__ == "__main__":
    work = {"calls": calls, "bound": bound, "compilations": compilations}[sys.argv[1]]
    print(json.dumps(work(*map(int, sys.argv[2:]))))

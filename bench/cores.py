"""What the other cores are worth: long loops on one thread and on two."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

LIMIT = 0.6  # of the time on one thread
ROUNDS = 15
COUNTS = ("1", "2")


def cases() -> dict:
    "Compiled calls by name."
    import elementwise
    import numpy as np

    from litad import jit, value_and_grad

    draw = np.random.default_rng(0).standard_normal
    elementary = jit(value_and_grad(elementwise.function(np)))
    softmax = jit(lambda a: np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True))
    sizes = {f"elementwise, float64, n = {n}": draw(n) for n in (1000, 100_000, 1_000_000)}
    found = {name: (elementary, x) for name, x in sizes.items()}
    found["softmax of 4000 rows of 500"] = softmax, draw((4000, 500))
    return found | {"x + 1, n = 4000000": (jit(lambda x: x + 1.0), draw(4_000_000))}


def seconds(call, turns: int) -> float:
    start = time.perf_counter()
    for _ in range(turns):
        call()
    return (time.perf_counter() - start) / turns


def times() -> dict:
    "Medians by number of threads, and of the ratios within a round."
    rows = {}
    for name, (f, x) in cases().items():
        samples = {count: [] for count in COUNTS}
        turns = max(1, round(0.02 / max(seconds(lambda: f(x), 2), seconds(lambda: f(x), 2))))
        for _ in range(ROUNDS):
            for count in COUNTS:
                os.environ["LITAD_THREADS"] = count
                samples[count].append(seconds(lambda: f(x), turns))
        ratio = statistics.median(b / a for a, b in zip(*samples.values()))
        rows[name] = {"ratio": ratio, **{k: statistics.median(v) for k, v in samples.items()}}
    return rows


def measure(options, there) -> dict:
    "All cases, in a process of their own."
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    body = [
        [name, *[f"{1e6 * row[k]:.3g} us" for k in COUNTS], f"{row['ratio']:.2f}"]
        for name, row in rows.items()
    ]
    wanted = "elementwise, float64, n = 1000000"
    return {
        "workload": "cores",
        "race": "cores",
        "title": "one thread and two",
        "rows": rows,
        "table": [["", *[f"{k} thread{'s' * (k != '1')}" for k in COUNTS], "ratio"], body],
        "targets": [[f"{wanted}: two threads", "one", LIMIT, rows[wanted]["ratio"], ""]],
    }


if __name__ == "__main__":
    print(json.dumps(times()))

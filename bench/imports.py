"""What `import litad` costs over `import numpy`, and its first use, in fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from harness import in_units, spread

CODE = """
import time
a = time.perf_counter()
import numpy
b = time.perf_counter()
import litad
c = time.perf_counter()
litad.grad
d = time.perf_counter()
litad.grad(lambda x: x * x)(3.0)
e = time.perf_counter()
print([b - a, c - b, d - c, e - d])
"""
STEPS = ("import numpy", "import litad", "litad.grad", "the first gradient")
LIMIT_MS = 50.0


def measure(options, there) -> dict:
    "Seconds of each step, per process; the first process only fills the caches."
    environment = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    samples = []
    for _ in range(options.rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        samples.append(json.loads(done.stdout))
    rows = {
        name: {"median": statistics.median(t), "spread": spread(t)}
        for name, t in zip(STEPS, zip(*samples[1:]))
    }
    body = [[name, in_units(row["median"]), f"{row['spread']:.0%}"] for name, row in rows.items()]
    milliseconds = 1e3 * rows["import litad"]["median"]
    return {
        "workload": "imports",
        "race": "imports",
        "title": "importing, in fresh processes: each step after the one before",
        "rows": rows,
        "table": [["step", "time", "spread"], body],
        "targets": [["import litad", "milliseconds", LIMIT_MS, milliseconds, ""]],
    }

"""What `import litad` costs over `import numpy`, and its first use, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys

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


def measure(rounds: int, environment: dict) -> dict[str, list[float]]:
    "Seconds of each step, per process; the first process only fills the caches."
    samples = []
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        samples.append(json.loads(done.stdout))
    return {name: list(times) for name, times in zip(STEPS, zip(*samples[1:]))}

"""A fit of ten parameters to ten thousand points, beside SciPy's curve_fit with differences.

python bench/fitting.py [repeats]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy import optimize

from litad.fit import curve_fit

TRUTH = np.array([0.1, 1.0, 0.2, 0.1, 2.0, 0.5, 0.2, 1.0, 0.8, 0.05])
SHIFT = np.array([2.0, 1.1, 1.05, 1.2, 0.9, 0.95, 1.1, 1.2, 1.01, 1.2])


def peaks(x, base, a, b, c, d, e, f, g, h, i):
    first, second, third = (x - b) / c, (x - e) / f, (x - h) / i
    return base + a * np.exp(-(first**2)) + d * np.exp(-(second**2)) + g * np.exp(-(third**2))


def least(call, repeats):
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def compare(name, x, y, start, repeats):
    ways = {
        "SciPy, differences": lambda: optimize.curve_fit(peaks, x, y, start, maxfev=100_000)[0],
        "litad": lambda: curve_fit(peaks, x, y, start).popt,
        "litad, jit": lambda: curve_fit(peaks, x, y, start, jit=True).popt,
    }
    found = {way: call() for way, call in ways.items()}
    times = {way: least(call, repeats) for way, call in ways.items()}
    slow = times["SciPy, differences"]
    for way, seconds in times.items():
        off = np.max(np.abs(found[way] / found["litad"] - 1))
        cost = f"{1e3 * seconds:9.2f} ms  {slow / seconds:6.1f} x"
        print(f"{name:6} {way:20} {cost}  differs by {off:.0e}")


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    x = np.linspace(0, 1, 10_000)
    y = peaks(x, *TRUTH) + 0.02 * np.random.default_rng(0).standard_normal(len(x))
    compare("near", x, y, TRUTH * SHIFT, repeats)
    compare("far", x, y, TRUTH * 1.1, repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fits of ten parameters to ten thousand points, beside SciPy's curve_fit with differences.

python bench/fitting.py [rounds]

A round is each way five times in a row, of which the median counts; a ratio is the median of the
ratios within a round. What is timed is `popt, pcov = curve_fit(f, x, y, p0)`, the covariance
included; compiled models are warm.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from scipy import optimize

from litad.fit import curve_fit


def gaussians(x, a, b, c, d, e, f, g, h, i, base):
    first, second, third = (x - b) / c, (x - e) / f, (x - h) / i
    peaks = a * np.exp(-0.5 * first**2) + d * np.exp(-0.5 * second**2)
    return peaks + g * np.exp(-0.5 * third**2) + base


def lorentzians(x, a, b, c, d, e, f, g, h, i, base):
    first, second, third = (x - b) / c, (x - e) / f, (x - h) / i
    return a / (1 + first**2) + d / (1 + second**2) + g / (1 + third**2) + base


def waves(x, a, b, c, d, e, f, g, h, i, j):
    return a + b * x + c * x**2 + d * x**3 + e * np.sin(f * x + g) + h * np.cos(i * x + j)


def damped(x, a, b, c, d, e, f, g, h, i, j):
    ringing = a * np.exp(-b * x) * np.sin(c * x + d) + e * np.exp(-f * x) * np.cos(g * x + h)
    return ringing + i + j * x


def quotient(x, a, b, c, d, e, f, g, h, i, j):
    top = a + b * x + c * x**2 + d * x**3 + e * x**4 + f * x**5
    return top / (1 + g * x + h * x**2 + i * x**3 + j * x**4)


PEAKS = [3, 2, 0.5, 2, 5, 0.8, 4, 8, 0.6, 1]
ABOUT = [2.5, 2.3, 0.7, 2.5, 4.7, 1, 3, 7.7, 0.8, 0.5]
CASES = {  # model, length of the interval, parameters, start, noise
    "three Gaussians": (gaussians, 10, PEAKS, ABOUT, 0.05),
    "the same, begun nearby": (gaussians, 10, PEAKS, np.multiply(PEAKS, 1.03), 0.05),
    "three Lorentzians": (lorentzians, 10, PEAKS, ABOUT, 0.05),
    "polynomial and waves": (
        waves, 5, [1, 0.5, -0.3, 0.04, 2, 3, 0.3, 1, 7, 0.2],
        [0.5, 0.5, -0.2, 0, 1.5, 2.9, 0.2, 1.2, 7.1, 0], 0.1),
    "damped waves": (
        damped, 10, [3, 0.3, 4, 0.5, 2, 0.1, 1.5, 0.2, 1, 0.1],
        [2.5, 0.25, 4.1, 0.4, 2.4, 0.12, 1.45, 0.1, 0.8, 0], 0.1),
    "a quotient, ill-conditioned": (
        quotient, 1, [1, 2, -3, 1, 4, -2, 0.5, 1, 0.3, 0.2], [1] * 6 + [0.5] * 4, 0.01),
}  # fmt: skip


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name, model, length, truth, start, noise, rounds):
    x = np.linspace(0, length, 10_000)
    y = model(x, *truth) + noise * np.random.default_rng(1).standard_normal(len(x))
    start = np.asarray(start, float)
    ways = {
        "SciPy": lambda: optimize.curve_fit(model, x, y, start, maxfev=100_000),
        "litad": lambda: tuple(curve_fit(model, x, y, start)),
        "litad, jit": lambda: tuple(curve_fit(model, x, y, start, jit=True)),
    }
    first = {way: seconds(call) for way, call in ways.items()}
    found = {way: call() for way, call in ways.items()}
    times = {way: [] for way in ways}
    for _ in range(rounds):
        for way, call in ways.items():
            times[way].append(np.median([seconds(call) for _ in range(5)]))
    popt, pcov = found["litad"]
    calls = optimize.curve_fit(model, x, y, start, maxfev=100_000, full_output=True)[2]["nfev"]
    for way in ways:
        ratio = np.median(np.divide(times["SciPy"], times[way]))
        off = np.max(np.abs(found[way][0] - popt) / np.sqrt(np.diagonal(pcov)))
        note = f"{calls} calls" if way == "SciPy" else f"first {1e3 * first[way]:.0f} ms"
        cost = f"{1e3 * np.median(times[way]):8.3f} ms {ratio:6.1f} x"
        print(f"{name:28} {way:11} {cost}  {note:14} {off:.0e} standard errors apart", flush=True)


def main() -> int:
    warnings.simplefilter("ignore")  # SciPy's, of overflow on the way
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for name, case in CASES.items():
        compare(name, *case, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Races: one computation, several implementations, each in a process of its own, timed in turns."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LITAD_THREADS": "1",
    "NPROC": "1",  # the size of XLA's thread pool
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "JAX_CPU_ENABLE_ASYNC_DISPATCH": "false",  # the faster where every result is waited for
}
GCC = "gcc"  # what the limits in C need


@dataclass
class Entry:
    """One implementation: `build()` returns a function of no arguments that does the work once."""

    name: str
    build: Callable
    reference: Callable  # the result that the work must have
    needs: str  # the package it is written with; "" for NumPy alone
    rtol: float
    slow: bool  # left out unless asked for
    hand: bool  # its derivatives are written by hand

    @property
    def kind(self) -> str:
        if self.hand or not self.needs:
            return "hand"
        return {"litad": "litad", GCC: "limit"}.get(self.needs, "peer")


@dataclass
class Target:
    """At most so much time, as a multiple of another entry's time."""

    entry: str
    other: str
    limit: float
    when: str = ""  # "next" for what is promised but not yet asked for


@dataclass
class Race:
    """Implementations to be timed against each other."""

    name: str
    title: str
    baseline: str = ""  # the entry that the others are multiples of
    reference: Callable | None = None
    steps: bool = False  # each call goes on from the one before; the reference is told how many
    entries: dict[str, Entry] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def entry(
        self,
        name: str,
        needs: str = "",
        *,
        reference: Callable | None = None,  # where it differs from the race's
        rtol: float = 1e-9,
        slow: bool = False,
        hand: bool = False,
    ) -> Callable:
        "Decorator: add an implementation."

        def add(build: Callable) -> Callable:
            want = reference or self.reference
            self.entries[name] = Entry(name, build, want, needs, rtol, slow, hand)
            return build

        return add

    def target(self, entry: str, other: str, limit: float, when: str = "") -> None:
        "Promise that one entry takes at most `limit` times what another takes."
        self.targets.append(Target(entry, other, limit, when))


def races_of(module: str) -> list[Race]:
    "The races that a workload file defines."
    return importlib.import_module(module).RACES


def jax_and_numpy():
    "JAX and its NumPy."
    import jax
    import jax.numpy

    return jax, jax.numpy


def torch_on_one_thread():
    "PyTorch; the environment variable alone does not hold it to one thread."
    import torch

    torch.set_num_threads(1)
    return torch


# ------------------------------------------------------------------ verification


def leaves(result: Any) -> list:
    "A nest of tuples, lists and dicts of arrays of any library as a list of NumPy arrays."
    import numpy as np

    if isinstance(result, dict):
        result = [result[name] for name in sorted(result)]
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    if hasattr(result, "detach"):
        result = result.detach().numpy()
    return [np.asarray(result, dtype=float)]


def deviation(got: Any, want: Any) -> float:
    "The largest absolute difference over the largest magnitude, leaf by leaf."
    import numpy as np

    got, want = leaves(got), leaves(want)
    if [x.shape for x in got] != [x.shape for x in want]:
        return float("inf")
    worst = 0.0
    for g, w in zip(got, want):
        if not np.isfinite(g).all():
            return float("inf")
        if w.size:
            difference = float(np.max(np.abs(g - w)))
            worst = max(worst, difference / max(float(np.max(np.abs(w))), 1e-300))
    return worst


def after_steps(step: Callable, data: Callable, steps: int) -> Any:
    "The parameters after so many steps in place, each over the same data."
    parameters, x, y = data()
    for _ in range(steps):
        step(parameters, x, y)
    return parameters


# ------------------------------------------------------------------ processes


class Worker:
    """A process that holds one implementation, checked, and times it when asked."""

    def __init__(self, python: str, module: str, race: str, entry: str, litad: str = ""):
        environment = os.environ | ONE_THREAD
        environment.pop("PYTHONPATH", None)
        if litad:
            environment["PYTHONPATH"] = litad
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "worker.py"), module, race, entry],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            return {"failed": f"the process ended with {self.process.wait()}"}
        return json.loads(line)

    def batch(self, count: int) -> float:
        "Seconds per call over `count` calls."
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self.answer()
        if "seconds" not in answer:
            raise RuntimeError(answer.get("failed"))
        return answer["seconds"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def in_a_process(python: str, file: str, *names: str) -> dict:
    "What a workload file prints last, as JSON, when it is run alone, on one thread."
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
    command = [python, "-W", "ignore", file, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(names)}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def batch_sizes(workers: dict[str, Worker], seconds: float) -> dict[str, int]:
    "For each implementation, the number of calls that take about so many seconds."
    sizes = {}
    for name, worker in workers.items():
        count, each = 1, worker.batch(1)
        while count * each < seconds / 2 and each > 0:
            count = max(count + 1, min(8 * count, int(seconds / each)))
            each = worker.batch(count)
        sizes[name] = count
    return sizes


def in_turns(workers: dict[str, Worker], rounds: int, seconds: float) -> dict[str, list[float]]:
    "Round after round, a batch of every implementation: the seconds per call of each batch."
    sizes, names = batch_sizes(workers, seconds), list(workers)
    times: dict[str, list[float]] = {name: [] for name in names}
    for k in range(rounds):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(workers[name].batch(sizes[name]))
    return times


def ratio(times: list[float], others: list[float]) -> float:
    "The median over rounds of one batch's time over another's."
    return statistics.median(a / b for a, b in zip(times, others))


def spread(times: list[float]) -> float:
    "The distance between the quartiles, over the median."
    if len(times) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(times, n=4)
    return (high - low) / middle


def in_units(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def python_here() -> str:
    return sys.executable

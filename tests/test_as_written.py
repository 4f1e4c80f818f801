"""Plain Python with loops, branches and stores: compiled from source, forwards and backwards."""

import copy
import os

import numpy as np
import pytest
from kernels import KERNELS
from sketches import NUMPY, SKETCHES, TRAPS

from litad import explain, jit, jvp, value_and_grad

# Kernels as scientists write them: values, gradients both ways, and nothing left to Python.


def fresh(args):
    return copy.deepcopy(args)


def flat(out):
    "The numbers of a result."
    return np.concatenate(
        [np.ravel(x).astype(float) for x in (out if isinstance(out, tuple) else (out,))]
    )


def scalar(f):
    "A kernel's results as one number."

    def total(*args):
        out = f(*args)
        parts = out if isinstance(out, tuple) else (out,)
        return sum(
            [np.sum(np.cos(k + np.arange(np.size(y))) * np.ravel(y)) for k, y in enumerate(parts)]
        )

    return total


def places(args, wrt):
    if wrt is not None:
        return wrt
    return tuple([k for k, x in enumerate(args) if np.asarray(x).dtype.kind == "f"])


def moved(args, where, directions, h):
    new = list(fresh(args))
    for k, d in zip(where, directions):
        new[k] = new[k] + h * d
    return new


def quotient(f, args, where, directions, h=1e-4):
    "A difference quotient of fourth order."
    at = [f(*moved(args, where, directions, s * h)) for s in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)


def all_compiled(f, args):
    "That nothing runs in Python."
    left = explain(f, *fresh(args)).fallback
    assert not left, left


def close(a, b, rtol):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(
        a, b, rtol=rtol, atol=rtol * max(1, np.max(np.abs(b), initial=0))
    )


def check(f, args, wrt=None, compiled=True):
    where = places(args, wrt)
    random = np.random.default_rng(0)
    ours, theirs = fresh(args), fresh(args)
    value = flat(jit(f)(*ours))
    assert close(value, flat(f(*theirs)), 1e-11)
    for a, b in zip(ours, theirs):
        if np.asarray(a).dtype.kind in "USO":
            continue
        assert close(a, b, 1e-12), "an argument is not left as NumPy leaves it"
    total = scalar(f)
    if compiled:
        all_compiled(f, args)
    slope = value_and_grad(total, where)
    value, slopes = jit(slope)(*fresh(args))
    assert close(value, total(*fresh(args)), 1e-11)
    if compiled:
        all_compiled(slope, args)
    eager = slope(*fresh(args))[1]
    assert all([close(a, b, 1e-7) for a, b in zip(slopes, eager)]), "eager is not compiled"

    def forward(args, directions):
        def along(*moving):
            new = list(args)
            for k, x in zip(where, moving):
                new[k] = x
            return total(*new)

        return jvp(along, tuple([args[k] for k in where]), directions)[1]

    for _ in range(2):
        directions = tuple([random.normal(size=np.shape(args[k]))[()] for k in where])
        along = sum([np.sum(g * d) for g, d in zip(slopes, directions)])
        assert close(along, quotient(total, args, where, directions), 2e-6), (
            "reverse is not the difference quotient"
        )
        assert close(jit(forward)(list(fresh(args)), directions), along, 1e-8), (
            "forward is not reverse"
        )


WAITING = {"kalman_matrix"}  # inv: on NumPy
waiting = pytest.mark.xfail(reason="a part of it runs on NumPy", strict=False)


def cases():
    "Loops that stay loops, for all; some of the kernels with loops that are written out too."
    for k, name in enumerate(KERNELS):
        marks = waiting if name in WAITING else ()
        yield pytest.param(name, 12, marks=marks)
        if k % 4 == 0 or os.environ.get("LITAD_FUZZ"):
            yield pytest.param(name, 5, marks=marks)


@pytest.mark.parametrize(("name", "n"), list(cases()))
def test_kernel(name, n):
    f, arguments, wrt = KERNELS[name]
    check(f, arguments(n), wrt)


SHOWN = [
    n for k, n in enumerate(SKETCHES) if n in TRAPS or k % 3 == 0 or os.environ.get("LITAD_FUZZ")
]


@pytest.mark.parametrize("name", SHOWN)
def test_sketch(name):
    f, arguments, wrt = SKETCHES[name]
    check(f, arguments(12), wrt, compiled=name not in NUMPY)

"""Programs of loops over elements, as machine code: compiled = interpreted = NumPy, forwards and backwards, in place.

LITAD_FUZZ=200 asks for so many random programs.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import litad.regions  # noqa: F401  (loops and branches enter the tables of litad.loops)
from litad import cond, fori_loop, grad, jit, jvp, scan, switch, value_and_grad, while_loop
from litad.engine import available
from litad.loops import lower, run
from litad.passes import optimise
from litad.program import evaluate, trace
from litad.tree import flatten

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not available(), reason="machine code needs llvmlite"),
]

ROUNDS = int(os.environ.get("LITAD_FUZZ", "40"))
N = 19


def native(f, *args, level=1):
    "The kernel of f, which agrees with the interpreter; and its results."
    program = optimise(trace(f, *args))
    kernel = lower(program)
    values = flatten(args)[0]
    got = run(kernel, *values, level=level, effort=level)
    for a, b in zip(got, evaluate(program, *values)):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=str(program))
    return kernel, got


# Random programs: statements over two vectors, a matrix and a number, run by NumPy and by litad.


def of(rng, *options):
    return options[rng.integers(len(options))]


def an_index(rng, names):
    if not names or rng.random() < 0.2:
        return int(rng.integers(0, N))
    return (of(rng, *names), int(rng.integers(-1, 2)))


def an_expression(rng, names, depth=2):
    kind = rng.integers(0, 7 if depth else 4)
    if kind == 0:
        return ("number", float(np.round(rng.normal(), 2)))
    if kind == 1:
        return ("s",)
    if kind == 2:
        return ("get", of(rng, "u", "v"), an_index(rng, names))
    if kind == 3:
        return ("get", "m", an_index(rng, names), an_index(rng, names))
    if kind == 4:
        return ("sin", an_expression(rng, names, depth - 1))
    parts = an_expression(rng, names, depth - 1), an_expression(rng, names, depth - 1)
    return (of(rng, "add", "mul"), *parts)


def a_block(rng, names, depth, size=3):
    made = []
    for _ in range(rng.integers(1, size + 1)):
        kind = of(rng, *"store store store matrix number if for swap whole row".split())
        value = an_expression(rng, names)
        if kind == "store":
            made.append(
                ("store", of(rng, "u", "v"), an_index(rng, names), value, rng.random() < 0.4)
            )
        elif kind == "matrix":
            made.append(("matrix", an_index(rng, names), an_index(rng, names), value))
        elif kind == "number":
            made.append(("number", value))
        elif kind == "if" and depth:
            parts = [a_block(rng, names, depth - 1, 2) if rng.random() < 0.7 else [] for _ in "ab"]
            made.append(("if", an_expression(rng, names, 1), *parts))
        elif kind == "for" and depth:
            name = f"i{len(names)}"
            low = of(rng, 1, 1, 2, *names)
            inner = a_block(rng, [*names, name], depth - 1, 3)
            made.append(("for", name, low, of(rng, N - 1, N - 1, N // 2, *names), inner))
        elif kind == "swap" and rng.random() < 0.5:
            made.append(("swap",))
        elif kind == "whole" and rng.random() < 0.4:
            made.append(("whole", of(rng, "u", "v"), value))
        elif kind == "row" and rng.random() < 0.6:
            made.append(("row", an_index(rng, names), of(rng, "get", "set"), value))
    return made


def index(i, env):
    return i if isinstance(i, int) else env[i[0]] + i[1]


def value_of(e, state, env):
    u, v, m, s = state
    if e[0] == "number":
        return e[1]
    if e[0] == "s":
        return s
    if e[0] == "get":
        array = dict(u=u, v=v, m=m)[e[1]]
        return array[tuple(index(i, env) for i in e[2:])]
    parts = [value_of(p, state, env) for p in e[1:]]
    if e[0] == "sin":
        return np.sin(parts[0])
    return parts[0] + parts[1] if e[0] == "add" else parts[0] * parts[1]


def squashed(x):
    return x / (1 + x * x)


def execute(block, state, env, loop, branch):
    "Run statements; how loops and branches run is for the caller to say."
    u, v, m, s = state
    for st in block:
        if st[0] == "store":
            y, k = (u if st[1] == "u" else v), index(st[2], env)
            x = squashed(value_of(st[3], (u, v, m, s), env))
            y[k] = y[k] + x if st[4] else x
        elif st[0] == "matrix":
            m[index(st[1], env), index(st[2], env)] = squashed(value_of(st[3], (u, v, m, s), env))
        elif st[0] == "number":
            s = squashed(s + value_of(st[1], (u, v, m, s), env))
        elif st[0] == "swap":
            u, v = v, u
        elif st[0] == "whole":
            x = squashed(value_of(st[2], (u, v, m, s), env))
            u, v = (u * 0.5 + x, v) if st[1] == "u" else (u, u * 0.25 + v)
        elif st[0] == "row":
            k = index(st[1], env)
            x = squashed(value_of(st[3], (u, v, m, s), env))
            if st[2] == "get":
                u = m[k] * x + u
            else:
                m[k] = v * x
        elif st[0] == "if":
            test = value_of(st[1], (u, v, m, s), env)
            both = [lambda c, b=b: execute(b, c, env, loop, branch) for b in st[2:]]
            u, v, m, s = branch(test > 0.1, *both, (u, v, m, s))
        elif st[0] == "for":
            low, high = (b if isinstance(b, int) else env[b] for b in st[2:4])
            body = lambda i, c, st=st: execute(st[4], c, env | {st[1]: i}, loop, branch)  # noqa: E731
            u, v, m, s = loop(low, high, body, (u, v, m, s))
    return u, v, m, s


def by_numpy(block, u, v, m, s):
    def loop(low, high, body, c):
        for i in range(low, high):
            c = body(i, c)
        return c

    state = u.copy(), v.copy(), m.copy(), s
    return execute(block, state, {}, loop, lambda test, a, b, c: a(c) if test else b(c))


def by_litad(block, u, v, m, s):
    def loop(low, high, body, c):
        return fori_loop(low, high, body, c, max_steps=N)

    state = u * 1.0, v * 1.0, m * 1.0, s * 1.0
    return execute(block, state, {}, loop, lambda test, a, b, c: cond(test, a, b, c))


def start(rng):
    return rng.normal(size=N), rng.normal(size=N), rng.normal(size=(N, N)), np.float64(rng.normal())


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_random_program_is_the_same_by_numpy_and_compiled_forwards_and_backwards(seed):
    rng = np.random.default_rng(seed)
    block = [("for", "i0", 1, N - 1, a_block(rng, ["i0"], 2, 4))]
    at, w = start(rng), start(rng)
    with np.errstate(all="ignore"):
        want = by_numpy(block, *at)
        near = by_numpy(block, *[x * (1 + 1e-14) for x in at])
    if not all(np.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(want, near)):
        pytest.skip("chaotic: rounding grows")
    _, got = native(lambda *args: by_litad(block, *args), *at)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=str(block))

    def loss(*args):
        return sum(np.sum(x * y) for x, y in zip(by_litad(block, *args), w))

    numbers = (0, 1, 2, 3)
    _, (value, *gradient) = native(value_and_grad(loss, argnums=numbers), *at)
    t = start(rng)
    tangent = jvp(loss, at, t)[1]
    slope = sum(np.sum(g * x) for g, x in zip(gradient, t))
    np.testing.assert_allclose(slope, tangent, rtol=1e-7, atol=1e-9, err_msg=str(block))


# In place, through all levels: the memory of a kernel, and work that grows with the elements.


def stores_in_a_branch(x):
    def body(i, y):
        def then(y):
            y[i] = np.sin(y[i - 1])
            return y

        return cond(x[i] > 0, then, lambda y: y, y)

    return fori_loop(1, len(x), body, x * 1.0)


def copies(kernel):
    "How often whole arrays are moved inside of loops, in the text."
    depth, found = 0, 0
    for text in kernel.text.splitlines():
        depth += text.startswith("head") - text.startswith("exit")
        found += depth > 0 and "memmove" in text
    return found


def test_a_store_in_a_branch_copies_nothing_forwards_and_backwards():
    x = np.random.default_rng(0).normal(size=100)
    kernel, (y,) = native(stores_in_a_branch, x)
    want = x.copy()
    for i in range(1, 100):
        if x[i] > 0:
            want[i] = np.sin(want[i - 1])
    np.testing.assert_allclose(y, want)
    assert copies(kernel) == 0 and kernel.arena == 0
    kernel, _ = native(grad(lambda x: np.sum(stores_in_a_branch(x) ** 2)), x)
    assert copies(kernel) == 0
    assert "fcmp" in kernel.text and not kernel.fallible

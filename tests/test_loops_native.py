"""Loops over elements as machine code: compiled = interpreted = NumPy, both ways, in place.

LITAD_FUZZ=200 asks for so many random programs.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import litad.regions  # noqa: F401  (loops and branches enter the tables of litad.loops)
from litad import cond, fori_loop, grad, jit, jvp, value_and_grad
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


def test_a_branch_and_a_loop_inside_of_a_loop_add_to_one_sum():
    def f(x, a):
        def row(i, c):
            def then(c):
                return fori_loop(0, i, lambda k, c: c + x[k] * x[i] * a[i, k], c)

            return cond(a[i, i] > 0, then, lambda c: c - np.sin(x[i]), c)

        return fori_loop(0, len(x), row, 0.0, max_steps=40)

    rng = np.random.default_rng(1)
    x, a = rng.normal(size=30), rng.normal(size=(30, 30))
    kernel, (value, gx, ga) = native(value_and_grad(lambda x, a: f(x, a), argnums=(0, 1)), x, a)
    want, gradient, ga_want = 0.0, np.zeros(30), np.zeros((30, 30))
    for i in range(30):
        if a[i, i] > 0:
            for k in range(i):
                want += x[k] * x[i] * a[i, k]
                gradient[k] += x[i] * a[i, k]
                gradient[i] += x[k] * a[i, k]
                ga_want[i, k] = x[k] * x[i]
        else:
            want -= np.sin(x[i])
            gradient[i] -= np.cos(x[i])
    np.testing.assert_allclose(value, want)
    np.testing.assert_allclose(gx, gradient)
    np.testing.assert_allclose(ga, ga_want)
    assert copies(kernel) == 0


def sweeps(u, b):
    def row(i, u):
        def cell(j, u):
            u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
            return u

        return fori_loop(1, u.shape[1] - 1, cell, u)

    return fori_loop(0, 3, lambda s, u: fori_loop(1, u.shape[0] - 1, row, u), u * 1.0)


def test_three_loops_in_each_other_work_in_one_array_and_their_gradient_in_two():
    rng = np.random.default_rng(2)
    u, b, w = (rng.normal(size=(20, 24)) for _ in range(3))
    kernel, _ = native(sweeps, u, b)
    assert copies(kernel) == 0 and not kernel.fallible and kernel.arena == 0
    loss = lambda u, b: np.sum(w * sweeps(u, b))  # noqa: E731
    kernel, (_, gu, gb) = native(value_and_grad(loss, argnums=(0, 1)), u, b)
    assert copies(kernel) == 0
    t = rng.normal(size=u.shape), rng.normal(size=u.shape)
    h = 1e-6
    difference = (loss(u + h * t[0], b + h * t[1]) - loss(u - h * t[0], b - h * t[1])) / (2 * h)
    np.testing.assert_allclose(np.sum(gu * t[0]) + np.sum(gb * t[1]), difference, rtol=1e-6)


def elements_moved(program):
    "Elements written by the lines of a program, those of loops as often as they run."
    total = 0
    for e in program.equations:
        operation, sizes = e.primitive, sum(y.size for y in e.outputs)
        if e.primitive.name in ("at_put", "at_add", "put"):
            total += 1
        elif hasattr(operation, "regions"):
            length = getattr(operation, "length", None) or 1
            total += length * max(elements_moved(r) for r in operation.regions)
        else:
            total += sizes
    return total


def test_the_work_of_a_gradient_grows_with_the_elements_also_through_nested_loops():
    def counted(n):
        u, b = np.ones((n, n)), np.ones((n, n))
        loss = lambda u, b: np.sum(sweeps(u, b) ** 2)  # noqa: E731
        return elements_moved(optimise(trace(grad(loss, argnums=(0, 1)), u, b)))

    small, large = counted(20), counted(80)
    assert large < 1.2 * 16 * small


def test_values_that_change_places_are_not_copied_and_come_out_where_they_belong():
    x, y = np.arange(20.0), np.arange(20.0) ** 2

    def turn(i, c):
        u, v, w = c
        return v, u * 0.5 + w, u

    def several(n):
        return lambda x, y: fori_loop(0, n, turn, (x * 1.0, y * 1.0, x + y))

    for n in range(5):
        kernel, got = native(several(n), x, y)
        want = x, y, x + y
        for i in range(n):
            want = turn(i, want)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b)
        assert copies(kernel) == 0
    kernel, _ = native(grad(lambda x, y: np.sum(several(4)(x, y)[1] ** 2)), x, y)


def test_a_swap_under_a_condition():
    def f(x, y):
        def turn(i, c):
            return cond(x[i] > y[i], lambda a, b: (b, a), lambda a, b: (a, b), *c)

        return fori_loop(0, len(x), turn, (x * 1.0, y * 1.0))

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=25), rng.normal(size=25)
    _, (a, b) = native(f, x, y)
    odd = np.sum(x > y) % 2
    np.testing.assert_array_equal(a, y if odd else x)
    native(grad(lambda x, y: np.sum(np.sin(f(x, y)[0]) * x)), x, y)


# Ranges of indices, and those that are out of them.


def test_nothing_is_checked_where_the_ends_of_outer_loops_say_it_all():
    def triangle(a):
        def row(i, a):
            def cell(j, a):
                a[i, j] = a[i, j] + a[j, i] * a[i - 1, j]
                return a

            return fori_loop(0, i, cell, a, max_steps=40)

        return fori_loop(1, len(a), row, a * 1.0)

    kernel, _ = native(triangle, np.ones((20, 20)))
    assert not kernel.fallible and "icmp ult i64" in kernel.text
    assert "load i32, ptr %status" not in kernel.text


def test_a_range_that_nobody_knows_is_asked_for_once_and_not_in_every_turn():
    def shifted(x, k):
        return fori_loop(0, 10, lambda i, s: s + x[k + i], 0.0)

    x = np.arange(40.0)
    kernel, (s,) = native(shifted, x, 7)
    assert s == x[7:17].sum() and kernel.text.count("load i32, ptr %status") == 2
    assert jit(shifted)(x, 30) == x[30:40].sum()
    with pytest.raises(IndexError):
        jit(shifted)(x, 31)
    assert jit(shifted)(x, -10) == shifted(x, -10) and jit(shifted)(x, -5) == shifted(x, -5)


def out_of_bounds(kind):
    def inner(i, y, k):
        if kind == "store":
            y[i + k] = 2.0 * y[i]
            return y
        if kind == "read":
            y[i] = y[i + k] * 2.0
            return y
        if kind == "branch":

            def then(y):
                y[i + k] = y[i] * 3.0
                return y

            return cond(y[i] > 0, then, lambda y: y, y)
        return fori_loop(0, 3, lambda j, y: inner_of("store", i + j, y, k), y)

    def inner_of(_, i, y, k):
        y[i + k] = 2.0 * y[i]
        return y

    return lambda x, k: fori_loop(0, len(x) - 5, lambda i, y: inner(i, y, k), x * 1.0)


@pytest.mark.parametrize("kind", ["store", "read", "branch", "nested"])
def test_an_index_out_of_bounds_is_numpys_error_also_in_loops_and_branches_and_their_gradients(
    kind,
):
    f = out_of_bounds(kind)
    x = np.linspace(0.1, 1.0, 30)
    g = jit(value_and_grad(lambda x, k: np.sum(f(x, k))))
    np.testing.assert_allclose(jit(f)(x, 2), f(x, 2))
    assert np.all(np.isfinite(g(x, 2)[1]))
    for k in (200, -200, 10**12):
        with pytest.raises(IndexError):
            jit(f)(x, k)
        with pytest.raises(IndexError):
            g(x, k)
    np.testing.assert_allclose(jit(f)(x, 2), f(x, 2))


# Sums and stores over a window.


def test_a_sum_under_a_mask_runs_over_the_window_only():
    n = 50
    places = np.arange(n)

    def f(a, s, e):
        mask = np.logical_and(places >= s, places < e)
        return np.sum(np.where(mask, a * a, 0.0)), np.max(np.where(mask, a, -np.inf))

    a = np.random.default_rng(4).normal(size=n)
    for s, e in ((0, 50), (3, 9), (9, 3), (-4, 70), (50, 50), (7, 8)):
        kernel, (total, most) = native(lambda a, s, e: f(a, s, e), a, s, e)
        inside = a[max(s, 0) : max(e, 0)] if s < e else a[:0]
        np.testing.assert_allclose(total, np.sum(inside**2))
        assert most == (inside.max() if inside.size else -np.inf)
        assert kernel.text.count("call i64 @llvm.smin") == 2


def rows(a):
    "Cholesky's decomposition by rows under a mask."
    n = a.shape[0]
    places = np.arange(n)

    def column(j, a):
        mask = places < j
        a[j, j] = np.sqrt(a[j, j] - np.sum(np.where(mask, a[j] * a[j], 0.0)))

        def row(i, a):
            a[i, j] = (a[i, j] - np.sum(np.where(mask, a[i] * a[j], 0.0))) / a[j, j]
            return a

        return fori_loop(j + 1, n, row, a, max_steps=n)

    return fori_loop(0, n, column, a * 1.0)


def test_a_triangular_loop_under_masks_and_its_gradient():
    b = np.random.default_rng(5).normal(size=(24, 24))
    a = b @ b.T / 24 + np.eye(24)
    kernel, (factor,) = native(rows, a)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(a))
    assert not kernel.fallible
    half = jit(grad(lambda a: np.sum(np.log(np.diag(rows(a))))))
    inverse = np.linalg.inv(a)
    np.testing.assert_allclose(half(a), np.tril(inverse, -1) + np.diag(np.diag(inverse)) / 2)


def test_a_store_under_a_mask_changes_the_window_only():
    n = 30
    places = np.arange(n)

    def f(a, x):
        def row(i, a):
            mask = places < i
            a[i] = np.where(mask, x * a[i] + a[i - 1], a[i])
            return a

        return fori_loop(1, n, row, a * 1.0)

    rng = np.random.default_rng(6)
    a, x = rng.normal(size=(n, n)), rng.normal(size=n)
    kernel, (got,) = native(f, a, x)
    want = a.copy()
    for i in range(1, n):
        want[i, :i] = x[:i] * want[i, :i] + want[i - 1, :i]
    np.testing.assert_allclose(got, want)
    assert kernel.arena < 8 * n + 64
    loss = lambda a, x: np.sum(np.sin(f(a, x)))  # noqa: E731
    _, (_, ga, gx) = native(value_and_grad(loss, argnums=(0, 1)), a, x)
    t, s, h = rng.normal(size=a.shape), rng.normal(size=n), 1e-6
    slope = (loss(a + h * t, x + h * s) - loss(a - h * t, x - h * s)) / (2 * h)
    np.testing.assert_allclose(np.sum(ga * t) + np.sum(gx * s), slope, rtol=1e-6)


CUTS = np.array([0, 2, 5, 5, 6, 9, 9, 11, 14, 15, 20, 22, 25])


def cut_by_hand(ip, r):
    lo, hi = ip[:-1], ip[1:]
    return lo[r], hi[r]


def cut_by_sums(ip, r):
    ends = ip[0] + np.cumsum(ip[1:] - ip[:-1])
    return ends[r] - (ip[1:] - ip[:-1])[r], ends[r]


def cut_by_turn(ip, r):
    lo, hi = np.minimum(ip * 2 + r, 20), np.maximum(ip[::-1] - r, 3)
    return lo[r], hi[r + 1]


def cut_twice(ip, r):
    order = (ip * 7) % 12
    first = order[1:]
    return ip[first[r]], ip[order[r]] + 4


@pytest.mark.parametrize("cut", [cut_by_hand, cut_by_sums, cut_by_turn, cut_twice])
def test_the_ends_of_a_window_are_read_after_they_were_stored(cut):
    n, m = 25, 12
    places = np.arange(n)

    def f(a, x, ip):
        def turn(r, out):
            lo, hi = cut(ip, r)
            mask = np.logical_and(places >= lo, places < hi)
            out[r] = np.sum(np.where(mask, a * x, 0.0)) + out[r - 1]
            return out

        return fori_loop(0, m, turn, np.zeros(m))

    def by_hand(a, x, ip):
        out = np.zeros(m)
        for r in range(m):
            lo, hi = cut(ip, r)
            out[r] = np.sum(a[lo : max(lo, hi)] * x[lo : max(lo, hi)]) + out[r - 1]
        return out

    a, x = np.random.default_rng(11).normal(size=(2, n))
    kernel, (got,) = native(f, a, x, CUTS)
    np.testing.assert_allclose(got, by_hand(a, x, CUTS))
    assert "call i64 @llvm.smin" in kernel.text
    loss = lambda f: lambda a, x, ip: np.sum(np.sin(f(a, x, ip)))  # noqa: E731
    for k in (0, 1):
        slope = jit(grad(loss(f), k))(a, x, CUTS)
        np.testing.assert_allclose(slope, grad(loss(by_hand), k)(a, x, CUTS), atol=1e-12)


@pytest.mark.parametrize("cut", [cut_by_hand, cut_by_sums, cut_by_turn, cut_twice])
def test_slices_as_written_between_ends_that_the_body_computes(cut):
    def product(ip, d, x):
        out = np.empty(len(ip) - 1)
        for r in range(len(ip) - 1):
            lo, hi = cut(ip, r)
            out[r] = d[lo:hi] @ x[lo:hi]
        return out

    def stores(ip, d, x):
        out = np.zeros(len(d))
        for r in range(len(ip) - 1):
            lo, hi = cut(ip, r)
            out[lo:hi] = d[lo:hi] * x[lo:hi] + out[lo:hi] + r
        return out

    d, x = np.random.default_rng(12).random((2, 25))
    for f in (product, stores):
        np.testing.assert_allclose(jit(f)(CUTS, d, x), f(CUTS, d, x))
        loss = lambda ip, d, x: np.sum(f(ip, d, x) ** 2)  # noqa: E731, B023
        for k in (1, 2):
            slope = jit(grad(loss, k))(CUTS, d, x)
            np.testing.assert_allclose(slope, grad(loss, k)(CUTS, d, x), atol=1e-12)


def test_a_window_that_is_handed_to_a_branch_and_a_loop():
    n = 25
    places = np.arange(n)

    def f(a, ip, k):
        lo, hi = ip[:-1][k], ip[1:][k + 2]
        mask = np.logical_and(places >= lo, places < hi)
        total = lambda a: np.sum(np.where(mask, a * a, 0.0))  # noqa: E731
        first = cond(a[0] > 0, total, lambda a: -total(a * 2.0), a)
        return fori_loop(0, 3, lambda i, s: s + total(a * i) * first, first)

    a = np.random.default_rng(13).normal(size=n)
    for k in range(10):
        for sign in (1.0, -1.0):
            _, (got,) = native(f, a * sign, CUTS, k)
            np.testing.assert_allclose(got, f(a * sign, CUTS, k))


def test_what_a_sum_over_a_window_reads_is_not_overwritten_before():
    n = 40
    places = np.arange(n)

    def f(a, b, k):
        early = np.sin(b) * 3.0
        total = np.sum(np.where(places < k, a * early, 0.0))
        return early, total, np.cos(b) + a

    a, b = np.random.default_rng(14).normal(size=(2, n))
    program = optimise(trace(f, a, b, 9))
    kernel = lower(program, donate={2: 0})
    assert kernel.donated == {2: 0}
    for got, want in zip(run(kernel, a, b, 9), f(a, b, 9)):
        np.testing.assert_allclose(got, want)


def test_a_store_that_reads_its_row_elsewhere_is_not_done_place_by_place():
    def f(a):
        def row(i, a):
            a[i] = a[i][::-1] + a[i]
            return a

        return fori_loop(0, len(a), row, a * 1.0)

    a = np.random.default_rng(7).normal(size=(20, 21))
    _, (got,) = native(f, a)
    np.testing.assert_allclose(got, a[:, ::-1] + a)


def test_derivatives_in_loops_keep_zero_times_infinity_zero():
    def f(x):
        def turn(i, c):
            y, s = c
            z = np.sqrt(y[i])
            y[i] = np.where(y[i] > 0, z, 0.0)
            return y, s + y[i] * i

        return fori_loop(0, len(x), turn, (x * 1.0, 0.0))[1]

    x = np.array([0.0, 4.0, 0.0, 9.0] * 6)
    g = jit(grad(f))(x)
    want = np.where(x > 0, np.arange(24) * 0.5 / np.sqrt(np.where(x > 0, x, 1.0)), 0.0)
    np.testing.assert_allclose(g, want)

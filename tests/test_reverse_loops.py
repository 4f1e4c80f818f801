"""Reverse mode through loops that store in place: random nests, decompositions, what is kept."""

import os

import numpy as np
import pytest

from litad import (
    checkpoint,
    cond,
    explain,
    fori_loop,
    grad,
    jit,
    jvp,
    trace,
    value_and_grad,
    while_loop,
)

COUNT = int(os.environ.get("LITAD_FUZZ", "40"))


def close(a, b, tolerance=1e-9):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance * (1 + np.max(np.abs(b), initial=0)))


def agrees(f, *args, compiled=True):
    "Reverse in every way of running against eager reverse, forward and the complex step."
    places = tuple(range(len(args)))
    value, slopes = value_and_grad(f, places)(*args)
    random = np.random.default_rng(0)
    ways = [trace(value_and_grad(f, places), *args)]
    ways += [jit(value_and_grad(f, places))] if compiled else []
    for way in ways:
        for _ in range(2):
            got, found = way(*args)
            assert close(got, value)
            assert all(close(a, b) for a, b in zip(found, slopes))
    directions = [random.normal(size=np.shape(x)) for x in args]
    along = sum(np.sum(g * d) for g, d in zip(slopes, directions))
    assert close(jvp(f, args, tuple(directions))[1], along, 1e-7)
    stepped = f(*[x + 1e-30j * d for x, d in zip(args, directions)])
    assert close(np.imag(stepped) / 1e-30, along, 1e-7)


# Random nests: loops in loops, branches, stores that read what they overwrite.


class Nest:
    """Random statements on a vector x, a matrix a and a number s, in loops in loops."""

    def __init__(self, seed):
        self.random, self.n = np.random.default_rng(seed), 4
        self.text = self.block(3, [])

    def pick(self, *options):
        return options[self.random.integers(len(options))]

    def index(self, around):
        n = self.n
        choices = [str(self.random.integers(-n, n))]
        choices += [i for i in around for _ in range(3)]
        choices += [f"({i} + {self.random.integers(1, n)}) % {n}" for i in around]
        return self.pick(*choices)

    def atom(self, around):
        i, j = self.index(around), self.index(around)
        return self.pick(f"x[{i}]", f"a[{i}, {j}]", f"a[{i}, {j}]", "s", f"w[{i}]", "0.7")

    def term(self, around):
        u, v = self.atom(around), self.atom(around)
        return self.pick(
            f"{u} * {v}", f"np.sin({u})", f"np.exp(-{u} * {u})", f"{u} + 0.5 * {v}",
            f"{u} / (2.0 + np.cos({v}))", f"np.sqrt(1.5 + np.sin({u}))", u,
        )  # fmt: skip

    def statement(self, depth, around):
        kind = self.random.integers(10 if depth else 5)
        i, j, k = self.index(around), self.index(around), f"i{len(around)}"
        if kind < 2:
            return [("store", self.pick(f"x[{i}]", f"a[{i}, {j}]"), f"0.6 * ({self.term(around)})")]
        if kind == 2:
            return [("add", self.pick(f"x[{i}]", f"a[{i}, {j}]"), f"0.3 * ({self.term(around)})")]
        if kind == 3:
            return [("number", f"0.5 * s + 0.3 * ({self.term(around)})")]
        if kind == 4:
            return [("row", i, f"0.5 * a[{i}] + 0.2 * np.sin(x) * {self.atom(around)}")]
        if kind < 8:
            n = self.n
            low = self.pick("0", "1", *around, *[f"{v} + 1" for v in around])
            high = self.pick(str(n), str(n), "0", *around, *[f"{n} - {v}" for v in around])
            return [("for", k, low, high, self.block(depth - 1, [*around, k]))]
        test = f"{self.atom(around)} > {self.random.uniform(-0.3, 0.6):.2f}"
        if kind == 8:
            return [("if", test, self.block(depth - 1, around), self.block(depth - 1, around))]
        return [("while", self.block(depth - 1, around))]

    def block(self, depth, around):
        count = self.random.integers(1, 4)
        return [line for _ in range(count) for line in self.statement(depth, around)]

    def __call__(self, x, a):
        x, a, s = run(self.text, (x * 1.0, a * 1.0, 0.5 + 0.1 * np.sum(x)), {"w": x, "np": np})
        return np.sum(x * x) + np.sum(np.sin(a)) + s


def run(text, state, names):
    "Statements as the functions of litad.control."
    for kind, *parts in text:
        state = STATEMENTS[kind](state, names, *parts)
    return state


def value(text, state, names):
    return eval(text, {}, dict(zip("xas", state)) | names)


def store(state, names, where, text, add=False):
    x, a, s = state
    name, index = where[0], value(where[1:].replace("[", "(").replace("]", ")"), state, names)
    y = {"x": x, "a": a}[name]
    v = value(text, state, names)
    if add:
        y[index] += v
    else:
        y[index] = v
    return x, a, s


def loop(state, names, counter, low, high, block):
    low, high = value(low, state, names), value(high, state, names)
    return fori_loop(low, high, lambda i, c: run(block, c, names | {counter: i}), state)


def branch(state, names, test, then, otherwise):
    test = value(test.replace("x", "np.real(x)").replace("np.np", "np"), state, names)
    return cond(test, lambda *c: run(then, c, names), lambda *c: run(otherwise, c, names), *state)


def again(state, names, block):
    def go(c):
        return c[0] > 0.2

    def step(c):
        new = run(block, c[1:], names)
        return c[0] * (0.5 + 0.0 * np.real(new[2])), *new

    start = 1.0 + 0.5 * np.sin(np.real(state[2]))
    return while_loop(go, step, (start, *state))[1:]


STATEMENTS = {
    "store": store,
    "add": lambda state, names, where, text: store(state, names, where, text, True),
    "number": lambda state, names, text: (*state[:2], value(text, state, names)),
    "row": lambda state, names, i, text: store(state, names, f"a[{i}]", text),
    "for": loop,
    "if": branch,
    "while": again,
}


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_nests(seed):
    f, random = Nest(seed), np.random.default_rng(seed)
    x, a = random.uniform(0.2, 1, 4), random.uniform(-1, 1, (4, 4))
    agrees(f, x, a, compiled=seed % 4 == 0)


# Programs that people write.


def cholesky(a):
    a, n = a * 1.0, a.shape[0]

    def column(j, a):
        a[j, j] = np.sqrt(a[j, j] - fori_loop(0, j, lambda k, s: s + a[j, k] * a[j, k], 0.0))

        def row(i, a):
            s = fori_loop(0, j, lambda k, s: s + a[i, k] * a[j, k], 0.0)
            a[i, j] = (a[i, j] - s) / a[j, j]
            return a

        return fori_loop(j + 1, n, row, a)

    a = fori_loop(0, n, column, a)
    return fori_loop(0, n, lambda i, s: s + np.log(a[i, i]), 0.0)


def lu(a):
    a, n = a * 1.0, a.shape[0]

    def step(k, a):
        def row(i, a):
            a[i, k] = a[i, k] / a[k, k]

            def column(j, a):
                a[i, j] = a[i, j] - a[i, k] * a[k, j]
                return a

            return fori_loop(k + 1, n, column, a)

        return fori_loop(k + 1, n, row, a)

    return np.sum(np.sin(fori_loop(0, n, step, a)))


def elimination(a):
    "with the rows swapped so that the pivot is the largest"
    a, n = a * 1.0, a.shape[0]

    def step(k, a):
        def larger(i, p):
            return cond(
                np.abs(np.real(a[i, k])) > np.abs(np.real(a[p, k])), lambda: i * 1, lambda: p * 1
            )

        p = fori_loop(k + 1, n, larger, k * 1)

        def swap(j, a):
            old = a[k, j] * 1.0
            a[k, j] = a[p, j]
            a[p, j] = old
            return a

        a = fori_loop(0, n, swap, a)

        def row(i, a):
            f = a[i, k] / a[k, k]

            def column(j, a):
                a[i, j] = a[i, j] - f * a[k, j]
                return a

            return fori_loop(k, n, column, a)

        return fori_loop(k + 1, n, row, a)

    a = fori_loop(0, n, step, a)
    return fori_loop(0, n, lambda i, s: s + np.log(a[i, i] ** 2), 0.0)


def thomas(a, b, c, d):
    n = len(d)
    p, q = np.stack([c[0] / b[0]] * n), np.stack([d[0] / b[0]] * n)

    def down(i, s):
        p, q = s
        m = b[i] - a[i] * p[i - 1]
        p[i] = c[i] / m
        q[i] = (d[i] - a[i] * q[i - 1]) / m
        return p, q

    p, q = fori_loop(1, n, down, (p, q))

    def up(k, x):
        x[n - 2 - k] = q[n - 2 - k] - p[n - 2 - k] * x[n - 1 - k]
        return x

    return np.sum(fori_loop(0, n - 1, up, q) ** 2)


def soft_dtw(x, y):
    m, n = len(x), len(y)
    r = np.full((m + 1, n + 1), 1e3) + 0.0 * x[0]
    r[0, 0] = 0.0

    def row(i, r):
        def cell(j, r):
            s = np.exp(-r[i - 1, j]) + np.exp(-r[i, j - 1]) + np.exp(-r[i - 1, j - 1])
            r[i, j] = (x[i - 1] - y[j - 1]) ** 2 - np.log(s)
            return r

        return fori_loop(1, n + 1, cell, r)

    return fori_loop(1, m + 1, row, r)[m, n]


def min_plus(d):
    d, n = d * 1.0, d.shape[0]

    def through(k, d):
        def row(i, d):
            def cell(j, d):
                d[i, j] = -0.1 * np.log(np.exp(-10 * d[i, j]) + np.exp(-10 * (d[i, k] + d[k, j])))
                return d

            return fori_loop(0, n, cell, d)

        return fori_loop(0, n, row, d)

    return np.sum(fori_loop(0, n, through, d) ** 2)


def bubble(x):
    x, n = x * 1.0, len(x)

    def swap(j, x):
        old = x[j] * 1.0
        x[j] = x[j + 1]
        x[j + 1] = old
        return x

    def again(i, x):
        def one(j, x):
            return cond(np.real(x[j]) > np.real(x[j + 1]), lambda x: swap(j, x), lambda x: x, x)

        return fori_loop(0, n - 1 - i, one, x)

    return np.sum(fori_loop(0, n, again, x) ** 2 * np.arange(n))


def gauss_seidel(u, b):
    n = u.shape[0]

    def sweep(s, u):
        def row(i, u):
            def cell(j, u):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
                return u

            return fori_loop(1, n - 1, cell, u)

        return fori_loop(1, n - 1, row, u)

    return np.sum(fori_loop(0, 3, sweep, u * 1.0) * b)


def products(x):
    def one(i, y):
        y[i] = y[i - 1] * y[i]
        return y

    return np.sum(fori_loop(1, len(x), one, x * 1.0))


def read_ahead(x):
    "a step reads what a later step overwrites"

    def one(i, y):
        y[i] = np.sin(y[i + 1]) * y[i]
        return y

    return np.sum(fori_loop(0, len(x) - 1, one, x * 1.0) ** 2)


def over_again(x):
    "what is overwritten in one sweep was read in the sweep before"

    def sweep(s, y):
        def one(i, y):
            y[i] = np.sin(y[i - 1]) * y[i]
            return y

        return fori_loop(1, len(x), one, y)

    return np.sum(fori_loop(0, 3, sweep, x * 1.0) ** 2)


def heat(x):
    def step(s, c):
        u, new = c
        new[1:-1] = u[1:-1] + np.tanh(u[1:-1]) * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        return new, u

    return np.sum(fori_loop(0, 4, step, (x * 1.0, x * 1.0))[0] ** 2)


def shifted(x):
    def step(i, y):
        y[1:] = y[:-1] * np.cos(y[1:])
        return y

    return np.sum(fori_loop(0, 3, step, x * 1.0) ** 2)


def same_twice(x):
    "one array handed on under two names, and two that change places"

    def step(i, c):
        u, v = c
        u[i] = u[i] * v[i] + v[i - 1]
        return v, u

    def both(i, c):
        u, v = c
        w = u * 1.0
        w[i] = v[i] * w[i - 1]
        return w, w

    u, v = fori_loop(0, 3, step, (x * 1.0, np.sin(x)))
    u, v = fori_loop(0, 3, both, (u, v))
    return np.sum(u * v)


def permuted(x):
    "whole numbers change in place as well, and are indices"
    p = np.arange(len(x))

    def step(i, c):
        p, y = c
        old = p[i] * 1
        p[i] = p[-1 - i]
        p[-1 - i] = old
        y[p[i]] = np.sin(y[p[i - 1]]) * y[p[i]]
        return p, y

    p, y = fori_loop(0, len(x), step, (p, x * 1.0))
    return np.sum(y[p] * np.arange(len(x)))


def searches(x):
    "in each step a loop of unknown length, which stores"

    def one(k, y):
        def hop(s):
            v, y = s
            y[k] = y[k] * np.sin(v) + y[(k + 1) % len(x)]
            return v * 0.5, y

        return while_loop(lambda s: np.real(s[0]) > 0.1, hop, (x[k] * 1.0, y))[1]

    return np.sum(fori_loop(0, len(x), one, x * 1.0) ** 2)


def newton(p, q):
    def root(k, roots):
        def step(s):
            dx = (s[0] ** 3 + p[k] * s[0] - q[k]) / (3.0 * s[0] ** 2 + p[k])
            return s[0] - dx, dx

        start = 1.0 + 0.0 * p[k], 1.0 + 0.0 * p[k]
        roots[k] = while_loop(lambda s: np.abs(np.real(s[1])) > 1e-12, step, start)[0]
        return roots

    return np.sum(fori_loop(0, len(p), root, 0.0 * p) ** 2)


RANDOM = np.random.default_rng(0)
SPD = (lambda a: a @ a.T + 5 * np.eye(5))(RANDOM.normal(size=(5, 5)))
X, A = RANDOM.uniform(0.2, 1, 6), RANDOM.normal(size=(5, 5))
PROGRAMS = {
    cholesky: (SPD,), lu: (SPD,), elimination: (A,), bubble: (A[0],), products: (X,),
    thomas: (X, 3 + X, X[::-1] * 1.0, X), soft_dtw: (X, A[0]), min_plus: (np.abs(A[:4, :4]),),
    gauss_seidel: (A, A.T * 1.0), read_ahead: (X,), over_again: (X,), heat: (X,), shifted: (X,),
    same_twice: (X,), permuted: (X,), searches: (X,), newton: (X, X - 0.5),
}  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(f):
    agrees(f, *PROGRAMS[f])


@pytest.mark.parametrize("f", [lu, bubble, products, over_again, searches, permuted])
def test_second_derivatives(f):
    "the backward half, with what it takes back, is differentiated again"
    (x,) = PROGRAMS[f]
    g = grad(lambda x: np.sum(grad(f)(x) ** 2))
    assert close(trace(g, x)(x), g(x))


# What is kept.


def kept(f, *args):
    "What the loops of a gradient keep, from the outermost to the innermost."
    return explain(jit(grad(f, tuple(range(len(args))))), *args).backwards


@pytest.mark.parametrize("f", [cholesky, lu, thomas, gauss_seidel])
def test_nothing_is_kept_where_nothing_read_was_overwritten(f):
    rows = kept(f, *PROGRAMS[f])
    assert rows and all(row["bytes per step"] == 0 for row in rows)
    assert not any(row["taken back"] for row in rows)


@pytest.mark.parametrize("f", [products, over_again, shifted])
def test_what_was_overwritten_is_taken_back(f):
    "and only that is kept"
    rows = kept(f, *PROGRAMS[f])
    assert any(row["taken back"] for row in rows)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_no_array_is_kept_for_its_elements(f):
    "a step keeps no more than it touches, an outer one what its inner ones keep"
    deepest = [row for row in kept(f, *PROGRAMS[f]) if row["steps"] != 1][-1]
    assert deepest["bytes per step"] <= 64


def test_a_conflict_is_seen():
    "the last state does not serve for what a later step overwrites"
    for f in (products, read_ahead, over_again):
        assert not any(row["read at the end"] for row in kept(f, *PROGRAMS[f]))


def test_explain_says_what_is_kept():
    text = repr(explain(jit(grad(cholesky)), SPD))
    assert "read as it is at the end" in text and "kept per step" in text


def written(program, times=1, turns=1):
    "Elements written by all lines in all turns, loops of unknown length counted as so many turns."
    total = 0
    for e in program.equations:
        name = e.primitive.name
        regions = getattr(e.primitive, "regions", ())
        count = getattr(e.primitive, "length", turns) if name.endswith(("scan", "loop")) else 1
        total += sum(written(r, times * count, turns) for r in regions)
        stores = name in ("at_put", "at_add", "put") or regions
        total += 0 if regions else times * (1 if stores else sum(y.size for y in e.outputs))
    return total


@pytest.mark.parametrize("f", [products, read_ahead, over_again])
def test_work_grows_with_the_length(f):
    few, many = [written(trace(grad(f), np.ones(n)), turns=n) for n in (50, 400)]
    assert many < 8.5 * few


# Loops of unknown length.


def doubled(x, n):
    return while_loop(lambda s: s[1] < n, lambda s: (np.sin(s[0]) * s[0] + 0.5, s[1] + 1), (x, 0))[
        0
    ]


def test_no_bound_is_needed():
    "the interpreter's rooms grow; jit compiles again with more room, once"
    g, compiled = value_and_grad(doubled), jit(value_and_grad(doubled))
    program = trace(g, 0.3, 1)
    for n in (0, 3, 700, 700, 5):
        assert close(program(0.3, n), g(0.3, n)) and close(compiled(0.3, n), g(0.3, n))


def test_a_linear_loop_keeps_its_length_only():
    f = lambda x, n: while_loop(lambda s: s[1] < n, lambda s: (s[0] * 0.5, s[1] + 1), (x, 0))[0]  # noqa: E731
    (row,) = kept(lambda x: f(x, 9), 1.0)
    assert row["bytes per step"] == 0 and jit(grad(f))(1.0, 5) == 0.5**5


@pytest.mark.parametrize("n", [0, 1, 6])
def test_bounds_that_are_values(n):
    f = lambda x, n: fori_loop(n - n, n, lambda i, y: store_sine(i, y), x * 1.0)  # noqa: E731
    g = grad(lambda x, n: np.sum(f(x, n) ** 2))
    assert close(trace(g, X, 2)(X, n), g(X, n)) and close(jit(g)(X, n), g(X, n))


def store_sine(i, y):
    y[i] = np.sin(y[i - 1]) * y[i]
    return y


def test_an_index_out_of_bounds():
    "is an error in the reverse pass as well, compiled or not"
    f = lambda x, n: np.sum(fori_loop(1, n, lambda i, y: store_sine(i, y), x * 1.0))  # noqa: E731
    g = value_and_grad(f)
    for way in (trace(g, X, 2), jit(g)):
        assert close(way(X, 6)[1], g(X, 6)[1])
        with pytest.raises(IndexError):
            way(X, 7)


# Checkpoints.


def test_checkpoints_in_a_loop():
    "blocks that run again: the same slopes from a fraction of the memory"
    step = lambda i, c: np.tanh(np.sin(c) * c + 0.1)  # noqa: E731
    block = checkpoint(lambda c: fori_loop(0, 20, step, c))
    whole = lambda c: np.sum(fori_loop(0, 400, step, c) ** 2)  # noqa: E731
    blocks = lambda c: np.sum(fori_loop(0, 20, lambda i, c: block(c), c) ** 2)  # noqa: E731
    compiled = [jit(grad(f)) for f in (whole, blocks)]
    a, b = [g(X) for g in compiled]
    assert close(a, b) and close(a, grad(whole)(X)) and close(trace(grad(blocks), X)(X), a)
    bytes_ = [explain(g, X).numbers["bytes of temporaries"] for g in compiled]
    assert bytes_[1] < bytes_[0] / 5
    second = [grad(lambda x, f=f: np.sum(grad(f)(x) ** 2)) for f in (whole, blocks)]
    assert close(trace(second[1], X)(X), second[0](X), 1e-7)

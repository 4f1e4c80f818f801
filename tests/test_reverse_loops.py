"""Reverse mode through loops that store in place: random nests, decompositions, searches; what is kept, and how work grows."""

import os

import numpy as np
import pytest

from litad import cond, fori_loop, grad, jit, jvp, trace, value_and_grad, while_loop

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
    """Random statements on a vector x, a matrix a and a number s, in loops whose bounds depend on each other."""

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

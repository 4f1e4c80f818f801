"""Machine code of programs: random ones against NumPy, value and gradient, and the corners by name.

LITAD_FUZZ=5000 asks for so many random programs instead of a few hundred.
"""

from __future__ import annotations

import ctypes
import os

import numpy as np
import pytest

import litad.regions  # noqa: F401  (loops and branches enter the tables of litad.loops)
from litad import cond, fori_loop, grad, jvp, scan, switch, value_and_grad, while_loop
from litad.engine import Code, available
from litad.loops import linked, lower, run
from litad.passes import optimise
from litad.program import evaluate, trace
from litad.tree import flatten

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not available(), reason="machine code needs llvmlite"),
]

ROUNDS = int(os.environ.get("LITAD_FUZZ", "120"))
RNG = np.random.default_rng(0)
X = RNG.normal(size=50)
M = RNG.normal(size=(7, 30))


def native(f, *args, **options):
    "The leaves of f(*args) by machine code, checked against NumPy and the interpreter."
    program = optimise(trace(f, *args))
    kernel = lower(program)
    values = flatten(args)[0]
    got = run(kernel, *values, level=1, effort=1)
    for name, want in (("NumPy", flatten(f(*args))[0]), ("evaluate", evaluate(program, *values))):
        compare(got, want, name, program, **options)
    return kernel, got


def compare(got, want, name, program, rtol=1e-9):
    assert len(got) == len(want)
    for a, b in zip(got, want):
        single = np.asarray(b).dtype == np.float32
        tolerance = 2e-3 if single else rtol
        assert a.shape == np.shape(b), f"{name}\n{program}"
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance, equal_nan=True, err_msg=f"{name}\n{program}"
        )


# Random programs of array operations. Each operation takes a generator and the values so far.

SMOOTH = [
    np.sin,
    np.tanh,
    np.square,
    np.negative,
    np.arctan,
    lambda x: np.exp(-x * x),
    lambda x: np.log(np.abs(x) + 1.0),
    lambda x: np.sqrt(x * x + 0.1),
    lambda x: 1 / (1 + x * x),
]
PAIRED = [
    np.add,
    np.subtract,
    np.multiply,
    np.hypot,
    lambda a, b: np.maximum(a, b + 0.123),
    lambda a, b: a / (1 + b * b),
    lambda a, b: np.where(a > b + 0.1, a - b - 0.1, 0.0),
]


def one_of(rng, options):
    return options[rng.integers(len(options))]


def axis_of(rng, a):
    return int(rng.integers(a.ndim))


def mapped(rng, a, b):
    return one_of(rng, SMOOTH)(a * 0.5)


def paired(rng, a, b):
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        b = np.sum(b)
    return one_of(rng, PAIRED)(a, b)


def reduced(rng, a, b):
    axis = None if not a.ndim or rng.random() < 0.3 else axis_of(rng, a)
    reduce = np.sum if a.size == 0 or rng.random() < 0.6 else one_of(rng, [np.max, np.min])
    return reduce(a, axis=axis, keepdims=bool(rng.integers(2)))


def turned(rng, a, b):
    return np.transpose(a) if rng.random() < 0.5 else np.reshape(a, (-1,))


def some_slices(rng, a):
    "A slice of each axis, forwards or backwards, in steps of one or two."
    starts = [int(rng.integers(0, 2)) for _ in range(a.ndim)]
    stops = [None if rng.random() < 0.5 else -1 for _ in range(a.ndim)]
    steps = [int(one_of(rng, [1, 1, -1, 2, -2])) for _ in range(a.ndim)]
    whole = slice(None)
    return tuple(
        slice(i, j, k) if k > 0 else slice(None, None, k) if rng.random() < 0.5 else whole
        for i, j, k in zip(starts, stops, steps)
    )


def sliced(rng, a, b):
    return a[some_slices(rng, a)]


def gathered(rng, a, b):
    "Elements at random places, some of them twice."
    if not a.ndim or not a.shape[0]:
        return None
    places = rng.integers(-a.shape[0], a.shape[0], size=int(rng.integers(1, 6)))
    if a.ndim > 1 and a.shape[1] and rng.random() < 0.3:
        return a[places, rng.integers(0, a.shape[1], size=places.shape)]
    return a[places] if rng.random() < 0.7 else a[int(places[0])]


def joined(rng, a, b):
    if not a.ndim:
        return np.stack([a, np.sum(b)])
    axis = axis_of(rng, a)
    join = one_of(rng, [np.concatenate, np.stack])
    return join([a, a * 2.0 + 1.0], axis=axis)


def rolled(rng, a, b):
    return np.roll(a, int(rng.integers(-2, 4)), axis=axis_of(rng, a)) if a.ndim else None


def multiplied(rng, a, b):
    if a.ndim != 2:
        return None
    return 0.1 * (a @ np.transpose(a) if rng.random() < 0.5 else a @ np.sum(a, axis=0))


def running(rng, a, b):
    return np.cumsum(a * 0.3, axis=axis_of(rng, a)) if a.ndim else None


def stored(rng, a, b):
    "Numbers stored into a copy, at a slice, at a place, or added at places that repeat."
    if not a.ndim or not a.shape[0]:
        return None
    y = a * 1.0
    kind = rng.integers(4)
    if kind == 0:
        y[some_slices(rng, a)] = np.sum(b) * 0.1
    elif kind == 1:
        y[int(rng.integers(a.shape[0]))] = np.sum(b) * 0.1
    elif kind == 2:
        y[rng.integers(0, a.shape[0], size=3)] *= 0.5
    else:
        y[::-1] = y * 0.5 + a
    return y


def converted(rng, a, b):
    return (a > 0.1).astype(a.dtype) * a + a.astype(np.float64)


OPERATIONS = [mapped, mapped, paired, paired, paired, reduced, turned, sliced, sliced, gathered]
OPERATIONS += [joined, rolled, multiplied, running, stored, stored, converted]
SHAPES = [(), (1,), (3,), (4,), (5,), (8,), (20,), (40,), (2, 3), (4, 5), (7, 30), (33, 17)]
SHAPES += [(3, 1, 4), (2, 3, 5), (4, 4, 2), (0,), (0, 3), (3, 0)]
MOST = 3000  # elements


def random_program(seed):
    "A function and its arguments."
    rng = np.random.default_rng(seed)
    dtype = np.float32 if seed % 4 == 3 else np.float64
    count = int(rng.integers(1, 4))
    xs = [rng.normal(size=one_of(rng, SHAPES)).astype(dtype) for _ in range(count)]
    length = int(rng.integers(1, 40 if seed % 10 == 0 else 14))
    state = int(rng.integers(1 << 31))

    def f(*xs):
        rng, values = np.random.default_rng(state), list(xs)
        for _ in range(length):
            a, b = one_of(rng, values), one_of(rng, values)
            y = one_of(rng, OPERATIONS)(rng, a, b)
            y = a * 0.5 if y is None else y
            values.append(np.sum(y, axis=0) if y.size > MOST else y)
        return sum([np.sum(np.tanh(v)) for v in values[-4:]]), values[-1]

    return f, xs


def gradient(f):
    "The value and the gradient of the first result with respect to all arguments."

    def both(*xs):
        first = lambda *xs: f(*xs)[0]  # noqa: E731
        return value_and_grad(first, argnums=tuple(range(len(xs))), allow_unused=True)(*xs)

    return both


def single(xs):
    return any([x.dtype == np.float32 for x in xs])


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_program(seed):
    f, xs = random_program(seed)
    tolerance = 2e-3 if single(xs) else 1e-9
    native(f, *xs, rtol=tolerance)
    native(gradient(f), *xs, rtol=tolerance)


# Random bodies of loops: state changes in place, in branches, and in loops inside.


def loop_body(rng, depth=0):
    "A random function of a number, an array and a number that change, and an array that does not."
    state = int(rng.integers(1 << 31))
    inner = loop_body(rng, depth + 1) if depth < 1 else None

    def body(i, u, s, x):
        rng = np.random.default_rng(state)
        for _ in range(int(rng.integers(1, 5))):
            j = (i if rng.random() < 0.7 else i * 3 + 1) % u.shape[0]
            u, s = change(rng, inner, i, j, u, s, x)
        return u, s

    return body


def change(rng, inner, i, j, u, s, x):
    kind = int(rng.integers(14))
    if kind == 0:
        u = np.sin(u) * 0.9 + s * 0.1
    elif kind == 1:
        s = s * 0.5 + np.take(x, j)
    elif kind == 2:
        s = np.tanh(s + np.take(u, j))
    elif kind == 3:
        u = u * 1.0
        u[j] = np.sin(s) + np.take(x, j)
    elif kind == 4:
        u = u + 0.0
        u[j] += s * 0.3
    elif kind == 5:
        s = s + 0.1 * np.sum(u * x)
    elif kind == 6:
        u = np.roll(u, 1)
    elif kind == 7:
        s = cond(s > 0, lambda s: np.sin(s), lambda s: s * 0.5, s)
    elif kind == 8:
        u = np.where(u > s, u, u * 0.5 + 0.1 * x)
    elif kind == 9 and inner is not None:
        u, s = fori_loop(0, 3, lambda k, c: inner(k, c[0], c[1], x), (u, s))
    elif kind == 10:
        u = np.concatenate([u[1:], u[:1] * 0.5])
    elif kind == 11:
        s = switch(j % 3, [lambda s: s + 0.1, lambda s: np.cos(s), lambda s: s * s * 0.1], s)
    elif kind == 12:
        v = u * 0.5
        v[1:] = v[:-1] * 0.3 + u[1:]
        u = v
    elif kind == 13:
        u = cond(s > 0, lambda u: u * 0.9, lambda u: u[::-1] + 0.01, u)
    return u, s


def random_loop(seed):
    "A function with a loop, and two arrays."
    rng = np.random.default_rng(seed)
    body, kind = loop_body(rng), int(rng.integers(4))
    n, turns = int(one_of(rng, [2, 3, 4, 6, 8, 9, 17, 40])), int(rng.integers(1, 9))

    def forward(c, z):
        u, s = body(c[2], c[0], c[1], c[3])
        return (u, s + 0.1 * z, c[2] + 1, c[3]), (c[1] * 2, u[1:])

    def backward(c, z):
        return (*body(1, c[0], c[1], c[2]), c[2]), (c[0], z)

    def f(x, y):
        if kind == 0:
            u, s = fori_loop(0, turns, lambda i, c: body(i, c[0], c[1], x), (y, np.sum(x)))
        elif kind == 1:
            (u, s, _, _), (numbers, rows) = scan(forward, (y, np.sum(x), 0, x), x)
            s = s + np.sum(numbers) + np.sum(rows * rows)
        elif kind == 2:
            (u, s, _), _ = scan(backward, (y, x[0], x), x, reverse=True)
        else:
            again = lambda c: (*body(c[2], c[0], c[1], x), c[2] + 1)  # noqa: E731
            start = (y, x[0] * 1.0, 0)
            u, s, _ = while_loop(lambda c: c[2] < turns, again, start, max_steps=turns + 1)
        return s + np.sum(np.tanh(u)), u

    return f, [rng.normal(size=n), rng.normal(size=n)]


@pytest.mark.parametrize("seed", range(ROUNDS // 3))
def test_random_loop(seed):
    f, xs = random_loop(seed)
    native(f, *xs)
    native(gradient(f), *xs)
    tangents = tuple([np.ones_like(x) for x in xs])
    native(lambda *xs: jvp(lambda *xs: f(*xs)[0], xs, tangents), *xs)


# Corners


def test_result_of_a_chain_of_stores():
    "stores into an array that becomes a result are made in the result"

    def f(x, k):
        y = x * 1.0
        y[k] = 1.0
        y[k + 1] = 2.0
        y[k + 2] = 3.0
        return y

    kernel, _ = native(f, X, 7)
    assert kernel.arena == 0


def test_array_asked_for_between_stores():
    "a store may not change what somebody reads later"

    def f(x, k):
        y = x * 1.0
        y[k] = 1.0
        z, late = np.cumsum(y), y[::-1] * 2.0
        y[k + 1] = 2.0
        return y, z, np.cumsum(x) + late + y

    native(f, X, 7)


def test_small_part_of_an_array_that_is_overwritten():
    "a part held in registers and asked for in a loop is not computed again from what is gone"

    def f(b):
        y = b.copy()
        y[1:] += 1.0
        return np.sum(np.tanh(y[[0, -1, 0]])) + np.sum(np.tanh(b))

    native(grad(f), X[:17])


@pytest.mark.parametrize("n", [3, 5, 16, 17])
def test_totals_across_and_along(n):
    "totals of rows and of columns in the same loops"
    A = RNG.normal(size=(100, n))
    native(lambda A: (np.sum(A, 1), np.sum(A, 0), np.max(A), np.sum(A, 1, keepdims=True)), A)
    native(lambda A: (np.sum(A, 0), np.sum(A, 1), np.cumsum(A, 0), np.cumsum(A, 1)), A)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_no_elements(shape):
    x = np.zeros(shape)
    native(lambda x: (np.sum(x), np.sum(x, 0), x.T * 2, np.exp(x) + 1, np.cumsum(x, -1)), x)
    native(lambda x: np.concatenate([x, x[::-1]], -1), x)


def test_results_of_all_kinds():
    "a result twice, an input, a number, a truth value, an integer, a view"
    kernel, got = native(
        lambda x: (
            x,
            3.0,
            x > 0,
            np.sum(x > 0),
            x[::-1],
            np.exp(x),
            np.exp(x),
            np.array([1.0, 2.0]),
        ),
        X,
    )
    assert [y.dtype.name for y in got[:4]] == ["float64", "float64", "bool", "int64"]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, bool, np.float32])
def test_other_dtypes(dtype):
    x = (RNG.normal(size=(6, 5)) * 5).astype(dtype)
    native(lambda x: (x + x, x * x, x & x if dtype not in (np.float32,) else x, np.max(x, 0)), x)
    native(lambda x: (np.sum(x, 0), x.T @ x, x[[0, 0, 3]], x > 1, np.where(x, x, 2)), x)
    native(lambda x: (x + 0.5, x.astype(np.float64), x.astype(np.int32), x.astype(bool)), x)


def test_whole_division():
    a = np.array([-7, 7, -7, 7, 0, 5, -(2**63)])
    b = np.array([3, -3, -3, 3, 5, 0, -1])
    native(lambda a, b: (a // b, a % b), a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((30,), (30,)),
        ((7, 30), (30,)),
        ((30,), (30, 7)),
        ((40, 70), (70,)),
        ((64, 80), (80,)),
        ((7, 30), (30, 5)),
        ((60, 40), (40, 50)),
        ((3, 7, 5), (5, 4)),
        ((3, 1, 7, 5), (2, 5, 4)),
        ((2, 3), (3, 2)),
    ],
)
def test_matrix_products(a, b):
    A, B = RNG.normal(size=a), RNG.normal(size=b)
    native(lambda A, B: A @ B, A, B)
    native(grad(lambda A, B: np.sum(np.sin(A @ B)), (0, 1)), A, B)
    native(lambda A, B: (A * 2).T @ np.sin(A) if len(a) == 2 else A @ B, A, B)


def test_loops_along_memory():
    "loops are turned, and temporary matrices lie by columns"
    A = RNG.normal(size=(40, 60))
    native(lambda A: (np.exp(A).T * 2, np.sum(np.exp(A), 0)), A)
    native(lambda A: np.sum(np.exp(A.T), 1) + np.exp(A.T) @ np.ones(40), A)
    native(lambda A: np.exp(A.T) @ np.exp(A), A)
    native(grad(lambda A: np.sum(np.tanh(A.T @ A) * np.exp(A.T @ A).T)), A)


def test_index_out_of_range():
    "the kernel says so, and what it wrote is void"
    program = optimise(trace(lambda x, i: np.take(x, i) * 2, X, 3))
    kernel = lower(program)
    code = Code(linked(kernel))
    call = code.function("kernel", ctypes.c_int, *[ctypes.c_void_p] * 3)
    index, out = np.array(50), np.zeros(())
    given = (ctypes.c_void_p * 2)(X.ctypes.data, index.ctypes.data)
    results = (ctypes.c_void_p * 1)(out.ctypes.data)
    assert call(given, results, None) == 1
    index[...] = -50
    assert call(given, results, None) == 0 and out == 2 * X[0]
    with pytest.raises(IndexError):
        run(kernel, X, 50)


def turns(low, high, place, n=20):
    "A kernel of a loop that adds at a place of an array, and its text's results."

    def f(x, k):
        def turn(i, y):
            y[place(i, k)] += np.sin(x[i % n]) + 1.0
            return y

        return fori_loop(low, high, turn, x * 1.0)

    return native(f, X[:n], 3)[0]


@pytest.mark.parametrize(
    "place",
    [
        lambda i, k: i,
        lambda i, k: i - 1,
        lambda i, k: -i,
        lambda i, k: 2 * i - 19,
        lambda i, k: (7 * i + k) % 20,
        lambda i, k: np.minimum(np.maximum(i + k, 0), 19),
        lambda i, k: 18 - (i - 1),
    ],
)
def test_places_known_from_the_range_of_a_loop(place):
    "no check where counters, multiples, remainders and clipped integers are in range"
    assert not turns(0, 20, place).fallible


def test_places_that_must_be_checked():
    assert turns(0, 5, lambda i, k: i + k).fallible
    with pytest.raises(IndexError):
        turns(0, 25, lambda i, k: i)
    with pytest.raises(IndexError):
        turns(-21, 0, lambda i, k: i)


def test_ends_of_loops():
    "no turn, negative counters, ends that are traced, and loops as long as the counter around them"
    x = X[:20]
    for low, high in [(5, 5), (7, 3), (-4, 6), (-9, -2)]:
        native(lambda x, a=low, b=high: fori_loop(a, b, lambda i, y: y * 0.5 + i, x), x)
        native(lambda x, a, b: fori_loop(a, b, lambda i, y: y * 0.5 + i, x), x, low, high)

    def triangle(x):
        def row(i, y):
            def add(j, y):
                y[i] += x[j] * y[i - j]
                return y

            return fori_loop(0, i, add, y)

        return fori_loop(1, 20, row, x * 1.0)

    kernel, _ = native(triangle, x)
    native(lambda x: jvp(triangle, (x,), (np.ones_like(x),)), x)
    assert not kernel.fallible


def test_traced_and_known_places_in_one_index():
    native(lambda x, i: x[i, np.array([0, 2, 2])], M, 3)
    native(lambda x, i: x[np.array([0, 2, 2]), i], M, -3)
    native(lambda x, i: x[np.array([0, 2]), 1:3, i], RNG.normal(size=(4, 5, 6)), np.array([1, 2]))


def test_loops_with_many_pieces():
    "a loop cut into more pieces than are worth it keeps its tests"
    native(lambda x: np.concatenate([x[k : k + 4] * k for k in range(0, 48, 4)]), X)
    native(lambda x: sum([np.concatenate([x[k:], x[:k]]) for k in range(1, 9)]), X)


def test_donated_arrays():
    w, g = RNG.normal(size=(20, 30)), RNG.normal(size=(20, 30))
    program = optimise(trace(lambda w, g: (w - 0.1 * g, np.sum(w)), w, g))
    kernel = lower(program, donate={0: 0})
    new, total = run(kernel, w, g)
    assert kernel.donated == {0: 0} and kernel.arena == 0
    np.testing.assert_allclose(new, w - 0.1 * g)
    np.testing.assert_allclose(total, np.sum(w))


def test_arrays_donated_to_each_other():
    "two results that read both old arrays"
    u, v = RNG.normal(size=60), RNG.normal(size=60)
    for f in (lambda u, v: (u + v, u - v), lambda u, v: (v, u), lambda u, v: (v[::-1] + u, v + 1)):
        program = optimise(trace(f, u, v))
        for got, want in zip(run(lower(program, donate={0: 0, 1: 1}), u, v), f(u, v)):
            np.testing.assert_allclose(got, want)


def test_thin_rows_that_nobody_reads():
    "stacked results of a scan that are dropped"

    def f(x):
        total, rows = scan(lambda c, z: (np.sin(c) + z, np.stack([c, z])), 0.0, x)
        return total

    native(f, X)
    native(grad(f), X)


def test_small_state_in_lanes():
    "four and eight numbers side by side, in and out of loops"
    for n in (4, 8):
        x = RNG.normal(size=n)
        turn = lambda i, u: np.where(u > 0, np.maximum(u, 0.1) * 0.9, -u) + np.roll(u, 1) * 0.1  # noqa: E731
        f = lambda x, turn=turn: fori_loop(0, 5, turn, x)  # noqa: E731
        native(f, x)
        native(grad(lambda x, f=f: np.sum(f(x) ** 2)), x)


def test_no_plan_settles_late():
    "random programs need few attempts"
    for seed in range(10):
        f, xs = random_program(seed)
        assert lower(optimise(trace(f, *xs))).arena < 1 << 20


def test_temporaries_share_their_places():
    def f(x):
        for _ in range(8):
            x = np.cumsum(np.sin(x)) / 10
            x = np.concatenate([x[300:], x[:300]])
        return x

    kernel, got = native(f, np.linspace(0, 1, 1000))
    assert np.allclose(got[0], f(np.linspace(0, 1, 1000)), rtol=1e-12)
    places = {place for _, place in kernel.memory}
    assert len(kernel.memory) >= 7 and len(places) == 2 and kernel.arena == 16000

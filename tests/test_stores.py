"""Item assignment and in-place arithmetic: NumPy's own meaning, views included, in both modes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from litad import (
    LitadError,
    check_grads,
    derivative,
    grad,
    gradient,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

V = np.array([1.0, 2.0, 3.0, 4.0])

deterministic = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    suppress_health_check=list(HealthCheck),
)


def number(b):
    "A number that depends on all of an array."
    return np.tanh(np.sum(b) / 3)


def store_item(a, b, k):
    a[k % len(a)] = number(b)


def store_slice(a, b, k):
    a[k % len(a) :] = number(b) * 1.5


def store_array(a, b, k):
    a[: min(len(a), len(b))] = np.sin(b[: min(len(a), len(b))])


def add_item(a, b, k):
    a[k % len(a)] += number(b)


def multiply_slice(a, b, k):
    a[::2] *= 1 + number(b) / 2


def store_everything(a, b, k):
    a[...] = a[::-1] * number(b)


def store_list(a, b, k):
    a[[0, -1, 0]] = np.stack([number(b), 0.5, 2 * number(b)])


def store_mask(a, b, k):
    a[np.arange(len(a)) % 2 == k % 2] = number(b)


def scale_where_positive(a, b, k):
    a[a > 0] *= 0.5


def store_constant(a, b, k):
    a[k % len(a)] = 0.25


def in_place(a, b, k):
    a += number(b)
    a *= 0.9
    a -= 0.1 * number(b)
    a /= 1.1


def store_overlapping(a, b, k):
    a[1:] = a[:-1]


CHANGES = [
    store_item,
    store_slice,
    store_array,
    add_item,
    multiply_slice,
    store_everything,
    store_list,
    store_mask,
    scale_where_positive,
    store_constant,
    in_place,
    store_overlapping,
]
MAKES = {
    "zeros_like": lambda a, b, k: np.zeros_like(a),
    "ones_like": lambda a, b, k: np.ones_like(a),
    "empty, like=": lambda a, b, k: np.zeros(3, like=a),
    "result": lambda a, b, k: np.sin(a) + number(b),
    "copy": lambda a, b, k: a.copy(),
    "np.copy": lambda a, b, k: np.copy(a),
    "positive copy": lambda a, b, k: +a,
    "times one": lambda a, b, k: a * 1.0,
    "same": lambda a, b, k: a,
    "view of the rest": lambda a, b, k: a[k % 2 :] if len(a) > 2 else a,
    "view reversed": lambda a, b, k: a[::-1],
    "view of every second": lambda a, b, k: a[::2] if len(a) > 2 else a,
    "view of view": lambda a, b, k: a[1:][:-1] if len(a) > 3 else a[:],
    "fancy copy": lambda a, b, k: a[[0, 0, -1]],
    "masked copy": lambda a, b, k: np.where(a > 0, a, b[0]),
    "joined": lambda a, b, k: np.concatenate([a[:2], b[:2]]),
}
WAYS = sorted(MAKES) + [f.__name__ for f in CHANGES]
BY_NAME = {f.__name__: f for f in CHANGES}


def program(steps):
    "A function of a vector that makes arrays and writes into them."

    def f(x):
        pool = [x * 1.0, np.zeros_like(x)]
        total = 0.0
        for name, i, j, k in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if name in MAKES:
                pool.append(MAKES[name](a, b, k))
            else:
                BY_NAME[name](a, b, k)
                total = total + np.sum(np.sin(a)) * (k + 1)
        return total / 5 + sum(np.sum(np.cos(p) * p) for p in pool)

    return f


steps = st.lists(
    st.tuples(st.sampled_from(WAYS), st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)),
    min_size=1,
    max_size=20,
)


@deterministic
@given(steps, st.integers(0, 100))
def test_random_stores(chosen, seed):
    "the value is NumPy's own; reverse = forward = central difference; the argument is untouched"
    f = program(chosen)
    x = np.random.default_rng(seed).uniform(-1.5, 1.5, 4)
    before = x.copy()
    try:
        value, g = value_and_grad(f)(x)
    except LitadError:
        return  # a store into an array that holds no box is refused, never wrong
    assert value == pytest.approx(f(x), rel=1e-13, abs=1e-13)
    assert np.array_equal(x, before)
    assert gradient(f, chunk=3)(x) == pytest.approx(g, rel=1e-9, abs=1e-11)
    e = np.eye(4)
    at = lambda h: np.array([(f(x + h * d) - f(x - h * d)) / (2 * h) for d in e])  # noqa: E731
    numeric = at(1e-6)
    if np.max(np.abs(numeric - at(5e-7))) < 1e-6:
        assert g == pytest.approx(numeric, rel=1e-5, abs=1e-6)


@settings(deterministic, max_examples=60)
@given(steps, st.integers(0, 100))
def test_random_stores_at_second_order(chosen, seed):
    "nested modes agree where arrays are written into"
    f = program(chosen)
    x = np.random.default_rng(seed).uniform(-1.5, 1.5, 4)
    v = np.array([1.0, -0.5, 0.25, 2.0])
    try:
        over = hvp(f, x, v)
    except LitadError:
        return
    assert vjp(grad(f), x)[1](v)[0] == pytest.approx(over, rel=1e-9, abs=1e-10)
    assert jacfwd(gradient(f))(x) @ v == pytest.approx(over, rel=1e-9, abs=1e-10)


def fill(x):
    y = np.zeros_like(x)
    for k in range(len(x)):
        y[k] = x[k] ** 2 if k == 0 else y[k - 1] * x[k]
    return np.sum(y)


def table(x):
    a = np.zeros((3, 4), like=x)
    a[0] = x
    a[1:, 0] = x[0]
    for i in range(1, 3):
        for j in range(1, 4):
            a[i, j] = np.sin(a[i - 1, j]) + a[i, j - 1] * a[i - 1, j - 1]
    return a[-1, -1] + np.sum(a[1])


def rows_written_through_views(x):
    a = np.zeros((2, 4), like=x)
    row = a[1]
    row[:] = x
    row *= 2
    a[0] = row[::-1]
    column = a[:, 2]
    column += x[0]
    return np.sum(a * a) + np.sum(row)


def transposed(x):
    a = np.zeros((4, 2), like=x)
    a.T[0] = x
    a.T[1, 1:] = x[1:] ** 2
    return np.sum(np.sin(a) * np.arange(8.0).reshape(4, 2))


def reshaped(x):
    a = np.zeros((2, 2), like=x)
    a.reshape(-1)[1:] = x[1:]
    a.ravel()[0] = x[0] ** 2
    return np.sum(a * a * [[1.0, 2], [3, 4]])


def swapped(x):
    a = x * 1.0
    a[0], a[1] = a[1] * 2, a[0] * 3
    a[[2, 3]] = a[[3, 2]]
    return np.sum(a * V)


def used_then_changed(x):
    y = x * 1.0
    z = np.sin(y)
    y[0] = 5.0
    z[1] = y[2] ** 2
    return np.sum(z) + np.sum(y * y)


def product_then_changed(x):
    y, w = x * 1.0, x * 2.0
    z = y * w
    y *= 0.0
    w[:] = 1.0
    return np.sum(z) + np.sum(y + w)


def power_then_changed(x):
    y = x**2
    z = np.exp(y / 10)
    z += 1
    y -= 1
    return np.sum(z * y)


def aliases(x):
    y = x * 1.0
    z = y
    z += 1
    z[0] = z[1] * 2
    return np.sum(y * z)


def of_a_list(x):
    y = [np.zeros_like(x), x * 1.0]
    y[0][1] = x[0]
    y[1][2] += x[0]
    y[0] += y[1]
    return np.sum(y[0] * y[1])


def overwritten(x):
    y = x * x
    y[:] = 3.0
    y[1] = x[2]
    return np.sum(y) * x[0]


@pytest.mark.parametrize(
    "f",
    [
        fill,
        table,
        rows_written_through_views,
        transposed,
        reshaped,
        swapped,
        used_then_changed,
        product_then_changed,
        power_then_changed,
        aliases,
        of_a_list,
        overwritten,
    ],
    ids=lambda f: f.__name__,
)
def test_programs_that_write(f):
    "NumPy's value, both modes, two orders"
    value, g = value_and_grad(f)(V)
    assert value == pytest.approx(f(V.copy()), rel=1e-14)
    e = 1e-6 * np.eye(4)
    numeric = np.array([(f(V + d) - f(V - d)) / 2e-6 for d in e])
    assert g == pytest.approx(numeric, rel=1e-6, abs=1e-6)
    assert gradient(f, chunk=3)(V) == pytest.approx(g, rel=1e-12)
    H = jacfwd(grad(f))(V)
    assert jacrev(gradient(f))(V) == pytest.approx(H, rel=1e-10, abs=1e-12)
    numeric = np.array([(grad(f)(V + d) - grad(f)(V - d)) / 2e-6 for d in e])
    assert H == pytest.approx(numeric, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("make", [lambda x: x * 1.0, lambda x: np.zeros_like(x) + 0 * x])
@pytest.mark.parametrize(
    "subscripts, shape",
    [
        ("ii->i", (3, 3)),
        ("iji->ij", (2, 3, 2)),
        ("iji->ji", (2, 3, 2)),
        ("...ii->...i", (2, 3, 3)),
        ("iii->i", (2, 2, 2)),
    ],
)
def test_a_diagonal_by_einsum_is_a_view(subscripts, shape, make):
    "as NumPy's, which is how a diagonal is written to"

    def f(x):
        a = make(x)
        d = np.einsum(subscripts, a)
        d += x.ravel()[2]
        d[0] = x.ravel()[3] * d[1]
        a *= x.ravel()[1]
        return np.sum(a**2) + np.sum(d)

    x = np.random.default_rng(0).uniform(0.5, 1.5, shape)
    value, g = value_and_grad(f)(x)
    assert value == pytest.approx(f(x))
    check_grads(f, (x,), order=2)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a.reshape(-1),
        lambda a: a.ravel(),
        lambda a: np.squeeze(a),
        lambda a: np.expand_dims(a, 0)[0],
        lambda a: np.atleast_2d(a)[0],
        lambda a: np.swapaxes(a[None], 0, 1)[:, 0],
        lambda a: np.split(a, 2)[0],
        lambda a: a.real,
        lambda a: a.astype(float, copy=False),
        lambda a: np.einsum("i->i", a),
        lambda a: np.einsum("ij->ji", a[None])[:, 0],
    ],
)
def test_views_that_are_not_made_by_indexing(view):
    "a store through a view of any kind reaches the array, or is refused; it is never lost"

    def stored(x):
        a = x * 1.0
        view(a)[0] = x[3]
        return np.sum(a * x)

    def scaled(x):
        a = x * 1.0
        b = view(a)
        b *= x[1]
        return np.sum(a * x)

    for f in (stored, scaled):
        for way in (value_and_grad, lambda f: lambda x: (f(x), gradient(f)(x))):
            try:
                value, g = way(f)(V)
            except LitadError:
                continue
            e = 1e-6 * np.eye(4)
            assert value == pytest.approx(f(V))
            numeric = np.array([(f(V + d) - f(V - d)) / 2e-6 for d in e])
            assert g == pytest.approx(numeric, abs=1e-6)


def test_arguments_are_never_written():
    "writing into an argument changes the box, not the caller's array"

    def f(u):
        u[0] = 2 * u[1]
        u *= 3
        return np.sum(u * u)

    for g in (grad(f), gradient(f), lambda x: vjp(f, x)[1](1.0)[0]):
        x = V.copy()
        assert g(x) == pytest.approx(np.array([0.0, 180.0, 54.0, 72.0]))
        assert x.tolist() == V.tolist()


def test_numbers_are_rebound():
    "an in-place operation on a number makes a new number, as Python's does"

    def f(x):
        y = x
        y += 1
        y *= x
        return y + x

    assert grad(f)(3.0) == derivative(f)(3.0) == 8.0


def test_an_inner_function_writes_into_its_own_array():
    def outer(t):
        def inner(x):
            y = np.zeros_like(x)
            y[0] = t * x[0] ** 2
            y[1:] = x[1:] * t
            return np.sum(y)

        return np.sum(grad(inner)(V) ** 2)

    h = 1e-6
    numeric = (outer(2 + h) - outer(2 - h)) / (2 * h)
    assert grad(outer)(2.0) == pytest.approx(numeric)
    assert derivative(outer)(2.0) == pytest.approx(numeric)


OWN_OR_SHARED = [
    "x.flatten()",
    "x.ravel()",
    "x.ravel('F')",
    "x.copy()",
    "x.astype(float)",
    "np.astype(x, float)",
    "x.astype(float, copy=False)",
    "np.conj(x)",
    "x.conj()",
    "x.real",
    "np.real(x)",
    "+x",
    "np.positive(x)",
    "x.squeeze()",
    "np.atleast_1d(x)",
    "np.atleast_3d(x)",
    "np.expand_dims(x, 0)",
    "x.T",
    "x.mT",
    "np.swapaxes(x, 0, 1)",
    "np.moveaxis(x, 0, 1)",
    "np.rollaxis(x, 1)",
    "np.rot90(x, 0)",
    "np.rot90(x)",
    "np.rot90(x, 2)",
    "np.flip(x)",
    "np.fliplr(x)",
    "np.roll(x, 0)",
    "np.split(x, 3)[1]",
    "np.array_split(x, 2)[0]",
    "np.hsplit(x, 2)[1]",
    "np.unstack(x)[1]",
    "np.meshgrid(x[0], x[1])[0]",
    "np.meshgrid(x[0], x[1], copy=False, sparse=True)[0]",
    "np.tile(x, 1)",
    "np.repeat(x, 1, axis=0)",
    "np.pad(x, 0)",
    "np.concatenate([x])",
    "np.where(True, x, x)",
    "np.sort(x)",
    "np.triu(x, -9)",
    "np.nan_to_num(x)",
    "np.diff(x, 0)",
    "np.sum(x, axis=())",
    "np.reshape(x, (4, 3))",
    "np.reshape(x, (4, 3), copy=True)",
    "np.reshape(x, (2, 6), order='F')",
    "np.resize(x, (3, 4))",
    "np.einsum('ij->ji', x)",
    "np.linalg.matrix_power(x[:, :3], 1)",
    "np.take(x, [0, 1, 2], axis=0)",
    "x[...]",
    "x[()]",
    "x[0]",
    "x[[0, 1]]",
    "x[x > -9]",
    "x[None]",
    "x[0:2, 1]",
    "x[::-1]",
    "x.view()",
    "x.flat[:]",
    "np.real_if_close(x)",
    "np.unwrap(x)",
    "np.fft.fftshift(x)",
    "np.squeeze(x[None])",
    "np.block([x])",
    "np.select([x > -9], [x])",
    "np.copysign(x, x)",
    "x + 0",
    "x**1",
    "np.mean(x[None], axis=0)",
    "np.round(x)",
    "np.clip(x, None, 99)",
    "np.matrix_transpose(x)",
]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("part", OWN_OR_SHARED)
def test_memory_is_shared_where_numpy_shares_it(part, mode):
    "writing into a result changes the array, and the other way round, where it does in NumPy"
    of = eval(f"lambda x: {part}", {"np": np})  # noqa: S307

    def f(x):
        a, b = x * 1.0, x * 1.0
        y, z = of(a), of(b)
        y[...] = 7.0 * x[0, 0]
        b += 1.0
        b[0, 0] = 3.0 * x[1, 1]
        return np.concatenate([np.ravel(part) for part in (a, y, b, z)])

    x = np.arange(12.0).reshape(3, 4) * 0.3 + 1
    value = jvp(f, (x,), (x,))[0] if mode == "forward" else vjp(f, x)[0]
    assert np.array_equal(value, f(x.copy()))

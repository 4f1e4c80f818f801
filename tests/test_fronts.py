"""Two loops walked along fronts: the same numbers as row by row, whatever the cells ask for."""

import numpy as np
import pytest

import litad.fronts
from litad import grad, jit, value_and_grad
from litad.fronts import InOrder, tie

SLOW = [
    np.tanh,
    lambda u: np.exp(np.sin(u)),
    lambda u: np.log(1.5 + np.sin(u)),
    lambda u: 1 / (2.0 + u * u),
]


@pytest.fixture
def walked(monkeypatch):
    "The slopes of the fronts that were written."
    found, slope = [], litad.fronts.Nest.slope

    def noted(self):
        found.append(slope(self))
        return found[-1]

    monkeypatch.setattr(litad.fronts.Nest, "slope", noted)
    return found


def same(f, *args):
    places = tuple(range(len(args)))
    want_value = f(*args)
    value, g = jit(value_and_grad(f, places))(*args)
    np.testing.assert_allclose(value, want_value, rtol=1e-11)
    for a, b in zip(g, value_and_grad(f, places)(*args)[1]):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * (1 + np.max(np.abs(b))))


def test_fronts_keep_the_order_of_all_cells_that_meet():
    draws, kept = np.random.default_rng(7), 0
    for _ in range(600):
        sizes = tuple(draws.integers(2, 6, 2).tolist())
        forms, axes = draws.integers(-2, 3, (2, 2)).tolist(), int(draws.integers(1, 3))
        more = draws.integers(-3, 4, (2, 2)).tolist()
        a, b = [[(*pq, c) for pq, c in zip(forms[:axes], cs)] for cs in more]
        try:
            found = tie(a, b, sizes)
        except InOrder:
            continue
        kept += 1
        at = lambda access, i, j: [p * i + q * j + c for p, q, c in access]  # noqa: E731
        cells = list(np.ndindex(*sizes))
        for x in cells:
            for y in cells:
                if x < y and (at(a, *x) == at(b, *y) or at(b, *x) == at(a, *y)):
                    assert found.slope * x[0] + x[1] < found.slope * y[0] + y[1], (a, b, x, y)
                    assert x[0] != y[0] or found.inward
    assert kept > 300


@pytest.mark.parametrize("seed", range(12))
def test_random_tables(seed, walked):
    draws = np.random.default_rng(seed)
    n, m = (int(k) for k in draws.integers(9, 75, 2) + (0, 8))
    offsets = [(0, -1), *[(-int(i), int(j)) for i, j in draws.integers((0, -2), (3, 3), (3, 2))]]
    offsets = [(i, j if i else -abs(j)) for i, j in offsets if (i, j) != (0, 0)]
    f, weights = SLOW[seed % len(SLOW)], draws.normal(size=len(offsets)) / 3

    def table(x, y):
        u = np.zeros((n + 2, m + 4)) + 0.1 * x[0]
        for i in range(2, n + 2):
            for j in range(2, m + 2):
                s = x[i - 2] * y[j - 2]
                for w, (di, dj) in zip(weights, offsets):
                    s = s + w * u[i + di, j + dj]
                u[i, j] = f(s)
        return np.sum(u * u) + u[n, m]

    same(table, draws.normal(size=n), draws.normal(size=m))
    assert walked


def test_numbers_carried_along_a_row_and_stored_after_it(walked):
    def f(x, y):
        u, ends = np.zeros((60, 90)), np.zeros(60)
        u[0] = y
        for i in range(1, 60):
            left = x[i]
            peak = 0.0
            for j in range(1, 90):
                left = np.tanh(left * u[i - 1, j] + u[i - 1, j - 1])
                u[i, j] = left * y[j]
                peak = peak + np.exp(-left)
            ends[i] = peak * left
        return np.sum(u * u) + np.sum(np.sin(ends))

    draws = np.random.default_rng(0)
    same(f, draws.normal(size=60), draws.normal(size=90))
    assert walked


def test_a_row_that_begins_with_a_store_keeps_its_order():
    def f(x):
        u = np.zeros((40, 50))
        for i in range(1, 40):
            u[i, 0] = np.sin(u[i - 1, 49]) + x[i]
            for j in range(1, 50):
                u[i, j] = np.exp(np.sin(u[i, j - 1])) + np.tanh(u[i - 1, j])
        return np.sum(u)

    same(f, np.random.default_rng(1).normal(size=40))


def test_a_row_that_reads_the_end_of_the_row_before():
    def f(x):
        u, last = np.zeros((40, 50)), np.zeros(41)
        for i in range(1, 40):
            start = last[i - 1]
            for j in range(1, 50):
                u[i, j] = np.exp(np.sin(u[i, j - 1] * x[j])) + np.tanh(u[i - 1, j] + start)
            last[i] = u[i, 49]
        return np.sum(u) + last[39]

    same(f, np.random.default_rng(1).normal(size=50))


def test_negative_indices_and_places_of_other_forms():
    def f(x):
        u = np.zeros((40, 50))
        for i in range(1, 40):
            for j in range(1, 50):
                u[i, j] = np.exp(np.sin(u[i, j - 1] * x[j])) + np.tanh(u[i - 1, -j])
        return np.sum(u)

    def g(x):
        u = np.zeros((40, 50))
        for i in range(1, 40):
            for j in range(1, 50):
                u[i, j] = np.exp(np.sin(u[i, j - 1] * x[j])) + np.tanh(u[i - 1, 49 - j])
                u[i, 0] = np.exp(np.sin(u[i, j]))
        return np.sum(u)

    x = np.random.default_rng(1).normal(size=50)
    same(f, x)
    same(g, x)


def test_an_index_out_of_range_in_a_front_is_an_error():
    def f(x, k):
        u = np.zeros((40, 50))
        for i in range(1, 40):
            for j in range(1, 50):
                u[i, j] = np.exp(np.sin(u[i, j - 1])) + np.tanh(u[i - 1, j] + x[j + k])
        return np.sum(u)

    x = np.random.default_rng(1).normal(size=52)
    compiled = jit(grad(f))
    np.testing.assert_allclose(compiled(x, 2), grad(f)(x, 2), rtol=1e-10)
    with pytest.raises(IndexError):
        compiled(x, 3)


def test_few_and_many_rows_and_columns():
    def f(x, y):
        u = np.ones((len(x) + 1, len(y) + 1)) * y[0]
        for i in range(len(x)):
            for j in range(len(y)):
                u[i + 1, j + 1] = np.exp(np.sin(u[i, j + 1] * x[i])) + np.tanh(u[i + 1, j]) * y[j]
        return np.sum(u)

    draws = np.random.default_rng(1)
    for n, m in [(1, 20), (8, 16), (9, 17), (33, 16), (64, 40), (65, 40)]:
        same(f, draws.normal(size=n), draws.normal(size=m))

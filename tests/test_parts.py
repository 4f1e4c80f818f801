"""Loops that add to neighbours, cut into loops that each add to one: the same sums."""

import numpy as np
import pytest

import litad.parts
from litad import jit, value_and_grad


@pytest.fixture
def cut(monkeypatch):
    "In how many parts loops were written."
    found, parts = [], litad.parts.parts_of

    def noted(*args):
        found.append(parts(*args))
        return found[-1]

    monkeypatch.setattr(litad.parts, "parts_of", noted)
    return found


def same(f, *args):
    places = tuple(range(len(args)))
    value, g = jit(value_and_grad(f, places))(*args)
    np.testing.assert_allclose(value, f(*args), rtol=1e-12)
    for a, b in zip(g, value_and_grad(f, places)(*args)[1]):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13 * (1 + np.max(np.abs(b))))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 18, 40])
def test_heat(n, cut):
    def heat(u, w):
        now, new = u.copy(), u.copy()
        for _ in range(5):
            for i in range(1, len(u) - 1):
                new[i] = now[i] + 0.2 * (now[i + 1] - 2 * now[i] + now[i - 1])
            now, new = new, now
        return np.sum(w * now**2)

    same(heat, draw(n), draw(n, seed=1))
    assert not cut if n < 18 else cut and all([len(parts) == 3 for parts in cut])


@pytest.mark.parametrize("step", [1, -1, 2, -3])
@pytest.mark.parametrize("seed", range(4))
def test_random_stencils(seed, step, cut):
    draws = np.random.default_rng(seed)
    offsets, weights = draws.integers(-4, 5, 4).tolist(), draws.normal(size=4)

    def stencil(u, c):
        v = np.zeros(len(u))
        places = range(4, len(u) - 4, step) if step > 0 else range(len(u) - 5, 3, step)
        for i in places:
            s = 0.0
            for w, k in zip(weights, offsets):
                s = s + w * u[i + k] * c[i - k]
            v[i] = s * s
        return np.sum(v * v)

    same(stencil, draws.normal(size=120), draws.normal(size=120))


def test_a_grid_and_its_five_neighbours(cut):
    def jacobi(u, b):
        u = u.copy()
        for _ in range(3):
            new = u.copy()
            for i in range(1, u.shape[0] - 1):
                for j in range(1, u.shape[1] - 1):
                    near = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                    new[i, j] = 0.25 * (near + b[i, j]) + 0.1 * u[i, j]
            u = new
        return np.sum(u * u)

    same(jacobi, draw(20, 23), draw(20, 23, seed=1))
    assert cut


def test_places_that_come_round_stay_whole(cut):
    def round_about(u, c):
        v = np.zeros(10)
        for i in range(30):
            v[i % 10] += u[i - 1] * u[i - 30] * c[i - 25]
        return np.sum(v * v)

    def back(u, c):
        v = np.zeros(len(u))
        for i in range(-4, 26):
            v[i] = u[i] * c[i + 1] + u[i - 1] * c[i]
        return np.sum(v * v)

    same(round_about, draw(30), draw(30, seed=1))
    same(back, draw(30), draw(30, seed=1))


def test_an_index_out_of_range_is_an_error():
    def shifted(u, k):
        v = np.zeros(40)
        for i in range(40):
            v[i] = u[i + k] * 2.0 + u[i + 1]
        return np.sum(v * v)

    compiled = jit(value_and_grad(shifted))
    np.testing.assert_allclose(compiled(draw(42), 2)[1], value_and_grad(shifted)(draw(42), 2)[1])
    with pytest.raises(IndexError):
        compiled(draw(42), 3)


def test_what_is_stored_and_read_at_the_same_place_comes_last(cut):
    def f(u, w):
        v = u.copy()
        for i in range(1, len(u) - 1):
            v[i] = v[i] * w[i - 1] + v[i] * v[i] * w[i + 1] + w[i]
        return np.sum(v * v)

    same(f, draw(50), draw(50, seed=1))


def test_indices_that_are_read_from_an_array():
    places = np.random.default_rng(0).integers(0, 30, 50)

    def gathered(u, w):
        v = np.zeros(50)
        for i, k in zip(range(50), places):
            v[i] = u[k] * w[i] + u[i]
        return np.sum(v * v)

    def listed(u, w):
        v = np.zeros(48)
        for i in range(48):
            v[i] = u[places[i]] * w[i] + u[i] * w[i + 1]
        return np.sum(v * v)

    same(gathered, draw(50), draw(50, seed=1))
    same(listed, draw(50), draw(50, seed=1))

"""Compiled is eager: every case of the registry, its value and its derivatives, through `jit`."""

from __future__ import annotations

import numpy as np
import pytest
import test_laws
from laws import V, X, close, directions

from litad import grad, jacrev, jit, jvp, vjp
from litad.core import bind, elementwise
from litad.engine import available

pytestmark = [
    pytest.mark.skipif(not available(), reason="machine code needs llvmlite"),
    pytest.mark.filterwarnings("ignore"),
]


SORTED = [
    c
    for c in test_laws.CALLS["containers of boxes"]
    if {"sorted", "max"} & set(c.__code__.co_names)
]


cases = pytest.mark.parametrize(
    "call", [p for p in test_laws.identified if p.values[0] not in SORTED]
)


def both_ways(f):
    "One function of value, pushforward and pullback, so that a case is compiled once."

    def ways(x, v, dx, dv, w):
        value, pushed = jvp(f, (x, v), (dx, dv))
        return value, pushed, vjp(f, x, v)[1](w)

    return ways


def same(a, b, rtol=1e-12):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and close(a, b, rtol)


@cases
def test_compiled_is_eager(call):
    f = test_laws.on_both(call)
    rng = np.random.default_rng(11)
    dx, dv = directions(rng, [X, V])
    w = np.asarray(rng.standard_normal(np.shape(f(X, V))))
    given = X.copy(), V.copy()
    expected = both_ways(f)(X, V, dx, dv, w)
    found = jit(both_ways(f))(X, V, dx, dv, w)
    assert same(found[0], expected[0]) and same(found[1], expected[1])
    assert all([same(a, b) for a, b in zip(found[2], expected[2])])
    assert np.array_equal(X, given[0]) and np.array_equal(V, given[1])


@cases
def test_derivatives_of_compiled(call):
    f = test_laws.on_both(call)
    rng = np.random.default_rng(12)
    t = directions(rng, [X, V])
    w = np.asarray(rng.standard_normal(np.shape(f(X, V))))
    compiled = jit(f)
    assert same(jvp(compiled, (X, V), tuple(t))[1], jvp(f, (X, V), tuple(t))[1])
    pairs = zip(vjp(compiled, X, V)[1](w), vjp(f, X, V)[1](w))
    assert all([same(a, b) for a, b in pairs])


@cases
def test_single_precision_stays(call):
    x, v = X.astype(np.float32), V.astype(np.float32)
    f = test_laws.on_both(call)
    try:
        expected = np.asarray(f(x, v))
    except (TypeError, ValueError):
        pytest.skip("NumPy has no result in single precision")
    found = np.asarray(jit(f)(x, v))
    assert found.dtype == expected.dtype and close(found, expected, 2e-5)


@pytest.mark.parametrize("call", SORTED)
def test_sorting_by_python_is_written_as_a_sort(call):
    assert close(np.asarray(jit(call)(X, V)), np.asarray(call(X, V)), 1e-14)


def test_a_rule_that_widens_gives_a_gradient_of_the_variables_type():
    widening = elementwise(
        lambda x: np.where(x > 0, x, x * np.float32(0.01)),
        lambda t, x: t * np.where(x > 0, 1.0, 0.01),
        name="widening",
    )
    x = np.ones(3, np.float32)
    f = lambda x: np.sum(bind(widening, np.sin(x)) * 2)  # noqa: E731
    second = lambda x: np.sum(grad(f)(x) ** 2)  # noqa: E731
    for way in (grad(f), grad(second), jacrev(grad(f))):
        assert way(x).dtype == jit(way)(x).dtype == np.float32
        assert np.allclose(way(x), jit(way)(x))

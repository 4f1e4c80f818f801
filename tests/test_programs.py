"""Random programs: whatever is written in supported NumPy, the modes agree.

A program is a list of steps. Each step takes values from a pool and puts its result back, so that
results are used many times over; the end sums what the pool holds.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from litad import (
    LitadError,
    Tape,
    explain,
    grad,
    gradient,
    hvp,
    jacfwd,
    jit,
    jvp,
    trace,
    value_and_grad,
    vjp,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

deterministic = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)


def small(x):
    "Keep values in a range where nothing overflows and differences are accurate."
    return np.tanh(x)


def rows(x):
    "At least one axis and at most three, of at most 24 elements."
    while np.ndim(x) > 3 or np.size(x) > 24:
        x = np.sum(x, axis=0) / 3
    return np.atleast_1d(x)


def same(f):
    "A step of two values of one shape."
    return lambda a, b: f(a, a[::-1] * np.mean(b))


SMOOTH = {
    "sin": lambda a, b: np.sin(a),
    "cos": lambda a, b: np.cos(a * 1.5),
    "tan": lambda a, b: np.tan(small(a)),
    "exp": lambda a, b: np.exp(small(a)),
    "exp2": lambda a, b: np.exp2(small(a)),
    "expm1": lambda a, b: np.expm1(small(a)),
    "log": lambda a, b: np.log(2 + a * a),
    "log2 log10": lambda a, b: np.log2(1 + a * a) - np.log10(2 + np.square(a)),
    "log1p": lambda a, b: np.log1p(a * a),
    "sqrt": lambda a, b: np.sqrt(1 + a**2),
    "cbrt": lambda a, b: np.cbrt(2 + small(a)),
    "reciprocal": lambda a, b: np.reciprocal(2 + small(a)),
    "arctan": lambda a, b: np.arctan(a),
    "arcsin": lambda a, b: np.arcsin(0.7 * small(a)) - np.arccos(0.5 * small(a)),
    "sinh": lambda a, b: np.sinh(small(a)) + np.cosh(small(a)),
    "arcsinh": lambda a, b: np.arcsinh(a) + np.arctanh(0.5 * small(a)),
    "degrees": lambda a, b: np.radians(np.degrees(a) / 2),
    "negative": lambda a, b: -a + (+a) * 0.5,
    "integer power": lambda a, b: a**3 / 10 + a**2 - small(a) ** 1,
    "negative power": lambda a, b: (3 + a * a) ** -2,
    "number to a power": lambda a, b: 1.5 ** small(a),
    "numbers on the left": lambda a, b: 1 - a + 2 * a + 3 / (4 + a * a),
    "transpose": lambda a, b: np.transpose(a) * 0.9,
    "T matmul": lambda a, b: np.ravel(a) @ np.ravel(a[::-1]) / 4,
    "outer": lambda a, b: np.outer(small(a)[:2], small(b)[:3]),
    "matrix product": lambda a, b: np.reshape(a, (-1, 1)) @ np.reshape(b, (1, -1)),
    "vector matrix": lambda a, b: np.ravel(a) @ (np.ones((np.size(a), 3)) / np.size(a)),
    "batched": lambda a, b: np.reshape(a, (1, -1, 1)) @ np.ones((2, 1, 2)),
    "dot": lambda a, b: np.dot(np.ravel(a), np.ravel(small(a))) * b,
    "tensordot": lambda a, b: np.tensordot(np.ravel(a), np.ravel(small(b)), axes=0),
    "reshape": lambda a, b: np.reshape(a, -1) + a.size,
    "flip": lambda a, b: a[::-1] - np.flip(a),
    "expand": lambda a, b: np.expand_dims(a, 0) + np.squeeze(a),
    "broadcast": lambda a, b: np.broadcast_to(a, (2, *a.shape)) * 0.5,
    "concatenate": lambda a, b: np.concatenate([np.ravel(a), np.ravel(b), [0.5]]),
    "stack": lambda a, b: np.stack([a, a * 0.5, np.ones(np.shape(a))], axis=-1),
    "hstack vstack": lambda a, b: np.vstack([np.hstack([np.ravel(a), 1.0]), np.ones(a.size + 1)]),
    "sum": lambda a, b: np.sum(a, axis=-1) / 3 + a.sum(),
    "sum keepdims": lambda a, b: a - np.sum(a, axis=0, keepdims=True) / 4,
    "mean": lambda a, b: np.mean(a, axis=0) + a.mean() * np.mean(b),
    "var": lambda a, b: np.sqrt(a.var(axis=-1) + 1) + np.var(b),
    "std": lambda a, b: np.std(np.stack([np.sum(small(a)), np.mean(b) + 99.0])),
    "repeated index": lambda a, b: a[np.zeros(3, int)],
    "slices": lambda a, b: a[..., 1:] if a.shape[-1] > 1 else a,
    "negative index": lambda a, b: a[-1] * a[0],
    "new axis": lambda a, b: a[None] * 0.8,
    "mask": lambda a, b: np.ravel(a)[np.arange(a.size) % 2 == 0],
    "take": lambda a, b: np.take(a, [0, -1, 0]),
    "array of boxes": lambda a, b: np.array([np.sum(a), np.mean(b)]) * 0.3 + np.ones(2),
    "unpack": lambda a, b: sum(list(a)) * 0.5,
    "methods": lambda a, b: a.copy().reshape(-1).dot(np.ones(a.size)) + a.T.ravel(),
    "hypot": same(lambda a, b: np.hypot(a, 1 + b * b)),
    "arctan2": same(lambda a, b: np.arctan2(a, 2 + small(b))),
    "logaddexp": same(np.logaddexp),
    "logaddexp2": same(np.logaddexp2),
    "power": same(lambda a, b: (1.5 + small(a)) ** small(b)),
    "divide": same(lambda a, b: a / (2 + b * b)),
    "multiply": same(lambda a, b: a * b),
    "subtract": same(lambda a, b: a - b / 2),
}
PIECEWISE = {
    "abs": lambda a, b: np.abs(a) + abs(a) * 0.5,
    "maximum": same(np.maximum),
    "minimum": same(lambda a, b: np.minimum(a, 0.3) + np.fmin(a, b)),
    "where": same(lambda a, b: np.where(a > b, np.sin(a), b)),
    "masked log": lambda a, b: np.where(a > 0, np.log(np.where(a > 0, a, 1.0) + 1), 0.0),
    "untaken": lambda a, b: np.where(a * a > 1e-6, np.log(a * a), 0.0) / 5,
    "max": lambda a, b: np.max(a) - a.min(axis=-1),
    "clip": lambda a, b: np.clip(a, -0.5, 0.7) + a.clip(None, 0.1),
    "branch": lambda a, b: np.sin(a) if np.sum(a) > 0 else 0.5 * a,
    "argmax": lambda a, b: np.ravel(a)[np.argmax(a)] * a,
    "remainder": lambda a, b: a - np.floor(a),
    "sign": lambda a, b: np.sign(a) * a,
}


def steps(table, most=30):
    step = st.tuples(st.sampled_from(sorted(table)), st.integers(0, 40), st.integers(0, 40))
    return st.lists(step, min_size=1, max_size=most)


def program(chosen, table):
    "A function of a vector of four numbers that runs the chosen steps."

    def f(x):
        pool = [x, x[:1] * x[1:], np.reshape(x * 1.3, (2, 2))]
        for name, i, j in chosen:
            new = table[name](rows(pool[i % len(pool)]), rows(pool[j % len(pool)]))
            new = rows(new)
            pool.append(new / (1 + 0.1 * np.sum(new * new)))
        return sum(np.sum(y) / np.size(y) for y in pool)

    return f


points = st.integers(0, 10**6).map(lambda k: np.random.default_rng(k).uniform(-1.5, 1.5, 4))


def close(a, b, rtol):
    scale = max(1.0, np.max(np.abs(b)))
    return np.all(np.abs(np.asarray(a) - np.asarray(b)) <= rtol * scale)


def differences(f, x, h):
    "The gradient by central differences, and how far two step sizes differ."
    e = np.eye(x.size)
    at = lambda h: np.array([(f(x + h * d) - f(x - h * d)) / (2 * h) for d in e])  # noqa: E731
    return at(h), np.max(np.abs(at(h) - at(h / 2)))


@deterministic
@given(steps(SMOOTH | PIECEWISE), points)
def test_modes_agree(chosen, x):
    "reverse = forward = central difference; the value is NumPy's own to the last bit"
    f = program(chosen, SMOOTH | PIECEWISE)
    value, g = value_and_grad(f)(x)
    assert value == f(x)
    assert g.shape == x.shape and np.all(np.isfinite(g))
    for chunk in (1, 3, 8):
        assert close(gradient(f, chunk=chunk)(x), g, 1e-10)
    numeric, doubt = differences(f, x, 1e-6)
    if doubt < 1e-6:  # a difference that straddles a kink says nothing
        assert close(g, numeric, 1e-5)


@deterministic
@given(steps(SMOOTH, 15), points)
def test_second_derivatives_agree(chosen, x):
    "the four nestings of two modes agree, and with a difference of gradients"
    f = program(chosen, SMOOTH)
    v = np.cos(np.arange(4.0))
    over = hvp(f, x, v)
    assert close(grad(lambda y: np.sum(grad(f)(y) * v))(x), over, 1e-9)
    assert close(grad(lambda y: jvp(f, (y,), (v,))[1])(x), over, 1e-9)
    assert close(jacfwd(gradient(f))(x) @ v, over, 1e-9)
    h = 1e-5
    numeric = (grad(f)(x + h * v) - grad(f)(x - h * v)) / (2 * h)
    assert close(over, numeric, 1e-4)


@deterministic
@given(steps(SMOOTH | PIECEWISE, 20), points)
def test_duality(chosen, x):
    "<w, Jv> = <J'w, v> for a program with many results"
    inner = program(chosen, SMOOTH | PIECEWISE)

    def f(x):
        return {"a": np.sin(x) * inner(x), "b": [inner(x[::-1]), x[1:] * 2.0]}

    v = np.sin(np.arange(4.0) + 1)
    _, pushed = jvp(f, (x,), (v,))
    value, pullback = vjp(f, x)
    w = {"a": v * 2, "b": [0.3, np.ones(3)]}
    (pulled,) = pullback(w)
    forward = np.sum(w["a"] * pushed["a"]) + 0.3 * pushed["b"][0] + np.sum(pushed["b"][1])
    assert close(np.sum(pulled * v), forward, 1e-10)
    assert np.array_equal(pullback(w)[0], pulled), "a pullback can be called again"


@deterministic
@given(steps(SMOOTH | PIECEWISE, 20), points)
def test_tape_made_by_hand(chosen, x):
    "a tape made by hand finds what grad finds, to the last bit"
    f = program(chosen, SMOOTH | PIECEWISE)
    g = grad(f)(x)
    tape = Tape()
    u = tape.input(x)
    with tape:
        y = f(u)
    tape.backward(y)
    assert np.array_equal(tape.grad_of(u), g)
    assert tape.num_ops() == len(list(tape.nodes)) - 1


# Traced programs: stores through views of every kind, and what is asked of whole numbers.

VIEWS = {
    "T": lambda v: v.T,
    "transpose": lambda v: np.transpose(v, (1, 0)),
    "reshape": lambda v: v.reshape(-1),
    "reshape of a slice": lambda v: v[1:].reshape(-1),
    "reshape of columns": lambda v: v[:, 1:].reshape(-1),
    "reshape of T": lambda v: v.T.reshape(-1),
    "T of reshape": lambda v: v.reshape(3, 2).T,
    "ravel": lambda v: np.ravel(v),
    "swapaxes": lambda v: v.swapaxes(0, 1),
    "moveaxis": lambda v: np.moveaxis(v, 0, 1),
    "squeeze": lambda v: np.squeeze(v[:, None]),
    "expand_dims": lambda v: np.expand_dims(v, 0),
    "rot90": lambda v: np.rot90(v),
    "flip": lambda v: np.flip(v),
    "slice": lambda v: v[::-1, 1:],
    "copy of T": lambda v: v.T.copy().reshape(-1),
}


@pytest.mark.parametrize("first", ["read", "stored"])
@pytest.mark.parametrize("name", VIEWS)
def test_views_in_a_traced_program(name, first):
    "a store through a view reaches the array, and one into the array its views, as on NumPy"

    def f(x):
        v = x.copy()
        w = VIEWS[name](v)
        if first == "stored":
            w[0] = 7.0 * x[0, 0]
        else:
            v[0, 1] = 7.0 * x[0, 0]
        return np.sum(v**2) + np.sum(w**3)

    x = np.arange(6.0).reshape(2, 3) + 0.5
    assert trace(f, x)(x) == pytest.approx(f(x)) == pytest.approx(jit(f)(x))
    wanted = value_and_grad(f)(x)
    for g in (trace(value_and_grad(f), x), jit(value_and_grad(f))):
        value, slope = g(x)
        assert value == pytest.approx(wanted[0]) and np.allclose(slope, wanted[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.T * 2,
        lambda x: np.cumsum(x.T, axis=0),
        lambda x: x[:, np.array([0, -1, 0])],
        lambda x: np.sum(x),
    ],
)
def test_a_reshape_that_may_be_a_copy(make):
    "where the order in memory is not known, trace refuses the store, and jit leaves it to NumPy"

    def f(x):
        v = make(x)
        v.reshape(-1)[0] = 7.0
        return np.sum(v * v)

    x = np.arange(6.0).reshape(2, 3) + 0.5
    with pytest.raises(LitadError, match="reshape"):
        trace(f, x)
    assert jit(f)(x) == f(x)


@pytest.mark.parametrize("function", [np.mean, np.var, np.std, np.average])
@pytest.mark.parametrize("n", [np.array([[1, 2], [3, 5]]), np.array([True, False, True])])
def test_averages_of_whole_numbers(function, n):
    "they are taken in double precision, and compiled"
    got = jit(lambda n: function(n))(n)
    assert got == pytest.approx(function(n)) and got.dtype == np.float64
    assert not explain(lambda n: function(n), n).fallback
    compared = lambda x: function(x > 0.5) * np.sum(x)  # noqa: E731
    x = np.linspace(0, 1, 5)
    assert np.allclose(trace(grad(compared), x)(x), function(x > 0.5))


def test_a_plain_array_at_a_traced_index():
    "the refusal names the line"
    table = np.arange(5.0)
    with pytest.raises(LitadError, match=r"traced integer(.|\n)*table\[np.argsort"):
        trace(lambda x: table[np.argsort(x)] * x, np.ones(3))


def test_gradients_for_pythons_numbers_beside_single_precision():
    "a Python float is none of single precision, and its gradient is one"
    x = np.float32([1, 2, 3])
    f = lambda x, s: np.sum(x * s)  # noqa: E731
    value, (slope, g) = jit(value_and_grad(f, (0, 1)))(x, 0.5)
    assert value.dtype == slope.dtype == np.float32 and type(g) is float and g == 6.0


@pytest.mark.parametrize(
    "lay", [lambda x: x, lambda x: x.T, lambda x: np.repeat(x, 2, 1)[:, ::2], np.asfortranarray]
)
def test_reshaped_arguments_of_any_order(lay):
    "whether reshape copies is decided by the array that comes in, also after another one came"

    def f(x):
        w = x.reshape(-1)
        w[0] = 9.0
        return np.sum(x)

    def g(x):
        v = x * 1.0
        v.reshape(-1)[1] = 9.0
        return v

    for h in (f, g):
        compiled = jit(h)
        compiled(np.ones((2, 3)))
        compiled(np.ones((3, 2)))
        x, y = (lay(np.arange(6.0).reshape(2, 3)) for _ in range(2))
        assert np.array_equal(compiled(x), h(y)) and np.array_equal(x, y)


def test_stored_values_with_more_axes():
    "NumPy strips leading axes of one element from what is stored; so do programs"

    def f(x, y):
        v = np.zeros_like(y)
        v[::-1] = x[:, None] * 2.0
        v[:1] += np.zeros_like(y)[::-1]
        return np.sum(np.sin(v) * y)

    x, y = np.array([0.3]), np.array([0.7, 0.2])[:1]
    wanted = value_and_grad(f, (0, 1))(x, y)
    for g in (trace(value_and_grad(f, (0, 1)), x, y), jit(value_and_grad(f, (0, 1)))):
        value, slopes = g(x, y)
        assert np.allclose(value, f(x, y)) and np.allclose(wanted[0], value)
        assert all(np.allclose(p, q) for p, q in zip(slopes, wanted[1]))


def test_a_copy_of_a_buffer_takes_in_what_the_buffer_takes_in():
    "also where what it holds so far belongs to an outer transformation"

    def f(x):
        v = np.zeros_like(x)
        v[x > 0] = 0.25
        w = v.copy()
        w[1:] += x[:1]
        return np.sum(w * w) + np.sum(v)

    x = np.array([0.5, -1.0, 2.0])
    assert np.allclose(trace(grad(f), x)(x), grad(f)(x))
    assert np.allclose(jit(grad(f))(x), grad(f)(x))

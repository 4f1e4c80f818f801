"""Taylor mode: all orders from one rule, at the cost of products."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import V, X
from test_coverage import EXAMPLES

import litad
from litad import core, derivative, grad, hessian, jacfwd, jvp
from litad.core import Box, LitadError, fresh_level
from litad.rules import checkpoint, custom_jvp, custom_vjp
from litad.taylor import Series, jet

NUMPY = {u: p for u, p in core.UFUNCS.items() if getattr(np, u.__name__, None) is u and p.push}
UNARY = sorted(u.__name__ for u in NUMPY if u.nin == 1)
BINARY = sorted(u.__name__ for u in NUMPY if u.nin == 2 and u is not np.matmul)


def nested(f, x, order):
    found = []
    for _ in range(order):
        f = derivative(f)
        found.append(f(x))
    return found


def close(a, b, tolerance=1e-11):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    "every unary ufunc, alone and inside a curve, has the derivatives of nested forward mode"
    f = getattr(np, name)
    x = 1.6 if name == "arccosh" else 0.6
    assert close(jet(f, x, 6)[1], nested(f, x, 6))
    curve = lambda t: f(x + 0.1 * np.sin(t))  # noqa: E731
    assert close(jet(curve, 0.3, 4)[1], nested(curve, 0.3, 4))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    "every binary ufunc, with one operand moving and with both"
    f = getattr(np, name)
    for g in (
        lambda t: f(1.3 + 0.2 * np.sin(t), 0.7),
        lambda t: f(1.3, 0.7 + 0.2 * t * t),
        lambda t: f(1.3 + t, 0.7 + 0.3 * np.sin(t)),
    ):
        assert close(jet(g, 0.4, 4)[1], nested(g, 0.4, 4))


M = np.array([[1.0, 2.0], [0.5, 3.0]])
PROGRAMS = {
    "reductions": lambda t: np.mean(np.stack([t, t * t, np.sin(t)])) + np.var(np.stack([t, t**3])),
    "matrices": lambda t: np.sum(
        np.stack([np.stack([t, t * t]), np.stack([1 + t, t])]) @ M @ np.stack([t, t])
    ),
    "outer": lambda t: np.sum(np.outer(np.stack([t, np.exp(t)]), np.stack([t, 2 * t])) ** 2),
    "max": lambda t: np.max(np.stack([t, np.sin(t), t * t])),
    "where": lambda t: chosen(t),
    "branch": lambda t: np.log(t) if t > 0.3 else t,
    "indices": lambda t: np.sum((t * np.arange(4.0))[np.array([1, 3, 3])] ** 3),
    "concatenate": lambda t: np.concatenate([np.stack([t, t]), np.ones(1)])[0] ** 2,
    "power of zero base": lambda t: (t - 0.4) ** 3 + (t - 0.4) ** 2 * np.exp(t),
    "negative power": lambda t: t**-3 + (1 + t) ** 2.5,
    "power of arrays": lambda t: np.sum((t * np.array([1.0, 2.0])) ** np.array([2.0, 0.5])),
    "moving exponent": lambda t: t ** np.sin(t) + 2.0**t,
    "complex": lambda t: np.abs(np.exp(1j * t) + t * 2.0) ** 2 + np.real(np.exp(1j * t)),
    "shape": lambda t: np.sum(
        np.broadcast_to(np.reshape(np.stack([t, t * t]), (2, 1)), (2, 3)).T ** 2
    ),
    "deep": lambda t: np.exp(np.sin(np.sqrt(1 + np.cos(t) ** 2))) / np.cosh(t),
    "stores": lambda t: stored(t),
}


def chosen(t):
    with np.errstate(invalid="ignore"):  # the branch not taken has no value here
        return np.where(t > 0.3, np.log(t), np.sqrt(-t))


def stored(t):
    y = np.zeros(3, like=t) if isinstance(t, Box) else np.zeros(3)
    y[0] = t
    y[1:] = t * t
    y[1:] *= 2.0
    return np.sum(y**2)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_programs(name):
    f = PROGRAMS[name]
    value, found = jet(f, 0.4, 5)
    assert close(value, f(0.4)) and type(value) is float
    assert close(found, nested(f, 0.4, 5))


def test_order_eight():
    for f in (np.exp, np.tanh, np.arctan, lambda x: np.sqrt(1 + x * x), lambda x: x**x, np.log1p):
        assert close(jet(f, 0.6, 8)[1], nested(f, 0.6, 8))


def test_closed_forms():
    order = 20
    assert close(jet(np.exp, 0.3, order)[1], [math.exp(0.3)] * order)
    assert close(
        jet(np.sin, 0.3, order)[1], [math.sin(0.3 + (j + 1) * math.pi / 2) for j in range(order)]
    )
    assert close(
        jet(lambda x: 1 / (1 - x), 0.0, order)[1], [math.factorial(j + 1) for j in range(order)]
    )
    logs = [(-1) ** j * math.factorial(j) / 2 ** (j + 1) for j in range(order)]
    assert close(jet(np.log, 2.0, order)[1], logs)
    assert jet(lambda x: x**3, 0.0, 5) == (0.0, [0.0, 0.0, 6.0, 0.0, 0.0])
    value, terms = jet(np.arctan, 0.0, [1.0] + [0.0] * 8, normalised=True)
    assert close(terms, [1, 0, -1 / 3, 0, 1 / 5, 0, -1 / 7, 0, 1 / 9])


@given(st.integers(0, 10_000))
@settings(derandomize=True, deadline=None, max_examples=25)
def test_curves_of_random_programs(seed):
    "the derivatives along a curve are those of the program after the curve"
    random = np.random.default_rng(seed)
    c = random.uniform(-1, 1, (3, 3))
    steps = random.integers(0, 6, 5)
    moves = [
        lambda x: np.sin(x) + c[0],
        lambda x: x * (c @ x),
        lambda x: x / (2 + x * x),
        lambda x: np.tanh(x) * x[::-1],
        lambda x: np.exp(-x * x),
        lambda x: np.sqrt(1 + x * x) ** 1.5,
    ]

    def f(x):
        for k in steps:
            x = moves[k](x)
        return np.stack([np.sum(x), x[0] * x[1]])

    curve = lambda t: c[0] + c[1] * t + c[2] * t**2 / 2 + t**3 * c[:, 0] / 6  # noqa: E731
    value, found = jet(f, (c[0],), ([c[1], c[2], c[:, 0]],))
    assert close(found, nested(lambda t: f(curve(t)), 0.0, 3), 1e-10)


def test_containers_and_constants():
    def f(p, k, y):
        return {"u": p["a"] ** k * y, "v": (np.sum(p["b"] * y),)}

    at = {"a": 2.0, "b": np.array([1.0, 2.0])}, 3, np.array([0.5, 1.5])
    one = {"a": 1.0, "b": np.array([0.0, -1.0])}, None, np.array([2.0, 0.25])
    two = {"a": 0.5, "b": np.array([1.0, 1.0])}, None, np.array([0.0, 1.0])
    value, (first, second) = jet(f, at, ([one[0], two[0]], None, [one[2], two[2]]))
    expected = jvp(f, at, one)[1]
    assert close(first["u"], expected["u"]) and close(first["v"][0], expected["v"][0])
    assert set(second) == {"u", "v"} and np.shape(second["u"]) == (2,)


def test_shapes_and_dtypes():
    for shape in ((), (0,), (2, 0, 3), (2, 3)):
        value, found = jet(np.sin, (np.full(shape, 0.5),), ([np.ones(shape)] * 3,))
        assert np.shape(value) == shape and all(np.shape(d) == shape for d in found)
    value, found = jet(
        lambda x: np.exp(x) / (1 + x) ** 2 + np.hypot(x, 1.0) ** 1.5, np.float32([0.5, 1]), 5
    )
    assert value.dtype == np.float32 and {d.dtype for d in found} == {np.dtype(np.float32)}
    assert [type(d) for d in jet(np.sin, 1.0, 2)[1]] == [float, float]
    assert all(isinstance(d, np.float32) for d in jet(np.sin, np.float32(1), 3)[1])


def test_results_are_the_callers_own():
    t = np.ones(2)
    value, (first, second) = jet(lambda x: x, (np.zeros(2),), ([t, t],))
    first[0] = 5.0
    assert t.tolist() == [1, 1] and second.tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore")
def test_every_function_of_numpy():
    "along a line, every example of the coverage page has the jet of nested forward mode"
    dx, dv = np.random.default_rng(0).standard_normal((2, 3, 4)) * 0.3
    checked = 0
    for name, examples in EXAMPLES.items():
        f = examples[0]
        line = lambda t, f=f: flat(f(X + t * dx, V + t * dv[0, : len(V)]))  # noqa: E731
        along = lambda g: lambda t: jvp(g, (t,), (1.0,))[1]  # noqa: E731
        try:
            expected = [along(line)(0.0), along(along(line))(0.0)]
        except LitadError:
            continue  # refused in forward mode already
        assert close(jet(line, 0.0, 2)[1], expected, 1e-8), name
        checked += 1
    assert checked > 100


def flat(tree):
    leaves = litad.tree.flatten(tree)[0]
    parts = [(np.real(y), np.imag(y)) if y.dtype.kind == "c" else (y,) for y in leaves]
    return np.concatenate([np.ravel(y) for group in parts for y in group])


def test_bessel_functions_share_their_series():
    special = pytest.importorskip("scipy.special")
    assert close(jet(special.j0, 0.6, 5)[1], nested(special.j0, 0.6, 5), 1e-9)
    assert operations(special.j0, 24) < 9 * operations(special.j0, 12)


def test_other_modes():
    third = lambda x: jet(np.sin, x, 3)[1][2]  # noqa: E731
    assert close(grad(third)(0.3), math.sin(0.3)) and close(derivative(third)(0.3), math.sin(0.3))
    assert close(nested(third, 0.3, 3), nested(np.sin, 0.3, 6)[3:])
    assert close(
        jet(grad(lambda x: x * np.exp(x)), 0.3, 4)[1],
        [(k + 0.3) * math.exp(0.3) for k in (2, 3, 4, 5)],
    )
    x, v = np.array([0.3, 0.8]), np.array([1.0, -2.0])
    f = lambda x: np.sum(np.tanh(x) * x[::-1] ** 2) * x[0]  # noqa: E731
    along = lambda x: jet(f, (x,), ([v, 0 * v],))[1][1]  # noqa: E731
    expected = lambda x: v @ hessian(f)(x) @ v  # noqa: E731
    assert close(along(x), expected(x))
    assert close(grad(along)(x), grad(expected)(x)) and close(jacfwd(along)(x), grad(expected)(x))
    assert close(hessian(along)(x), hessian(expected)(x), 1e-10)
    _, (first,) = jet(hessian(f), (x,), ([v],))
    assert close(first, jvp(hessian(f), (x,), (v,))[1])
    inner = lambda x: jet(lambda y: jet(np.exp, x * y, 2)[1][1], 0.5, 2)[1][1]  # noqa: E731
    assert close(inner(0.7), 0.7**2 * math.exp(0.35)) and close(
        derivative(inner)(0.7), (2 * 0.7 + 0.7**2 * 0.5) * math.exp(0.35)
    )


def test_outer_and_inner_variables_are_not_confused():
    f = lambda x: x * jet(lambda y: x * y * y, 3.0, 2)[1][0]  # noqa: E731
    assert close(jet(f, 2.0, 2)[1], [24.0, 12.0])


def test_rules_of_ones_own():
    @custom_jvp
    def logistic(x):
        return 1 / (1 + np.exp(-x))

    @logistic.defjvp
    def rule(primals, tangents):
        y = logistic(*primals)
        return y, tangents[0] * y * (1 - y)

    @custom_vjp
    def backwards(x):
        return 1 / (1 + np.exp(-x))

    backwards.defvjp(
        lambda x: (backwards(x), x), lambda x, t: (t * backwards(x) * (1 - backwards(x)),)
    )
    expected = nested(lambda x: 0.5 + 0.5 * np.tanh(x / 2), 0.4, 5)
    for f in (logistic, backwards, checkpoint(lambda x: 0.5 + 0.5 * np.tanh(x / 2))):
        assert close(jet(f, 0.4, 5)[1], expected)


class Counted(Box):
    __slots__ = ("value", "level")
    count = 0

    def __init__(self, value, level):
        self.value, self.level = value, level

    def process(self, primitive, operands, parameters):
        Counted.count += 1
        values = [x.value if isinstance(x, Counted) else x for x in operands]
        y = primitive.impl(*values, **parameters)
        return Counted(y, self.level) if y.dtype.kind == "f" else y


Counted.attach = lambda self, value: Counted(value, self.level)


def operations(f, order):
    Counted.count = 0
    jet(f, Counted(np.float64(0.6), fresh_level()), order)
    return Counted.count


@pytest.mark.parametrize(
    "f",
    [np.exp, np.sin, np.tan, np.tanh, np.log, np.sqrt, np.arctan, np.arcsin, np.arcsinh, np.cbrt]
    + [
        lambda x: x * x,
        lambda x: 1 / x,
        lambda x: x**2.5,
        lambda x: x**x,
        lambda x: np.exp(np.sin(x)) * x,
    ],
)
def test_cost_is_quadratic(f):
    "twice the order costs at most four times as much, and forty derivatives are affordable"
    assert operations(f, 40) < 4.4 * operations(f, 20) < 5 * 4.4 * operations(f, 10)
    assert operations(f, 40) < 20 * 40**2


def test_zero_stays_zero():
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))  # noqa: E731
    at, v, zero = np.array([0.0, 4.0]), np.array([1.0, 1.0]), np.zeros(2)
    assert np.isfinite(jet(f, (at,), ([v, zero],))[1]).all()
    rest = np.array([0.0, 1.0])
    assert close(jet(lambda x: np.sum(np.sqrt(x)), (at,), ([rest, zero],))[1], [0.25, -1 / 32])
    with pytest.warns(RuntimeWarning, match="infinite or undefined"):
        jet(np.sqrt, 0.0, 2)


def test_nothing_is_left_behind():
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        kept = []

        def f(x):
            y = np.sin(x) * np.exp(x) ** 2.5
            kept.extend([weakref.ref(x), weakref.ref(y)])
            return y

        jet(f, 0.3, 6)
        assert all(r() is None for r in kept)
        assert not [o for o in gc.get_objects() if isinstance(o, Series)]
    finally:
        gc.enable()


def test_escaped_series_are_refused():
    kept = []
    jet(lambda x: kept.append(x) or x * 2, 1.0, 2)
    with pytest.raises(LitadError, match="had ended"):
        np.sin(kept[0])
    with pytest.raises(LitadError):
        jet(lambda x: x * kept[0], 1.0, 2)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: jet(np.hypot, (3.0, 4.0), ([1.0, 0.0], [1.0])),
        lambda: jet(np.hypot, (3.0, 4.0), ([1.0, 0.0],)),
        lambda: jet(np.hypot, (3.0, 4.0), 2),
        lambda: jet(np.sin, (1.0,), 2.5),
        lambda: jet(np.sin, 1.0, []),
        lambda: jet(np.sin, 1.0, 0),
        lambda: jet(np.sin, 1.0, True),
        lambda: jet(np.sin, 1, 2),
        lambda: jet(np.sin, 1.0, [np.ones(2)]),
        lambda: jet(lambda x: 3.0, 1.0, 2),
        lambda: jet(lambda x: x > 0, 1.0, 2),
        lambda: jet(3.0, 1.0, 2),
    ],
)
def test_refusals(attempt):
    with pytest.raises(litad.LitadError):
        attempt()

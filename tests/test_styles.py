"""What people write: expressions as they stand in NumPy programs and in other libraries' tests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litad import (
    derivative,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

V = np.array([1.1, 2.2, 3.3])
M = np.arange(6.0).reshape(2, 3) + 1.05
S = np.sum
ROWS = np.array([0, 0, 1])

VECTOR = {
    "sum where box mask": lambda x: S(x * x, where=x > 1.5),
    "var mean=": lambda x: np.var(x, mean=np.mean(x, keepdims=True)),
    "var correction": lambda x: np.var(x, correction=1),
    "max initial": lambda x: np.max(x, initial=2.5),
    "nested where": lambda x: S(np.where(x > 2, np.where(x < 3, x**2, x), -x)),
    "clip by arrays": lambda x: S(np.clip(x, [0, 2.5, 0], [5, 5, 2]) * V),
    "floor division": lambda x: S(x // 0.7 * x),
    "remainder": lambda x: S(x % 0.7 * x),
    "remainder of negative": lambda x: S(x % -0.7 * x),
    "remainder by box": lambda x: S(7.5 % x * x),
    "float_power": lambda x: S(np.float_power(x, 2)),
    "powers of integers": lambda x: S(x ** np.array([0, 1, 2])) + S(np.array([1, 2, 3]) ** x),
    "negative base": lambda x: S((-x) ** np.array([3, 1, 2])),
    "mask times": lambda x: S((x > 1.5) * x),
    "inverted mask": lambda x: S(x[~(x > 1.5)] ** 2),
    "True as index": lambda x: S(x[True] ** 2) + S(x[np.True_]) + S(x[False]),
    "bool list": lambda x: S(x[[True, False, True]] ** 2),
    "uint8 index": lambda x: S(x[np.array([0, 0, 2], np.uint8)] ** 2),
    "0-d index": lambda x: x[np.array(1)] ** 2 * x[np.int8(-1)],
    "empty split": lambda x: S(np.split(x, [1, 1, 5])[2] ** 2),
    "stack of anything": lambda x: S(np.stack([x[0], 1, np.float32(2), x[1] ** 2])),
    "vstack with list": lambda x: S(np.vstack([x, [1, 2, 3]]) ** 2),
    "column_stack": lambda x: S(np.column_stack([x, V]) ** 3),
    "squeeze": lambda x: S(np.squeeze(x[None, :, None]) ** 2),
    "vector batch": lambda x: S((x @ np.ones((4, 3, 2))) ** 2),
    "batch vector": lambda x: S((np.arange(24.0).reshape(4, 2, 3) @ x) ** 2),
    "broadcast batch": lambda x: S((np.broadcast_to(x, (4, 2, 3)) @ V) ** 2),
    "outer": lambda x: S(np.outer(x, x) ** 2) + S(np.multiply.outer(x, x) ** 3),
    "three lengths": lambda x: np.hypot(np.hypot(x[0], x[1]), x[2]),
    "bincount weights": lambda x: S(np.bincount([0, 2, 0], x, 5) ** 2),
    "log-sum-exp": lambda x: np.log(S(np.exp(x - np.max(x)))) + np.max(x),
    "softmax": lambda x: (lambda e: S(e / S(e) * V))(np.exp(x - x.max())),
    "logistic loss": lambda x: np.mean(np.logaddexp(0, -V * x)),
    "huber": lambda x: S(np.where(np.abs(x - 2) < 0.5, 0.5 * (x - 2) ** 2, np.abs(x - 2) - 0.1)),
    "relu net": lambda x: S(np.maximum(0, np.outer(x, V) - 3) @ V),
    "polynomial": lambda x: S(x * (x * (x * 2 - 3) + 4) - 5),
    "finite sums": lambda x: S((x[1:] - x[:-1]) ** 2) + S(x[2:] - 2 * x[1:-1] + x[:-2]),
    "normalise": lambda x: S((x - x.mean()) / x.std() * V),
    "trapezoid": lambda x: S((x[1:] + x[:-1]) * np.diff(V) / 2),
    "quadratic form": lambda x: x @ np.outer(V, V) @ x / (x @ x),
    "angle between": lambda x: np.arccos(x @ [1.0, 1, 0] / np.sqrt((x @ x) * 2)),
    "gaussian": lambda x: S(np.exp(-0.5 * ((x - V[::-1]) / x[0]) ** 2) / (x[0] * 2.5)),
    "complex polar": lambda x: S(np.abs(x * np.exp(1j * x)) ** 2),
    "complex real": lambda x: S((x * np.exp(1j * x)).real),
    "complex division": lambda x: S(np.real((x + 1j) / (x * 2 - 1j))),
    "complex powers": lambda x: S(np.real((x + 1j) ** 2.5 + (x + 1j) ** (x * 1j))),
    "complex where": lambda x: S(np.imag(np.where(x > 1.5, x * 1j, x + 2j))),
    "complex outer": lambda x: S(np.imag(np.outer(x * 1j, x + 2j))),
    "complex statistics": lambda x: np.var(x * V * 1j) + np.abs(np.mean(x * 1j + 1)),
    "complex index": lambda x: S(np.abs((x * 1j + 1)[[0, 0, 1]])),
    "complex angle": lambda x: S(np.angle(-x + 0.5j) + np.angle(x + 1j)),
    "complex vdot": lambda x: np.real(np.vdot(x * 1j + 1, x * (2 + 1j))),
    "complex stack": lambda x: S(np.abs(np.stack([x, x * 1j + 1])[:, ::2])),
    "complex astype": lambda x: S(np.abs(x.astype(complex) + 1j)),
    "complex matmul": lambda x: np.imag((x * 1j) @ (x + 2j)),
    "complex sign": lambda x: S(np.real(np.sign(x + 1j))),
    "complex arcsinh": lambda x: S(np.real(np.arcsinh(x + 1j))),
}
for _name in (
    "sin cos tan exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal arcsin arccos arctan "
    "sinh cosh tanh arccosh arctanh"
).split():
    _f = getattr(np, _name)
    VECTOR[f"complex {_name}"] = lambda x, f=_f: S(
        np.real(f(x * 0.3 + 0.4j)) + np.imag(f(x * 0.2j - 0.6))
    )
MATRIX = {
    "mean keepdims where": lambda x: S(np.mean(x, axis=1, keepdims=True, where=M > 2) ** 2),
    "std over both axes": lambda x: np.std(x, axis=(0, 1)),
    "max over both axes": lambda x: np.max(x, axis=(0, 1)) * x[0, 0],
    "gather": lambda x: S(x[np.arange(2), np.argmax(x, 1)] ** 2),
    "mask": lambda x: S(x[x > 2.5] ** 2),
    "mask of rows": lambda x: S(x[np.array([True, False])] ** 2),
    "mask beside integers": lambda x: S(x[np.array([True, True]), [0, 0]] ** 2),
    "integers beside mask": lambda x: S(x[[0, 0, 0], np.array([True, True, True])] ** 2),
    "new axis beside integers": lambda x: S(x[None, :, [0, 0, 2]] ** 2),
    "arrays around a slice": lambda x: S(np.stack([x, x])[[0, 1, 1], :, [0, 0, 0]] ** 2),
    "ellipsis and integers": lambda x: S(x[..., [0, 0]] ** 2),
    "negative steps": lambda x: S(x[::-1, ::-2] * M[:, ::-2]),
    "arrays of one": lambda x: S(x[np.array([[0]]), np.array([[1], [1]])] ** 2),
    "tuples in tuples": lambda x: S(x[((0, 0), (1, 1))] ** 2) + S(x[(0, 0), :] ** 2),
    "rows with repeats": lambda x: S(x[ROWS] * np.arange(9.0).reshape(3, 3)),
    "take": lambda x: S(np.take(x, [[0, 0], [1, 2]]) ** 2) + S(np.take(x, -1, axis=-1) ** 2),
    "concatenate last axis": lambda x: S(np.concatenate([x, 2 * x], -1)[..., ::2] ** 2),
    "stack last axis": lambda x: S(np.stack([x, 2 * x], -1)[..., 0] ** 2),
    "hstack": lambda x: S(np.hstack([x, x[:, :1]]) ** 2),
    "reshape": lambda x: S(x.reshape((3, -1)) ** 2) + S(x.reshape(np.int64(6))[::2]),
    "transpose list": lambda x: S(x.transpose([1, 0])[0] ** 2),
    "moveaxis": lambda x: S(np.moveaxis(x[None], [0, 2], [2, 0])[0] ** 2),
    "batched product": lambda x: S((x @ np.ones((4, 3, 2))) ** 2) + S((x[None] @ x.T[None]) ** 2),
    "list product": lambda x: S(([[1, 2], [3, 4]] @ x) ** 2),
    "dot of higher ranks": lambda x: S(np.dot(np.ones((2, 2, 3)), np.stack([x.T, x.T])) ** 2),
    "inner of higher ranks": lambda x: S(np.inner(x, np.ones((2, 2, 3))) ** 2),
    "tensordot": lambda x: S(np.tensordot(x, M.T, 1) ** 2) + S(np.tensordot(x, M, (1, 1)) ** 2),
    "frobenius": lambda x: np.sqrt(S(x**2)),
    "centred covariance": lambda x: S(((x - x.mean(0)).T @ (x - x.mean(0))) ** 2),
    "row softmax": lambda x: S(np.log(S(np.exp(x), axis=1)) - x[[0, 1], [2, 0]]),
    "pairwise distances": lambda x: S(np.sqrt(S((x[:, None] - x[None]) ** 2, axis=-1) + 1)),
    "layers": lambda x: S(np.tanh(np.tanh(x @ M.T) @ M + V) ** 2),
}


def differences(f, x, h=1e-6):
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in steps]).reshape(x.shape)


everything = [pytest.param(f, V, id=name) for name, f in VECTOR.items()]
everything += [pytest.param(f, M, id=name) for name, f in MATRIX.items()]
expressions = pytest.mark.parametrize("f, x", everything)


@expressions
def test_expression(f, x):
    "NumPy's value; gradient = forward gradient = central difference"
    value, g = value_and_grad(f)(x)
    assert value == pytest.approx(f(x), rel=1e-15)
    assert g.dtype == np.float64 and g.shape == x.shape
    assert g == pytest.approx(differences(f, x), rel=1e-6, abs=1e-7)
    for chunk in (1, 4):
        assert gradient(f, chunk=chunk)(x) == pytest.approx(g, rel=1e-11, abs=1e-12)


@expressions
def test_curvature_of_expression(f, x):
    "the Hessian: symmetric, the same by two nestings, and a difference of gradients"
    v = np.cos(np.arange(x.size)).reshape(x.shape)
    H = hessian(f)(x).reshape(x.size, x.size)
    assert H == pytest.approx(H.T, rel=1e-9, abs=1e-9)
    over = hvp(f, x, v)
    assert over.ravel() == pytest.approx(H @ v.ravel(), rel=1e-9, abs=1e-9)
    assert vjp(grad(f), x)[1](v)[0] == pytest.approx(over, rel=1e-9, abs=1e-9)
    h = 1e-6
    numeric = (grad(f)(x + h * v) - grad(f)(x - h * v)) / (2 * h)
    assert over == pytest.approx(numeric, rel=1e-5, abs=1e-5)


def test_two_layer_network():
    "a network with its parameters in a dict: as many gradients, each checked in one direction"
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((8, 4)), rng.integers(0, 3, 8)
    p = {
        "layers": [
            {"W": rng.standard_normal((4, 5)), "b": np.zeros(5), "name": "hidden"},
            {"W": rng.standard_normal((5, 3)), "b": np.zeros(3), "name": "output"},
        ]
    }

    def loss(p, x, labels):
        for layer in p["layers"]:
            x = x @ layer["W"] + layer["b"]
            if layer["name"] == "hidden":
                x = np.tanh(x)
        x = x - np.max(x, axis=1, keepdims=True)
        logs = x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))
        return -np.mean(logs[np.arange(len(labels)), labels])

    value, g = value_and_grad(loss)(p, x, labels)
    forward = gradient(loss, chunk=16)(p, x, labels)
    for k, name in ((0, "W"), (0, "b"), (1, "W"), (1, "b")):
        assert g["layers"][k][name] == pytest.approx(forward["layers"][k][name], abs=1e-13)
        direction = rng.standard_normal(g["layers"][k][name].shape)

        def moved(h, k=k, name=name, direction=direction):
            q = {"layers": [dict(layer) for layer in p["layers"]]}
            q["layers"][k][name] = q["layers"][k][name] + h * direction
            return loss(q, x, labels)

        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
        assert np.sum(g["layers"][k][name] * direction) == pytest.approx(slope, abs=1e-8)
    assert g["layers"][0]["name"] is None and value == pytest.approx(loss(p, x, labels))


def test_solvers_in_the_loop():
    "Newton's method for a root, and its implicit derivative"

    def root(a):
        y = 1.0
        for _ in range(20):
            y = y - (y**3 + y - a) / (3 * y**2 + 1)
        return y

    y = root(2.5)
    for d in (derivative, grad):
        assert d(root)(2.5) == pytest.approx(1 / (3 * y**2 + 1))
        second = -6 * y / (3 * y**2 + 1) ** 3
        assert d(d(root))(2.5) == pytest.approx(second)


def test_inner_gradient_descent():
    "a gradient through an optimiser that takes gradients itself"

    def tuned(rate):
        w = np.zeros(3)
        for _ in range(5):
            w = w - rate * grad(lambda w: S((w - V) ** 2))(w)
        return S((w - V) ** 2)

    exact = lambda r: 10 * (1 - 2 * r) ** 9 * -2 * S(V**2)  # noqa: E731
    for d in (derivative, grad):
        assert d(tuned)(0.1) == pytest.approx(exact(0.1))


def test_identities_of_the_transformations():
    "jvp is linear in the tangent, vjp in the cotangent; jacobians are their matrices"
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[2]), x @ x, x[1] / x[2]])  # noqa: E731
    a, b, c, d = (np.random.default_rng(k).standard_normal(n) for k, n in enumerate((3, 3, 4, 4)))
    J = jacfwd(f)(V)
    assert jacrev(f)(V) == pytest.approx(J, rel=1e-13)
    push = lambda t: jvp(f, (V,), (t,))[1]  # noqa: E731
    pull = lambda t: vjp(f, V)[1](t)[0]  # noqa: E731
    assert push(2 * a - 3 * b) == pytest.approx(2 * push(a) - 3 * push(b))
    assert pull(2 * c - 3 * d) == pytest.approx(2 * pull(c) - 3 * pull(d))
    assert push(a) == pytest.approx(J @ a) and pull(c) == pytest.approx(c @ J)
    g = lambda y: np.array([S(y**2), y[0] * y[3]])  # noqa: E731
    chained = jacrev(lambda x: g(f(x)))(V)
    assert chained == pytest.approx(jacfwd(g)(f(V)) @ J)


def test_derivatives_of_products_and_quotients():
    u, v = np.sin, np.exp
    x = 0.7
    for d in (derivative, grad):
        product, quotient = d(lambda x: u(x) * v(x))(x), d(lambda x: u(x) / v(x))(x)
        assert product == pytest.approx(d(u)(x) * v(x) + u(x) * d(v)(x))
        assert quotient == pytest.approx((d(u)(x) * v(x) - u(x) * d(v)(x)) / v(x) ** 2)
        assert d(lambda x: u(v(x)))(x) == pytest.approx(d(u)(v(x)) * d(v)(x))
    assert derivative(lambda x: x**math.e)(2.0) == pytest.approx(math.e * 2 ** (math.e - 1))


def test_large_jacobian_of_a_sparse_map():
    "a tridiagonal map: both modes find its three diagonals and nothing else"
    x = np.linspace(0, 1, 60)
    f = lambda u: np.concatenate([u[:1], u[1:-1] ** 2 + u[:-2] - u[2:], u[-1:]])  # noqa: E731
    expected = np.diag(np.r_[1.0, 2 * x[1:-1], 1.0])
    expected[np.arange(1, 59), np.arange(0, 58)] = 1.0
    expected[np.arange(1, 59), np.arange(2, 60)] = -1.0
    for way in (jacfwd, jacrev):
        for chunk in (7, 60):
            assert way(f, chunk=chunk)(x) == pytest.approx(expected)

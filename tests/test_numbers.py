"""The numbers that must hold: each one worked out elsewhere, by hand or by another program."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litad import (
    Dual,
    Tape,
    derivative,
    grad,
    gradient,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)

both_modes = pytest.mark.parametrize("d", [derivative, grad])
jacobians = pytest.mark.parametrize("jacobian", [jacfwd, jacrev])


def by_hand(f, x):
    "The derivative of f by a dual number made by hand."
    return f(Dual.variable(x)).deriv


def on_tape(f, *xs):
    "The value of f and its gradient by a tape made by hand."
    tape = Tape()
    inputs = [tape.input(x) for x in xs]
    with tape:
        y = f(*inputs)
    tape.backward(y)
    return tape.value(y), *[tape.grad_of(x) for x in inputs]


every_way = pytest.mark.parametrize(
    "d", [derivative, grad, lambda f: lambda x: by_hand(f, x), lambda f: lambda x: on_tape(f, x)[1]]
)


@every_way
def test_parabola(d):
    assert d(lambda x: 3 * x**2 - 2 * x + 5)(4.0) == 22.0


@every_way
def test_sine_times_cosine(d):
    assert d(lambda x: np.sin(x) * np.cos(x))(0.0) == 1.0


@pytest.mark.parametrize("point, expected", [((1.0, 1.0), (0, 0, 0)), ((0.0, 0.0), (1, -2, 0))])
def test_rosenbrock(point, expected):
    def rosenbrock(x, y):
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    value, slopes = value_and_grad(rosenbrock, argnums=(0, 1))(*point)
    assert (value, *slopes) == expected
    assert on_tape(rosenbrock, *point) == expected
    assert tuple(derivative(rosenbrock, k)(*point) for k in (0, 1)) == expected[1:]


def test_squared_residual():
    def loss(w1, w2, x, y):
        return (w1 * x + w2 * x**2 - y) ** 2

    point = (1.0, 0.5, 2.0, 7.0)
    assert value_and_grad(loss, argnums=(0, 1, 2, 3))(*point) == (9.0, (-12.0, -24.0, -18.0, 6.0))
    assert on_tape(loss, *point) == (9.0, -12.0, -24.0, -18.0, 6.0)


def test_gradient_descent():
    x = np.linspace(-2, 2, 21)
    y = 0.3 * x + 1.5 * x**2

    def loss(w1, w2):
        return np.mean((w1 * x + w2 * x**2 - y) ** 2)

    w1, w2, history = 0.0, 0.0, []
    for _ in range(200):
        value, (g1, g2) = value_and_grad(loss, argnums=(0, 1))(w1, w2)
        history.append((w1, w2, value))  # the weights before the update
        w1, w2 = w1 - 0.001 * g1, w2 - 0.001 * g2
    assert len(history) == 200
    assert history[0] == (0.0, 0.0, pytest.approx(8.8176, abs=1e-12))
    assert history[-1] == pytest.approx((0.132800, 1.179182, 0.438316), abs=5e-7)
    assert all(type(x) is float for row in history for x in row)


def test_three_variables():
    def f(x, y, z):
        return x**2 + 2 * y * z

    assert value_and_grad(f, (0, 1, 2))(1.0, 2.0, 3.0) == (13.0, (2.0, 6.0, 4.0))
    assert on_tape(f, 1.0, 2.0, 3.0) == (13.0, 2.0, 6.0, 4.0)
    assert gradient(f, (0, 1, 2))(1.0, 2.0, 3.0) == (2.0, 6.0, 4.0)


def test_small_tapes():
    assert on_tape(lambda x, y: x**2 * y, 3.0, 4.0)[1:] == (24.0, 9.0)
    assert on_tape(lambda x: (x + x) * x, 3.0)[1] == 12.0
    assert on_tape(lambda x: x * x, 3.0) == (9.0, 6.0)


@every_way
def test_sigmoid(d):
    assert d(lambda x: 1 / (1 + np.exp(-x)))(0.3) == pytest.approx(0.2444583117, abs=1e-10)


def test_printed_tape_lists_the_operations_in_order():
    tape = Tape()
    x, y = tape.input(3.0, "x"), tape.input(4.0, "y")
    with tape:
        z = np.exp(x * y) + x
    tape.backward(z)
    operations = ["multiply", "exp", "add"]
    assert [node.operation for node in tape.nodes] == ["input", "input", *operations]
    assert [node.operands for node in tape.nodes][2:] == [("x", "y"), ("v0",), ("v1", "x")]
    assert [node.value for node in tape.nodes][:3] == [3.0, 4.0, 12.0]
    assert [node.adjoint for node in tape.nodes][-1] == 1.0
    text = repr(tape)
    places = [text.index(name) for name in ("multiply", "exp", "add")]
    assert places == sorted(places)


@every_way
def test_composite_functions(d):
    assert d(lambda x: np.sin(x**2))(1.0) == pytest.approx(2 * math.cos(1), abs=1e-15)
    assert d(lambda x: np.exp(-(x**2) / 2))(1.0) == pytest.approx(-0.606531, abs=5e-7)
    assert d(lambda t: (2 * t) ** t)(1.0) == pytest.approx(2 + 2 * math.log(2), abs=1e-14)


def test_dual_numbers_by_hand():
    y = np.exp(-(Dual.variable(1.0) ** 2) / 2)
    assert (y.value, y.deriv) == pytest.approx((0.606531, -0.606531), abs=5e-7)
    y = Dual.variable(3.0) * Dual.constant(2.0) + 1
    assert (y.value, y.deriv) == (7.0, 2.0)
    assert (Dual(3.0, 0.5) * 4).deriv == 2.0


@both_modes
def test_power_in_both_operands(d):
    assert d(lambda x: x**3.0)(2.0) == pytest.approx(12)
    assert d(lambda y: 2.0**y)(3.0) == pytest.approx(8 * math.log(2))
    slopes = grad(lambda x, y: x**y, (0, 1))(2.0, 3.0)
    assert slopes == pytest.approx((12, 8 * math.log(2)))


def test_gradient_and_jacobians():
    f = lambda x: x[0] ** 2 + 2 * x[1] ** 2 + x[0] * x[1]  # noqa: E731
    for g in (grad, gradient):
        assert g(f)(np.array([1.0, 2.0])).tolist() == [4.0, 9.0]
    g = lambda x: np.stack([x[0] + x[1], x[0] * x[1]])  # noqa: E731
    for jacobian in (jacfwd, jacrev):
        assert jacobian(g)(np.array([2.0, 3.0])).tolist() == [[1.0, 1.0], [3.0, 2.0]]
    assert grad(lambda x, y: x * y + x**2, (0, 1))(2.0, 3.0) == (7.0, 2.0)


@jacobians
def test_rotation(jacobian):
    def rotate(v, angle=0.5):
        c, s = np.cos(angle), np.sin(angle)
        return np.array([c * v[0] - s * v[1], s * v[0] + c * v[1]])

    expected = [[0.87758, -0.47943], [0.47943, 0.87758]]
    assert jacobian(rotate)(np.array([1.0, 2.0])) == pytest.approx(np.array(expected), abs=5e-6)


@pytest.mark.parametrize("n, chunk, passes", [(20, 8, 3), (16, 8, 2), (5, 8, 1), (3, 1, 3)])
@pytest.mark.parametrize("way", [gradient, jacfwd])
def test_chunks_count_evaluations(way, n, chunk, passes):
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(x**2)

    x = np.arange(n) + 1.0
    assert way(f, chunk=chunk)(x).tolist() == (2 * x).tolist()
    assert len(calls) == passes


def test_nesting_keeps_perturbations_apart():
    for outer in (derivative, grad, gradient, jacfwd, jacrev):
        for inner in (derivative, grad, gradient, jacfwd, jacrev):
            slope = outer(lambda x, inner=inner: x * inner(lambda y: x + y)(1.0))(1.0)
            assert slope == 1.0, (outer, inner)
    assert grad(grad(grad(np.sin)))(0.0) == -1.0
    assert derivative(derivative(derivative(lambda x: x**3)))(5.0) == 6.0


def test_hessian_of_rosenbrock():
    f = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2  # noqa: E731
    expected = np.array([[802.0, -400.0], [-400.0, 200.0]])
    assert hessian(f)(np.ones(2)) == pytest.approx(expected, abs=1e-10)


def runge_kutta(slope, u, dt, steps):
    for _ in range(steps):
        k1 = slope(u)
        k2 = slope(u + dt / 2 * k1)
        k3 = slope(u + dt / 2 * k2)
        k4 = slope(u + dt * k3)
        u = u + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return u


@both_modes
def test_decay_sensitivity(d):
    f = lambda p: runge_kutta(lambda u: -p * u, 1.0, 1e-3, 1000)  # noqa: E731
    assert d(f)(1.0) == pytest.approx(-1 / math.e, abs=1e-6)


LOTKA = (0.145848305, 4.373066703)
LOTKA_JACOBIAN = np.array(
    [
        [0.0874868978, -0.4902193056, -1.1142091791, 0.3427748496],
        [0.4865505711, -2.9146936568, 6.2052693038, -3.7297812521],
    ]
)


def lotka_volterra(p):
    def slope(u):
        x, y = u
        return np.stack([p[0] * x - p[1] * x * y, p[2] * x * y - p[3] * y])

    return runge_kutta(slope, np.array([10.0, 5.0]), 0.01, 100)


@jacobians
def test_lotka_volterra_sensitivities(jacobian):
    p = np.array([1.5, 1.0, 0.3, 0.8])
    assert lotka_volterra(p) == pytest.approx(np.array(LOTKA), abs=1e-8)
    assert jacobian(lotka_volterra)(p) == pytest.approx(LOTKA_JACOBIAN, abs=1e-8)


def test_lotka_volterra_row_and_column_agree():
    p = np.array([1.5, 1.0, 0.3, 0.8])
    value, column = jvp(lotka_volterra, (p,), (np.array([0.0, 0.0, 1.0, 0.0]),))
    again, pullback = vjp(lotka_volterra, p)
    (row,) = pullback(np.array([0.0, 1.0]))
    assert value.tolist() == again.tolist()
    assert column == pytest.approx(LOTKA_JACOBIAN[:, 2], abs=1e-8)
    assert row == pytest.approx(LOTKA_JACOBIAN[1], abs=1e-8)

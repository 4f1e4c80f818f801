"""Minima, roots and least squares: exact slopes in, derivatives of the answer out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from laws import check_first, check_second

from litad import LitadError, derivative, grad, jacfwd
from litad.optim import least_squares, minimize, root

A = np.array([1.0, -0.5])
TIMES = np.linspace(0, 3, 9)


def bowl(x, a):
    return np.sum((x - a) ** 4) + np.sum((x - a) ** 2) + x[0] * x[1]


def decay(p, y):
    return p[0] * np.exp(-p[1] * TIMES) - y


CALLS = {
    "minimize": lambda a: minimize(bowl, np.zeros(2), (a,)).x,
    "root": lambda a: root(lambda x, a: x**3 + x - a * x[::-1] - 1, np.ones(2), (a,)).x,
    "least_squares": lambda a: (
        least_squares(decay, np.ones(2), args=(2 * np.exp(-TIMES) + a[0] * TIMES / 9 + a[1],)).x
    ),
    "cauchy": lambda a: (
        least_squares(
            decay, np.ones(2), args=(2 * np.exp(-TIMES) + a[0] * TIMES / 9 + a[1],), loss="soft_l1"
        ).x
    ),
    "bound": lambda a: minimize(bowl, np.ones(2) * 3, (a,), bounds=[(2.0, None), (None, None)]).x,
    "constraint": lambda a: (
        minimize(
            bowl, np.ones(2), (a,), constraints={"type": "eq", "fun": lambda v: v[0] + v[1] - 1}
        ).x
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_first_order(name):
    check_first(CALLS[name], [A], np.random.default_rng(1), rtol=1e-5)


@pytest.mark.parametrize("name", ["minimize", "root", "least_squares"])
def test_second_order(name):
    check_second(CALLS[name], [A], np.random.default_rng(2), agree=1e-8, rtol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        "BFGS",
        "L-BFGS-B",
        "Newton-CG",
        "trust-ncg",
        "trust-exact",
        "trust-krylov",
        "SLSQP",
        "Nelder-Mead",
        "Powell",
        "CG",
        "TNC",
        "dogleg",
    ],
)
def test_methods(method):
    f = lambda x: np.sum((x - A) ** 2) + np.sum(np.exp(x))  # noqa: E731
    found = minimize(f, np.zeros(2), method=method)
    assert np.allclose(grad(f)(found.x), 0, atol=1e-10)


def test_containers_and_compiled():
    f = lambda p: (p["a"] - 1) ** 2 + np.sum((p["b"] - 2) ** 2)  # noqa: E731
    for compiled in (False, True):
        found = minimize(f, {"a": 0.0, "b": np.zeros(3)}, jit=compiled).x
        assert type(found["a"]) is float and np.allclose(found["b"], 2)


def test_sparse_root():
    f = lambda u: np.concatenate([u[:1], u[2:] - 2 * u[1:-1] + u[:-2] + 0.01, u[-1:]])  # noqa: E731
    assert np.allclose(root(f, np.ones(30), sparse=True).x, root(f, np.ones(30)).x, atol=1e-12)


def test_refusals():
    with pytest.raises(LitadError, match="no loss of this name"):
        least_squares(decay, np.ones(2), args=(TIMES,), loss="l1")
    with pytest.raises(LitadError, match="found no solution"):
        jacfwd(lambda a: root(lambda x, a: x**2 + a, 1.0, a).x)(1.0)


def test_arguments_in_scipys_order():
    "What SciPy takes by position, and a Jacobian by differences, which is not needed."
    from litad.scipy.optimize import brentq, toms748

    residual = lambda p: np.stack([p[0] - 1, 10 * (p[1] - p[0] ** 2)])  # noqa: E731
    for given in ((), ("2-point",), ("cs", (-5, 5), "trf")):
        assert np.allclose(least_squares(residual, np.zeros(2), *given).x, 1.0)
    assert np.allclose(least_squares(residual, np.zeros(2), jac="3-point").x, 1.0)
    f = lambda x, a: x * x - a  # noqa: E731
    assert np.isclose(brentq(f, 0, 3, (2.0,), 1e-12, 1e-12, 200), np.sqrt(2))
    root, report = brentq(f, 0, 3, (2.0,), 1e-12, 1e-12, 200, True)
    assert report.converged and np.isclose(root, np.sqrt(2))
    slope = derivative(lambda a: toms748(f, 0, 3, (a,), 1))(2.0)
    assert np.isclose(slope, 0.5 / np.sqrt(2))


def test_parameters_of_very_different_size_keep_their_digits():
    path = Path(__file__).parent / "data" / "nist_strd_more.json"
    problem = json.loads(path.read_text())["datasets"]["Roszman1"]
    x, y = np.array(problem["x"]), np.array(problem["y"])
    residual = lambda p: p[0] - p[1] * x - np.arctan(p[2] / (x - p[3])) / np.pi - y  # noqa: E731
    for start in ("start1", "start2"):
        found = least_squares(residual, problem[start])
        assert np.allclose(np.asarray(found.x), problem["certified"], rtol=1e-9, atol=0)

"""Jacobians that are given, states between the ends of steps, names and warnings of all methods."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

from litad import LitadError, derivative, grad, jacrev, jit
from litad.ode import odeint, solve_ivp


def _reaction(t, y):
    a, b, c = y
    return np.stack([-0.04 * a + 1e4 * b * c, 0.04 * a - 1e4 * b * c - 3e7 * b * b, 3e7 * b * b])


def _reaction_jacobian(t, y):
    a, b, c = y
    return [
        [-0.04, 1e4 * c, 1e4 * b],
        [0.04, -1e4 * c - 6e7 * b, -1e4 * b],
        [0.0, 6e7 * b, 0.0],
    ]


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA", "kvaerno5", "rosenbrock23"])
def test_a_given_jacobian_is_used(method):
    calls = []

    def jac(t, y):
        calls.append(t)
        return _reaction_jacobian(t, y)

    options = {"method": method, "rtol": 1e-6, "atol": 1e-10}
    found = solve_ivp(_reaction, (0, 10), [1.0, 0, 0], jac=jac, **options)
    usual = solve_ivp(_reaction, (0, 10), [1.0, 0, 0], **options)
    assert found.success and np.allclose(found.last, usual.last, rtol=1e-9, atol=1e-14)
    assert len(calls) >= (found.accepted if method != "LSODA" else 1)
    solve = jit(lambda y: solve_ivp(_reaction, (0, 10), y, jac=_reaction_jacobian, **options).last)
    assert np.allclose(solve(np.array([1.0, 0, 0])), found.last, rtol=1e-5, atol=1e-11)


@pytest.mark.parametrize("kind", ["array", "list", "sparse", "callable", "band"])
def test_kinds_of_jacobians(kind):
    from scipy.sparse import csr_array

    a = np.array([[-2.0, 1.0, 0.0], [1.0, -2.0, 1.0], [0.0, 1.0, -2.0]])
    packed = np.array([[0.0, 1.0, 1.0], [-2.0, -2.0, -2.0], [1.0, 1.0, 0.0]])
    jac = {
        "array": a,
        "list": a.tolist(),
        "sparse": csr_array(a),
        "callable": lambda t, y: csr_array(a),
        "band": packed,
    }[kind]
    band = {"lband": 1, "uband": 1} if kind == "band" else {}
    y0 = np.array([1.0, 2.0, 3.0])

    def f(y0):
        return solve_ivp(
            lambda t, y: a @ y, (0, 1), y0, "BDF", rtol=1e-9, atol=1e-9, jac=jac, **band
        ).last

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(f(y0), scipy.linalg.expm(a) @ y0, rtol=1e-8)
        assert np.allclose(jit(f)(y0), scipy.linalg.expm(a) @ y0, rtol=1e-8)
        assert np.allclose(jacrev(f)(y0), scipy.linalg.expm(a), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("method", ["rodas5p", "kvaerno5"])
def test_sensitivities_with_a_given_jacobian(method):
    "A Rosenbrock method differentiates through it; Newton's iteration only searches with it."

    def last(p, **given):
        def rate(t, y):
            return -p * y * y

        return solve_ivp(rate, (0, 2), [1.0], method, rtol=1e-9, atol=1e-11, **given).last[0]

    def guided(p):
        return last(p, jac=lambda t, y: np.reshape(-2 * p * y, (1, 1)))

    def rough(p):
        return last(p, jac=lambda t, y: np.array([[-2.5]]))

    exact = -2 / (1 + 2 * 1.5) ** 2
    for f in (guided, rough) if method == "kvaerno5" else (guided,):
        for mode in (derivative, grad, lambda f: jit(grad(f)), lambda f: jit(derivative(f))):
            assert abs(mode(f)(1.5) - exact) < 1e-8
    assert abs(derivative(derivative(guided))(1.5) - 8 / (1 + 3) ** 3) < 1e-6


def test_patterns_are_used():
    n = 80
    pattern = sum(np.eye(n, k=k) for k in (-1, 0, 1))
    seen = []

    def rate(t, u):
        seen.append(np.shape(getattr(u, "tangent", None)))
        padded = np.concatenate([np.zeros(1), u, np.zeros(1)])
        return (padded[2:] - 2 * padded[1:-1] + padded[:-2]) * n

    y0 = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
    options = {"method": "Radau", "rtol": 1e-8, "atol": 1e-8}
    usual = solve_ivp(rate, (0, 1), y0, **options).last
    for given in ({"jac_sparsity": pattern}, {"lband": 1, "uband": 1}):

        def f(y, g=given):
            return solve_ivp(rate, (0, 1), y, **options, **g).last

        assert np.allclose(f(y0), usual, rtol=1e-9) and np.allclose(jit(f)(y0), usual, rtol=1e-8)
    constant = (np.eye(n, k=1) + np.eye(n, k=-1) - 2 * np.eye(n)) * n
    for jac in (constant, scipy.sparse.csr_array(constant)):

        def f(y, j=jac):
            return solve_ivp(rate, (0, 1), y, jac=j, jac_sparsity=pattern, **options).last

        assert np.allclose(f(y0), usual, rtol=1e-9) and np.allclose(jit(f)(y0), usual, rtol=1e-8)


def test_wrong_jacobians_are_named():
    def rate(t, y):
        return np.stack([y[1], -25.0 * y[0]])

    def wrong(t, y):
        return np.eye(2)

    with pytest.warns(RuntimeWarning, match="not that of the right-hand side"):
        solve_ivp(rate, (0, 1), [1.0, 0.0], "Radau", jac=wrong)
    with pytest.warns(UserWarning, match="no effect"):
        solve_ivp(rate, (0, 1), [1.0, 0.0], "RK45", jac=wrong)
    with pytest.raises(LitadError, match="one row and one column"):
        solve_ivp(rate, (0, 1), [1.0, 0.0], "Radau", jac=lambda t, y: np.eye(3))
    with pytest.raises(LitadError, match="one row and one column"):
        solve_ivp(rate, (0, 1), [1.0, 0.0], "Radau", jac_sparsity=np.eye(3))


def test_odeint_takes_a_jacobian():
    a, t = np.array([[0.0, 1.0], [-4.0, -50.0]]), np.linspace(0, 1, 5)
    exact = np.stack([scipy.linalg.expm(a * s) @ [1.0, 0.0] for s in t])
    packed = np.array([[0.0, 1.0], [0.0, -50.0], [-4.0, 0.0]])
    calls = [
        {"Dfun": lambda y, t: a},
        {"Dfun": lambda y, t: a.T, "col_deriv": True},
        {"Dfun": lambda y, t: packed, "ml": 1, "mu": 1},
        {"ml": 1, "mu": 1},
    ]
    for given in calls:
        for method in ("auto", "rodas5p"):
            y = odeint(
                lambda y, t: a @ y, [1.0, 0.0], t, method=method, rtol=1e-9, atol=1e-9, **given
            )
            assert np.allclose(y, exact, atol=1e-7)


STIFF_METHODS = "rosenbrock23 rodas4 rodas5p sdirk4 kvaerno5 implicit_euler auto".split()


@pytest.mark.parametrize("method", STIFF_METHODS)
@pytest.mark.parametrize("compiled", [False, True])
def test_states_between_stiff_steps(method, compiled):
    "What lies between the ends of a step is as good as the ends, however fast something decays."

    def rate(t, y):
        return -1e6 * (y - np.cos(t))

    t = np.linspace(0.1, 3, 37)
    near = {
        "implicit_euler": 2e-3,
        "sdirk4": 5e-4,
        "rosenbrock23": 1e-4,
        "kvaerno5": 2e-5,
        "rodas4": 2e-5,
    }
    options = {"max_step": 0.1, "rtol": 1e-6, "atol": 1e-6}

    def f(y0):
        return solve_ivp(rate, (0, 3), y0, method, t_eval=t, **options).y

    y = (jit(f) if compiled else f)(np.array([0.5]))
    assert np.abs(y - np.cos(t)).max() < near.get(method, 3e-6)


@pytest.mark.parametrize("method", STIFF_METHODS)
def test_dense_output_of_stiff_methods(method):
    def rate(t, y):
        return np.stack([y[1], -y[0]])

    found = solve_ivp(rate, (0, 2), [1.0, 0.0], method, dense_output=True, rtol=1e-7, atol=1e-7)
    assert np.allclose(found.sol(found.t), found.y, rtol=1e-12, atol=1e-13)
    t = np.linspace(0, 2, 101)
    assert np.abs(found.sol(t)[0] - np.cos(t)).max() < (3e-3 if "euler" in method else 3e-5)
    compiled = jit(
        lambda s: solve_ivp(
            rate, (0, 2), [1.0, 0.0], method, dense_output=True, rtol=1e-7, atol=1e-7
        ).sol(s)
    )
    assert np.allclose(compiled(0.77), found.sol(0.77), rtol=1e-8)


@pytest.mark.parametrize("name", ["rk45", "RK23", "dop853", "radau", "bdf", "lsoda", "Tsit5"])
def test_names_in_any_case(name):
    assert solve_ivp(lambda t, y: -y, (0, 1), [1.0], method=name).success


@pytest.mark.parametrize("terminal", ["yes", -1, 1.5, [1]])
def test_terminal_is_a_number_of_times(terminal):
    def event(t, y):
        return y[0] - 0.5

    event.terminal = terminal
    with pytest.raises(LitadError, match="terminal"):
        solve_ivp(lambda t, y: -y, (0, 1), [1.0], events=event)


def test_stiffness_is_named_by_every_explicit_method():
    for method in ("euler", "rk4", "dopri5", "tsit5", "verner7", "taylor"):
        for wrap in (lambda f: f, jit):
            f = wrap(
                lambda k, m=method: (
                    solve_ivp(
                        lambda t, y: -k * (y - np.cos(t)),
                        (0, 2),
                        [1.0],
                        m,
                        rtol=1e-4,
                        atol=1e-4,
                        max_steps=20_000,
                    ).last
                )
            )
            with pytest.warns(RuntimeWarning, match=f"explicit method '{method}'"):
                f(2000.0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                f(1.0)

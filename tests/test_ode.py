"""Initial value problems: values, derivatives, compiled solutions, events, and bad input."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
import scipy.integrate

from litad import LitadError, derivative, grad, hessian, jacfwd, jacrev, jit, value_and_grad
from litad.ode import METHODS, odeint, solve_ivp
from litad.passes import optimise
from litad.program import trace
from litad.sensitivities import last_by_adjoint
from litad.tableaux import DORMAND_PRINCE, KVAERNO5, RODAS5P, TSITOURAS, VERNER, order_of

START, P = np.array([10.0, 5.0]), np.array([1.5, 1.0, 0.3, 0.8])
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def species(t, u, p):
    x, y = u[0], u[1]
    return np.stack([p[0] * x - p[1] * x * y, p[2] * x * y - p[3] * y])


def last(p, method="tsit5", **options):
    return solve_ivp(species, (0, 1), START, method, args=(p,), **(TIGHT | options)).last


def by_complex_steps():
    columns = [
        scipy.integrate.solve_ivp(
            species, (0, 1), START.astype(complex), "DOP853", args=(P + 1e-30j * e,),
            rtol=1e-12, atol=1e-12,
        ).y[:, -1].imag / 1e-30
        for e in np.eye(4)
    ]  # fmt: skip
    return np.stack(columns, -1)


SENSITIVITIES = by_complex_steps()
LOOSE = {"euler": 1e-3, "implicit_euler": 1e-3, "rosenbrock23": 1e-6}


@pytest.mark.parametrize("tableau", [DORMAND_PRINCE, TSITOURAS, VERNER, KVAERNO5, RODAS5P])
def test_tableaux_have_their_orders(tableau):
    assert order_of(tableau, None, 1e-9) == tableau.order


@pytest.mark.parametrize("method", METHODS)
def test_forward_is_reverse_is_compiled(method):
    rtol = LOOSE.get(method, 1e-7)
    options = {"rtol": rtol, "atol": rtol, "max_steps": 20_000}
    f = lambda p: last(p, method, **options)  # noqa: E731
    forward = jacfwd(f)(P)
    slack = 2e-5 if METHODS[method].implicit and "euler" in method else 1e-9
    assert np.allclose(forward, SENSITIVITIES, atol=max(1000 * rtol, 1e-5), rtol=0.2)
    if method not in LOOSE:
        assert np.allclose(forward, jacrev(f)(P), rtol=1e-8)
    assert np.allclose(jit(f)(P), f(P), rtol=1e-7)
    assert np.allclose(jit(jacfwd(f))(P), forward, rtol=1e-5, atol=slack)


def test_reverse_in_a_program():
    times = np.linspace(0, 1, 4)

    def loss(p):
        s = solve_ivp(species, (0, 1), START, args=(p,), t_eval=times, **TIGHT)
        return np.sum(s.y**2) + s.last[0]

    value, g = jit(value_and_grad(loss))(P)
    assert np.allclose(value, loss(P)) and np.allclose(g, grad(loss)(P), rtol=1e-9)
    assert np.allclose(jacfwd(loss)(P), g, rtol=1e-9)


def test_every_step_in_a_program():
    f = lambda p: np.sum(solve_ivp(species, (0, 1), START, args=(p,), max_steps=60).y[:, :5])  # noqa: E731
    assert np.allclose(jit(f)(P), f(P))
    assert np.allclose(jit(grad(f))(P), grad(f)(P))


def test_second_order():
    f = lambda p: last(p)[0]  # noqa: E731
    difference = np.stack([(grad(f)(P + h) - grad(f)(P - h)) / 2e-5 for h in 1e-5 * np.eye(4)])
    assert np.allclose(hessian(f)(P), difference, rtol=1e-4, atol=1e-4)
    assert np.allclose(hessian(f)(P), jacfwd(jacfwd(f))(P), rtol=1e-9)


def test_decay_and_its_derivative():
    f = lambda p: solve_ivp(lambda t, u: -p * u, (0, 1), np.ones(1), rtol=1e-10, atol=1e-12).last[0]  # noqa: E731
    assert abs(derivative(f)(1.0) + np.exp(-1)) < 1e-9
    assert abs(grad(f)(1.0) + np.exp(-1)) < 1e-9
    assert abs(jit(grad(f))(1.0) + np.exp(-1)) < 1e-9


@pytest.mark.parametrize("compiled", [False, True])
def test_times_carry_derivatives(compiled):
    def f(t):
        options = {"rtol": 1e-10, "atol": 1e-12}
        return solve_ivp(lambda s, u: -u, (t[0], t[2]), np.ones(1), t_eval=t[1:], **options).y[0]

    e, g = np.exp(-1), jacfwd(f)
    want = [[e, -e, 0], [e**2, 0, 0]]
    got = (jit(g) if compiled else g)(np.array([0.0, 1.0, 2.0]))
    assert np.allclose(got[0], want[0], atol=1e-9)
    assert np.isclose(got[1, 0], e**2) and np.isclose(got[1].sum(), 0, atol=1e-9)
    assert np.allclose(jacrev(f)(np.array([0.0, 1.0, 2.0])), jacfwd(f)(np.array([0.0, 1.0, 2.0])))


def test_sensitivities():
    s = solve_ivp(species, (0, 1), START, args=(P,), t_eval=[0.5, 1.0], sens=True, **TIGHT)
    assert s.sens.args[0].shape == (2, 2, 4) and s.sens.y0.shape == (2, 2, 2)
    assert np.allclose(s.sens.args[0][:, -1], SENSITIVITIES, atol=1e-6)
    only = solve_ivp(species, (0, 1), START, args=(P,), sens="y0", **TIGHT)
    assert only.sens.args is None and np.allclose(only.sens.y0[:, -1], s.sens.y0[:, -1], atol=1e-6)


def test_many_parameters():
    weights = np.random.default_rng(0).normal(size=(11, 11)) / 4
    f = lambda w: np.sum(
        solve_ivp(lambda t, u, w: np.tanh(w @ u), (0, 1), np.ones(11), args=(w,)).last
    )  # noqa: E731
    assert np.allclose(grad(f)(weights), jacfwd(f)(weights), rtol=1e-8)
    assert np.allclose(jit(grad(f))(weights), grad(f)(weights), rtol=1e-8)


def test_the_adjoint_equation_agrees():
    f = lambda p: last_by_adjoint(species, (0.0, 1.0), START, (p,), rtol=1e-10, atol=1e-12)[1]  # noqa: E731
    assert np.allclose(grad(f)(P), SENSITIVITIES[1], atol=1e-6)


class Body(NamedTuple):
    place: np.ndarray
    speed: np.ndarray


def test_states_are_containers():
    rate = lambda t, b: Body(b.speed, -b.place)  # noqa: E731
    s = solve_ivp(rate, (0, np.pi), Body(np.array([1.0, 2.0]), np.zeros(2)), **TIGHT)
    assert isinstance(s.last, Body) and np.allclose(s.last.place, [-1, -2])
    assert s.y.place.shape == (2, len(s.t))
    number = solve_ivp(lambda t, u: -u, (0, 1), 1.0, **TIGHT)
    assert np.isclose(number.last, np.exp(-1)) and number.y.shape == number.t.shape
    matrix = solve_ivp(lambda t, u: -u, (0, 1), np.ones((2, 3)), t_eval=[0.0, 1.0])
    assert matrix.y.shape == (2, 3, 2)


def test_complex_states():
    s = solve_ivp(lambda t, u: 1j * u, (0, 1), np.array([1.0 + 0j]), **TIGHT)
    assert np.allclose(s.last, np.exp(1j))


@pytest.mark.parametrize("method", ["RK45", "dopri5"])
def test_like_scipy(method):
    ours = solve_ivp(species, (0, 15), START, method, args=(P,), rtol=1e-8, atol=1e-8, dense_output=True)  # fmt: skip
    theirs = scipy.integrate.solve_ivp(species, (0, 15), START, args=(P,), rtol=1e-11, atol=1e-11, dense_output=True)  # fmt: skip
    times = np.linspace(0, 15, 50)
    assert np.abs(ours.sol(times) - theirs.sol(times)).max() < 1e-4
    assert ours.success and ours.status == 0 and ours.t[-1] == 15


def test_odeint_like_scipy():
    times = np.linspace(0, 2, 7)
    rate = lambda u, t, p: species(t, u, p)  # noqa: E731
    ours, theirs = (f(rate, START, times, args=(P,)) for f in (odeint, scipy.integrate.odeint))
    assert ours.shape == theirs.shape and np.allclose(ours, theirs, atol=1e-5)
    listed = odeint(lambda u, t: [u[1], -u[0]], [1.0, 0.0], times)
    assert np.allclose(listed[:, 0], np.cos(times), atol=1e-6)


def ground(t, u):
    return u[0]


ground.terminal, ground.direction = True, -1


def test_bounces_differentiate():
    def third(speed):
        t, u = 0.0, np.stack([1.0, speed])
        for _ in range(3):
            s = solve_ivp(lambda t, u: np.stack([u[1], -9.81]), (t, 10.0), u, events=ground, rtol=1e-9)  # fmt: skip
            t, u = s.t[-1], np.stack([0.0, -0.8 * s.last[1]])
        return t

    def formula(speed):
        impact = np.sqrt(speed**2 + 2 * 9.81)
        return (speed + impact) / 9.81 + 2 * (0.8 + 0.64) * impact / 9.81

    assert abs(third(2.0) - formula(2.0)) < 1e-12
    assert abs(grad(third)(2.0) - grad(formula)(2.0)) < 1e-12
    assert abs(derivative(third)(2.0) - grad(formula)(2.0)) < 1e-12
    assert abs(derivative(grad(third))(2.0) - derivative(grad(formula))(2.0)) < 1e-10


def test_events_are_counted_and_differentiate():
    crossing = lambda t, u, w: u[0]  # noqa: E731

    def times(w):
        rate = lambda t, u, w: np.stack([u[1], -w * w * u[0]])  # noqa: E731
        return solve_ivp(
            rate, (0, 10), np.array([1.0, 0.0]), events=crossing, args=(w,), **TIGHT
        ).t_events[0]

    want = (np.arange(3) + 0.5) * np.pi
    assert np.allclose(times(1.0), want, atol=1e-7)
    assert np.allclose(jacfwd(times)(1.0), -want, atol=1e-6)
    assert np.allclose(jacrev(times)(np.ones(()))[()], -want, atol=1e-6)


def test_stiff_problems():
    def robertson(t, y):
        a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return np.stack([b - a, a - b - c, c])

    want = [2.08334015e-08, 8.33336077e-14, 9.99999979e-01]
    for method in ("rodas5p", "kvaerno5", "auto"):
        f = jit(
            lambda y, m=method: solve_ivp(robertson, (0, 1e11), y, m, rtol=1e-7, atol=1e-12).last
        )
        assert np.allclose(f(np.array([1.0, 0.0, 0.0])), want, rtol=1e-3), method


def test_van_der_pol():
    rate = lambda t, y, mu: np.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])  # noqa: E731
    s = solve_ivp(rate, (0, 3000), [2.0, 0.0], "auto", args=(1000.0,), rtol=1e-6, atol=1e-8)
    assert np.allclose(s.last, [-1.51060694, 1.17838e-3], rtol=1e-5)


def test_early_ends_keep_what_there_is():
    nan = solve_ivp(lambda t, u: -u if t < 0.5 else u * np.nan, (0, 1), [1.0])
    assert nan.status == -4 and "NaN" in nan.message and 0.4 < nan.t[-1] <= 0.51
    assert np.allclose(nan.last, np.exp(-nan.t[-1]), rtol=1e-2)

    def raises(t, u):
        if t > 0.5:
            raise RuntimeError("no model here")
        return -u

    s = solve_ivp(raises, (0, 1), [1.0], max_step=0.1)
    assert s.status == -3 and "no model here" in s.message and len(s.t) > 2
    with pytest.raises(RuntimeError):
        solve_ivp(raises, (0.6, 1), [1.0])
    blown = solve_ivp(lambda t, u: u**2, (0, 2), [1.0])
    assert blown.status == -1 and abs(blown.t[-1] - 1) < 1e-3
    few = solve_ivp(lambda t, u: np.cos(99 * t) * u, (0, 9), [1.0], max_steps=50)
    assert few.status == -2 and not few.success


def test_unreached_times_are_nan_in_a_program():
    f = jit(lambda u: solve_ivp(lambda t, u: u**2, (0, 2), u, t_eval=[0.5, 1.5]).y)
    y = f(np.ones(1))
    assert np.isclose(y[0, 0], 2, rtol=1e-2) and np.isnan(y[0, 1])


def test_stiffness_is_named():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solve_ivp(lambda t, u: -1000 * (u - np.cos(t)), (0, 5), [1.0])
    assert any("looks stiff" in str(w.message) and "auto" in str(w.message) for w in caught)


def test_tolerance_below_precision_warns():
    with pytest.warns(RuntimeWarning, match="rtol"):
        solve_ivp(lambda t, u: -u, (0, 1), [1.0], rtol=1e-18)


@pytest.mark.parametrize(
    "call",
    [
        lambda: solve_ivp(lambda t, u: u[:1], (0, 1), [1.0, 2.0]),
        lambda: solve_ivp(lambda t, u: u[0], (0, 1), [1.0, 2.0]),
        lambda: solve_ivp(lambda t, u: None, (0, 1), [1.0, 2.0]),
        lambda: solve_ivp(lambda t, u: 1j * u, (0, 1), [1.0]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [np.nan]),
        lambda: solve_ivp(lambda t, u: u, (0, np.inf), [1.0]),
        lambda: solve_ivp(lambda t, u: u, (0, 1, 2), [1.0]),
        lambda: solve_ivp(lambda t, u: u, ("a", "b"), [1.0]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], atol=-1e-3),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], atol=[1e-3, 1e-3]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], max_step=0),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], first_step=-1),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], first_step=5),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], step=0.0),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], tolerance=1e-3),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0, 2.0], events=lambda t, u: u),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], events=lambda t, u: None),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], events=[3]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], dense_output=True).sol(np.ones((2, 2))),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], t_eval=[0.5, 2.0]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], t_eval=[0.7, 0.5]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), ["one"]),
        lambda: solve_ivp(lambda t, u: u, (0, 1), [1.0], method="RK46"),
    ],
)
def test_refusals(call):
    with pytest.raises(LitadError):
        call()


def test_backwards_and_fixed_steps():
    back = solve_ivp(lambda t, u: -u, (1, 0), [np.exp(-1)], t_eval=[1.0, 0.5, 0.0], **TIGHT)
    assert np.allclose(back.y[0], np.exp([-1, -0.5, 0]))
    fixed = solve_ivp(lambda t, u: -u, (0, 1), [1.0], "rk4", step=0.1)
    assert fixed.accepted == 10 and np.allclose(fixed.last, np.exp(-1), atol=1e-6)


def test_hidden_boxes_are_found():
    class Model:
        pass

    model = Model()

    def f(p):
        model.p = p
        return solve_ivp(
            lambda t, u: -model.p * u, (0, 1), np.ones(1), rtol=1e-10, atol=1e-12
        ).last[0]

    assert abs(derivative(f)(1.0) + np.exp(-1)) < 1e-9
    assert abs(grad(f)(1.0) + np.exp(-1)) < 1e-9


def oscillate(t, u, p=1.0):
    return [u[1], -p * u[0]]


SCIPY = [
    ("RK45", oscillate, (0, 10), [1.0, 0.0], {}),
    ("RK45", oscillate, (10, 0), [1.0, 0.0], {}),
    ("RK23", oscillate, (0, 10), [1, 0], {"t_eval": np.linspace(0, 10, 21)}),
    ("DOP853", oscillate, (0, 10), [1.0, 0.0], {"args": (2.0,)}),
    ("DOP853", oscillate, [0, 10], (1.0, 0.0), {"args": [2.0], "vectorized": True}),
    ("Radau", lambda t, u: -50 * (u - np.cos(t)), (0, 3), [0.0], {"jac": lambda t, u: [[-50.0]]}),
    ("BDF", lambda t, u: -50 * (u - np.cos(t)), (0, 3), [0.0], {"t_eval": [0, 1, 2]}),
    ("LSODA", lambda t, u: -u[0], (0, 3), [1.0], {"args": None}),
    ("RK45", lambda t, u: u * (1 - u), np.array([0, 5]), [0.1, 0.2], {"rtol": [1e-6, 1e-8]}),
    ("RK45", lambda t, u: u * (1 - u), (0, 5), [0.1, 0.2], {"atol": [1e-6, 1e-8]}),
    ("RK45", lambda t, u: 1j * u, (0, 5), np.array([1.0 + 0j]), {}),
    ("RK45", lambda t, u: np.zeros_like(u), (0, 5), [1.0], {"first_step": 0.1, "max_step": 0.5}),
    ("RK45", lambda t, u: -u, (4, 4), [2.0, 3.0], {}),
    (scipy.integrate.RK45, lambda t, u: np.zeros(0), (0, 1), np.zeros(0), {}),
]


@pytest.mark.parametrize("case", SCIPY)
def test_arguments_and_results_are_those_of_scipy(case):
    method, fun, span, y0, options = case
    options = {"rtol": 1e-7, "atol": 1e-9, "dense_output": True} | options
    ours, theirs = (
        f(fun, span, y0, method, **options) for f in (solve_ivp, scipy.integrate.solve_ivp)
    )
    for name in ("status", "success"):
        assert ours[name] == theirs[name]
    for name in ("t_events", "y_events"):
        assert ours[name] is None and theirs[name] is None
    assert isinstance(ours.message, str) and ours.nfev >= 1 and ours.nlu >= 0
    assert ours.y.dtype == theirs.y.dtype and ours.y.shape == (len(y0), len(ours.t))
    assert np.allclose(ours.t[[0, -1]], theirs.t[[0, -1]])
    assert np.allclose(ours.y[:, -1], theirs.y[:, -1], atol=2e-5)
    if "t_eval" in options:
        assert np.array_equal(ours.t, theirs.t) and np.allclose(ours.y, theirs.y, atol=2e-5)
    if "max_step" in options:
        assert np.isclose(ours.t[1], 0.1) and np.diff(ours.t).max() <= 0.5 + 1e-12
    for t in (span[0], 0.3 * span[0] + 0.7 * span[1], np.linspace(*span, 5), list(span)):
        a, b = ours.sol(t), theirs.sol(t)
        assert a.shape == b.shape and np.allclose(a, b, atol=2e-4)
    assert np.shape(ours.sol(np.zeros(0))) == (len(y0), 0)


def test_events_like_scipy():
    half, down, up = (lambda t, u: u[0] - 0.5 for _ in range(3))
    down.direction, up.direction = -1, 1
    for span in ((0, 10), (10, 0)):
        found = [
            f(oscillate, span, [1.0, 0.0], "DOP853", events=[half, down, up], rtol=1e-9, atol=1e-11)
            for f in (solve_ivp, scipy.integrate.solve_ivp)
        ]
        for ours, theirs in zip(found[0].t_events, found[1].t_events):
            assert np.allclose(ours, theirs, atol=1e-7)
        for ours, theirs in zip(found[0].y_events, found[1].y_events):
            assert np.allclose(ours, theirs, atol=1e-7)
    half.terminal = 2
    times = np.linspace(0, 10, 21)
    options = {"events": half, "rtol": 1e-9, "atol": 1e-11, "dense_output": True}
    ours, theirs = (f(oscillate, (0, 10), [1.0, 0.0], "DOP853", times, **options) for f in (solve_ivp, scipy.integrate.solve_ivp))  # fmt: skip
    assert ours.status == theirs.status == 1 and np.array_equal(ours.t, theirs.t)
    assert np.allclose(ours.sol(ours.t), ours.y, atol=1e-7) and np.allclose(
        ours.y, theirs.y, atol=1e-7
    )
    never = solve_ivp(oscillate, (0, 1), [1.0, 0.0], events=lambda t, u: u[0] - 5)
    assert never.t_events[0].shape == never.y_events[0].shape == (0,) and never.status == 0
    assert solve_ivp(oscillate, (0, 1), [1.0, 0.0], events=[]).t_events == []


def test_dense_output_ends_where_the_solution_ends():
    s = solve_ivp(
        lambda t, u: np.stack([u[1], -9.81]),
        (0.0, 9.0),
        [1.0, 2.0],
        events=ground,
        dense_output=True,
    )
    assert s.status == 1 and np.allclose(s.sol(s.t[-1]), s.last, atol=1e-14)
    with_times = solve_ivp(
        oscillate, (0, 10), [1.0, 0.0], t_eval=[0.5, 9.0], dense_output=True, **TIGHT
    )
    assert np.allclose(
        with_times.sol(np.linspace(0, 10, 9))[0], np.cos(np.linspace(0, 10, 9)), atol=1e-6
    )


def test_an_interval_without_length():
    s = solve_ivp(lambda t, u: -u, (4.0, 4.0), [2.0], t_eval=[4.0], dense_output=True)
    assert (
        s.success and np.array_equal(s.y, [[2.0]]) and np.array_equal(s.sol([4, 5]), [[2.0, 2.0]])
    )
    end = lambda t: solve_ivp(lambda t, u: -u, (4.0, t), np.array([2.0])).last[0]  # noqa: E731
    assert derivative(end)(4.0) == -2 and grad(end)(4.0) == -2
    assert jit(end)(4.0) == 2 and np.isclose(jit(derivative(end))(4.0), -2)


def test_an_event_may_raise():
    def g(t, u):
        if t > 0.5:
            raise RuntimeError("no event here")
        return u[0] - 0.9

    s = solve_ivp(lambda t, u: -u, (0, 1), [1.0], events=g, max_step=0.1)
    assert (
        s.status == -3 and "no event here" in s.message and len(s.t) > 3 and len(s.t_events[0]) == 1
    )
    f = lambda p: solve_ivp(lambda t, u: -p * u, (0, 1), np.ones(1), events=g, max_step=0.1).last[0]  # noqa: E731
    assert np.isclose(grad(f)(1.0), -s.t[-1] * np.exp(-s.t[-1]), rtol=1e-4)


def test_fixed_steps_stop_at_numbers_that_are_none():
    s = solve_ivp(lambda t, u: -u if t < 0.5 else u * np.nan, (0, 1), [1.0], "rk4", step=0.1)
    assert s.status == -4 and 0.3 < s.t[-1] < 0.65 and np.all(np.isfinite(s.y))


def test_a_state_is_not_written_to():
    def rate(t, u):
        u *= -1
        return u

    with pytest.raises(ValueError, match="read-only"):
        solve_ivp(rate, (0, 1), [1.0])
    first = np.ones(2)
    s = solve_ivp(lambda t, u: -u, (0, 1), first)
    first[0] = s.last[0] = 3.0


def test_zero_tolerances():
    with pytest.warns(RuntimeWarning, match="rtol"):
        s = solve_ivp(oscillate, (0, 1), [1.0, 0.0], rtol=0, atol=0)
    assert s.success and np.allclose(s.last, [np.cos(1), -np.sin(1)], atol=1e-12)


def test_the_status_in_a_program():
    nan = jit(lambda u: solve_ivp(lambda t, u: np.where(t < 0.5, -u, u * np.nan), (0, 1), u).status)
    blown = jit(lambda u: solve_ivp(lambda t, u: u**2, (0, 2), u, max_steps=500).status)
    few = jit(lambda u: solve_ivp(lambda t, u: np.cos(99 * t) * u, (0, 9), u, max_steps=50).status)
    assert [f(np.ones(1)) for f in (nan, blown, few)] == [-4, -1, -2]


@pytest.mark.parametrize("method", ["tsit5", "verner7", "auto"])
def test_dense_output_in_a_program(method):
    def f(p, t):
        options = {"rtol": 1e-6, "atol": 1e-8, "max_steps": 300}
        s = solve_ivp(
            oscillate,
            (0.0, 10.0),
            np.array([1.0, 0.0]),
            method,
            dense_output=True,
            args=(p,),
            **options,
        )
        return s.sol(t)[0]

    times = np.linspace(0, 10, 7)
    assert np.allclose(jit(f)(1.0, times), f(1.0, times), atol=1e-7)
    assert np.allclose(jit(derivative(lambda t: f(1.0, t)))(3.3), -np.sin(3.3), atol=1e-4)
    slope = jit(derivative(f))(1.0, times)
    assert np.allclose(slope, derivative(f)(1.0, times), atol=1e-6)
    if method == "tsit5":
        total = lambda p: np.sum(f(p, times) ** 2)  # noqa: E731
        assert np.isclose(jit(grad(total))(1.0), 2 * f(1.0, times) @ slope, rtol=1e-6)


def third_impact(speed):
    t, u = 0.0, np.stack([1.0, speed])
    for _ in range(3):
        s = solve_ivp(lambda t, u: np.stack([u[1], -9.81]), (t, 10.0), u, events=ground, rtol=1e-9)  # fmt: skip
        t, u = s.t[-1], np.stack([0.0, -0.8 * s.last[1]])
    return t


def test_bounces_in_a_program():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, g = jit(value_and_grad(third_impact))(2.0)
        pushed = jit(derivative(third_impact))(2.0)
    assert abs(value - third_impact(2.0)) < 1e-13
    assert abs(g - grad(third_impact)(2.0)) < 1e-12 and abs(pushed - g) < 1e-12


def test_bounces_differentiate_twice_in_a_program():
    def impact(speed):
        s = solve_ivp(lambda t, u: np.stack([u[1], -9.81]), (0, 10.0), np.stack([1.0, speed]), events=ground, rtol=1e-9)  # fmt: skip
        return s.t[-1]

    want = derivative(grad(lambda v: (v + np.sqrt(v**2 + 2 * 9.81)) / 9.81))(2.0)
    assert abs(derivative(grad(impact))(2.0) - want) < 1e-12
    assert abs(jit(derivative(grad(impact)))(2.0) - want) < 1e-12


def rises(t, u, w):
    return u[0]


def low(t, u, w):
    return u[0] + 0.5


def far(t, u, w):
    return u[0] - 9.0


rises.direction, low.terminal, far.terminal = 1, 2, True


@pytest.mark.parametrize("method", ["dopri5", "verner7", "rk4", "rodas5p", "auto"])
def test_several_events_in_a_program(method):
    def solution(w):
        rate = lambda t, u, w: np.stack([u[1], -w * w * u[0]])  # noqa: E731
        s = solve_ivp(rate, (0.0, 20.0), np.array([1.0, 0.0]), method, events=[rises, low, far, lambda t, u, w: u[1]],
                      args=(w,), t_eval=np.array([0.1, 2.0, 15.0]), rtol=1e-8, atol=1e-10, max_events=5)  # fmt: skip
        return s.t_events, s.y_events, s.last, s.y, s.status

    (times, states, last, y, status), ours = solution(1.3), jit(solution)(1.3)
    assert status == ours[4] == 1 and len(times[1]) == 2
    for k, (t, u) in enumerate(zip(times, states)):
        n = len(t)
        assert ours[0][k].shape == ((5, 2, 1, 5)[k],) and np.isnan(ours[0][k][n:]).all()
        assert np.allclose(ours[0][k][:n], t, atol=1e-9)
        assert n == 0 or np.allclose(ours[1][k][:n], u, atol=1e-9)
    assert np.allclose(ours[2], last, atol=1e-9) and np.allclose(ours[3][:, :2], y, atol=1e-9)
    assert np.isnan(ours[3][:, 2]).all() and abs(last[0] + 0.5) < 1e-12
    numbers = lambda w: np.stack([solution(w)[0][3][0], solution(w)[0][1][1], *solution(w)[2]])  # noqa: E731
    forward = jacfwd(numbers)(1.3)
    if method in ("dopri5", "rodas5p"):
        assert np.allclose(jacrev(numbers)(1.3), forward, rtol=1e-9)
    if method == "dopri5":
        assert np.allclose(jit(jacfwd(numbers))(1.3), forward, rtol=1e-6)


def test_two_events_pulled_back_in_a_program():
    def numbers(w):
        rate = lambda t, u, w: np.stack([u[1], -w * w * u[0]])  # noqa: E731
        s = solve_ivp(rate, (0.0, 20.0), np.array([1.0, 0.0]), "dopri5", events=[low, lambda t, u, w: u[1]],
                      args=(w,), rtol=1e-8, atol=1e-10, max_events=5)  # fmt: skip
        return np.stack([s.t_events[1][0], s.t_events[0][1], *s.last])

    forward = jacfwd(numbers)(1.3)
    assert np.allclose(forward[0], -np.pi / 1.3**2, rtol=1e-6)
    assert np.allclose(jit(jacrev(numbers))(1.3), forward, rtol=1e-6)


def test_more_events_than_there_is_room_for():
    rate = lambda t, u: np.stack([u[1], -u[0]])  # noqa: E731
    f = jit(lambda u: solve_ivp(rate, (0.0, 20.0), u, events=lambda t, u: u[0], max_events=3, **TIGHT))  # fmt: skip
    s = f(np.array([1.0, 0.0]))
    assert s.status == -5 and "max_events" in s.message and not s.success
    assert np.allclose(s.t_events[0], (np.arange(3) + 0.5) * np.pi, atol=1e-6)
    assert np.allclose(s.last, [np.cos(20), -np.sin(20)], atol=1e-6)


def test_an_event_that_never_happens_in_a_program():
    f = jit(lambda p: solve_ivp(lambda t, u: -p * u, (0, 1), np.ones(1), events=lambda t, u: u[0] - 2))  # fmt: skip
    s = f(1.0)
    assert s.status == 0 and np.isnan(s.t_events[0]).all() and s.y_events[0].shape == (64, 1)
    g = jit(grad(lambda p: solve_ivp(lambda t, u: -p * u, (0, 1), np.ones(1), events=lambda t, u: u[0] - 2, **TIGHT).last[0]))  # fmt: skip
    assert np.isclose(g(1.0), -np.exp(-1))


def test_events_over_closures_keep_their_attributes():
    def crossing(level):
        def event(t, u):
            return u[0] - level

        event.terminal = True
        return solve_ivp(lambda t, u: -u, (0, 5), np.ones(1), events=event, **TIGHT).t[-1]

    for f in (grad(crossing), jit(grad(crossing)), derivative(crossing)):
        assert np.isclose(f(0.25), -4.0, rtol=1e-8)


def test_states_at_events_lie_on_them():
    s = solve_ivp(oscillate, (0, 30), [1.0, 0.0], "RK45", events=low_place, rtol=1e-3, atol=1e-3)
    assert s.status == 1 and abs(s.last[0] + 0.5) < 1e-14
    f = jit(lambda u: solve_ivp(oscillate, (0.0, 30.0), u, "RK45", events=low_place, rtol=1e-3, atol=1e-3).last)  # fmt: skip
    assert np.allclose(f(np.array([1.0, 0.0])), s.last, atol=1e-13)


def low_place(t, u):
    return u[0] + 0.5


low_place.terminal = True


def test_stiffness_is_named_in_a_program():
    rate = lambda t, u: -1000 * (u - np.cos(t))  # noqa: E731
    for method in ("tsit5", "verner7", "rk4"):
        f = jit(lambda u, m=method: solve_ivp(rate, (0, 1), u, m).last)
        g = jit(grad(lambda u, m=method: solve_ivp(rate, (0, 1), u, m).last[0]))
        for call in (f, f, g, g):
            with pytest.warns(RuntimeWarning, match=f"looks stiff.*{method}.*auto"):
                call(np.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jit(lambda u: solve_ivp(lambda t, u: -u, (0, 100), u).last)(np.ones(1))


def test_many_steps_in_a_program():
    def last(p):
        return solve_ivp(lambda t, u: p * np.cos(4 * t) * u, (0.0, 200.0), np.ones(1), "rk4", step=0.01)  # fmt: skip

    s = jit(last)(1.0)
    assert s.status == 0 and s.accepted >= 20_000 and np.isclose(s.t[-1], 200.0)
    g = jit(grad(lambda p: last(p).last[0]))(1.0)
    exact = np.sin(4 * 200.0) / 4
    assert np.isclose(g, exact * np.exp(exact), rtol=1e-6)
    assert np.isclose(jit(derivative(lambda p: last(p).last[0]))(1.0), g, rtol=1e-9)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "taylor"])
def test_single_precision_stays(method):
    rates = np.array([1, 2, 3], np.float32)
    rate = lambda t, u: -rates * u * np.cos(t)  # noqa: E731
    first = np.ones(3, np.float32)
    options = {"rtol": 1e-4, "atol": 1e-5, "max_steps": 5000, "dense_output": True}
    f = lambda u: solve_ivp(rate, (0, 1), u, method, **options)  # noqa: E731
    s, value = f(first), jit(lambda u: f(u).last)(first)
    assert s.y.dtype == s.last.dtype == value.dtype == np.float32 and s.t.dtype == float
    assert s.sol(0.3).dtype == np.float32
    assert np.allclose(s.last, np.exp(-rates * np.sin(1)), atol=5e-3)
    assert np.allclose(value, s.last, atol=1e-5)
    g = grad(lambda u: np.sum(f(u).last))(first)
    assert g.dtype == np.float32 and np.allclose(g, s.last, rtol=1e-3)


def test_tolerances_of_single_precision():
    with pytest.warns(RuntimeWarning, match="rtol=1e-09"):
        s = solve_ivp(lambda t, u: -u, (0, 1), np.ones(1, np.float32), rtol=1e-9, atol=1e-9)
    assert s.success and s.accepted < 100


BAD = {
    "nan": lambda t, u: np.where(t < 0.5, -u, u * np.nan),
    "infinite": lambda t, u: u**2 * 4,
    "shape": lambda t, u: np.concatenate([u, u]),
    "raises": lambda t, u: -u if t < 0.5 else 1 // 0,
}


@pytest.mark.parametrize("compiled", [False, True])
def test_bad_input_is_the_same_compiled(compiled):
    def run(rate, span=(0.0, 1.0), **options):
        f = lambda u: solve_ivp(rate, span, u, **options)  # noqa: E731
        return (jit(f) if compiled else f)(np.ones(1))

    nan = run(BAD["nan"])
    assert nan.status == -4 and 0.3 < nan.t[-1] <= 0.51
    assert np.allclose(nan.last, np.exp(-nan.t[-1]), rtol=1e-2)
    assert np.allclose(nan.y[0, -1], nan.last)
    blown = run(BAD["infinite"])
    assert blown.status == -1 and abs(blown.t[-1] - 0.25) < 1e-3
    if not compiled:
        broken = run(BAD["raises"], max_step=0.1)
        assert broken.status == -3 and "ZeroDivisionError" in broken.message
        assert broken.t[-1] > 0.2
    back = run(lambda t, u: -u, (1.0, 0.0), rtol=1e-8, atol=1e-10)
    assert back.status == 0 and np.isclose(back.last[0], np.e)
    still = run(lambda t, u: -u, (2.0, 2.0))
    assert still.status == 0 and still.last[0] == 1 and still.t[-1] == 2
    for bad in ({"rate": BAD["shape"]}, {"rate": BAD["nan"], "first_step": -1.0}):
        with pytest.raises(LitadError):
            run(**bad)
    with pytest.warns(RuntimeWarning, match="rtol"):
        assert run(lambda t, u: -u, rtol=1e-18).status == 0
    few = run(lambda t, u: np.cos(99 * t) * u, (0.0, 9.0), max_steps=50)
    assert few.status == -2


def rod(n):
    def rate(t, u, k):
        padded = np.concatenate([np.zeros(1), u, np.zeros(1)])
        return k * (padded[2:] - 2 * padded[1:-1] + padded[:-2]) * (n + 1) ** 2 + u * (1 - u)

    return rate, np.sin(np.pi * np.linspace(0, 1, n + 2)[1:-1])


@pytest.mark.parametrize("method", ["rodas5p", "kvaerno5", "auto"])
def test_bands_in_a_program(method):
    rate, first = rod(100)
    last = lambda k: solve_ivp(rate, (0, 0.05), first, method, args=(k,), rtol=1e-6, atol=1e-8).last  # noqa: E731
    program = trace(last, 1.0)
    assert not any(v.shape == (100, 100) for v in inner_variables(program))
    assert np.allclose(jit(last)(1.0), last(1.0), atol=1e-8)
    if method == "rodas5p":
        h = 1e-5
        slope = jit(derivative(lambda k: np.sum(last(k))))(1.0)
        difference = (np.sum(last(1 + h)) - np.sum(last(1 - h))) / (2 * h)
        assert np.isclose(slope, difference, rtol=1e-4)
        assert np.isclose(jit(grad(lambda k: np.sum(last(k))))(1.0), slope, rtol=1e-8)


def inner_variables(program):
    for e in program.equations:
        yield from e.outputs
        for region in getattr(e.primitive, "regions", ()):
            yield from inner_variables(region)


def test_bands_in_another_order():
    rng = np.random.default_rng(0)
    order = rng.permutation(80)
    back = np.argsort(order)
    rate, first = rod(80)
    mixed = lambda t, u: rate(t, u[order], 1.0)[back]  # noqa: E731
    f = jit(lambda u: solve_ivp(mixed, (0, 0.05), u, "rodas5p", rtol=1e-6, atol=1e-8).last)
    want = solve_ivp(rate, (0, 0.05), first, "rodas5p", args=(1.0,), rtol=1e-6, atol=1e-8).last
    assert np.allclose(f(first[back])[order], want, atol=1e-9)
    assert not any(v.shape == (80, 80) for v in inner_variables(trace(f.__wrapped__, first)))


def test_odeint_takes_all_arguments_of_scipy():
    times = np.linspace(0, 2, 5)
    rate = lambda u, t: -u  # noqa: E731
    options = dict(Dfun=lambda u, t: -np.eye(1), col_deriv=0, ml=0, mu=0, rtol=1e-8, atol=1e-8,
                   h0=0.1, hmax=0.5, hmin=0.0, ixpr=0, mxstep=500, mxhnil=1, mxordn=5, mxords=3, printmessg=0)  # fmt: skip
    y, info = odeint(rate, 1.0, times, full_output=True, **options)
    theirs, known = scipy.integrate.odeint(rate, 1.0, times, full_output=True, **options)
    assert y.shape == theirs.shape and np.allclose(y, theirs, atol=1e-6)
    assert info["message"] == known["message"] and set(info) <= set(known) | {"message"}
    for name in ("nst", "nfe", "nje", "tcur"):
        assert info[name].shape == known[name].shape
    with pytest.raises(LitadError, match="critical"):
        odeint(rate, 1.0, times, tcrit=[0.5])
    assert odeint(rate, [1.0], times, (), None, 0, 0).shape == (5, 1)


def test_solutions_have_the_fields_of_scipys():
    ours, theirs = (
        f(oscillate, (0, 1), [1.0, 0.0]) for f in (solve_ivp, scipy.integrate.solve_ivp)
    )
    assert set(ours.keys()) == set(theirs.keys()) and "nlu" in ours and "nothing" not in ours
    assert {type(ours[k]) for k in ("nfev", "njev", "nlu", "status")} == {int}


def test_the_end_may_be_infinite_if_an_event_ends_it():
    for f in (solve_ivp, scipy.integrate.solve_ivp):
        s = f(lambda t, u: -u, (0, np.inf), [1.0], events=half, rtol=1e-6, atol=1e-9)
        assert s.status == 1 and np.isclose(s.t[-1], np.log(2), atol=1e-4)


def half(t, u):
    return u[0] - 0.5


half.terminal = True


def test_errors_are_reported():
    s = solve_ivp(oscillate, (0, 10), [1.0, 0.0], rtol=1e-6, atol=1e-8)
    off = np.abs(s.last - [np.cos(10), -np.sin(10)])
    assert np.all(s.error < 1e-3) and np.all(off < s.error)
    assert "the estimates of all steps" in str(s.explain()) and "slopes" in str(s.explain())
    assert solve_ivp(oscillate, (0, 1), [1.0, 0.0], "taylor").error is None


def test_reverse_remembers_few_states():
    import tracemalloc

    n, steps = 4000, 1000
    first = np.linspace(0, 1, n)
    f = lambda p: np.sum(
        solve_ivp(lambda t, u: -p * u, (0, 1), first, "euler", step=1 / steps).last
    )  # noqa: E731
    tracemalloc.start()
    g = grad(f)(1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (
        np.isclose(g, -np.exp(-1) * first.sum(), rtol=1e-2) and peak / first.nbytes < 3 * steps**0.5
    )


def test_blocks_in_a_program():
    f = lambda p: last(p, rtol=1e-6, atol=1e-8, max_steps=400)[0]  # noqa: E731
    for transformed, copies in ((grad(f), 1), (hessian(f), 5)):
        shapes = [v.shape for v in inner_variables(optimise(trace(transformed, P)))]
        rooms = {s for s in shapes if len(s) > 1 and 21 in s}
        assert (21, 2) in rooms and all(np.prod(s) <= 21 * 2 * copies for s in rooms), rooms
        assert not any(400 in s or 401 in s for s in shapes if len(s) > 1)
    assert np.allclose(jit(grad(f))(P), grad(f)(P), rtol=1e-9)
    assert np.allclose(jit(hessian(f))(P), hessian(f)(P), rtol=1e-9)


def test_reverse_over_forward_in_a_program():
    f = lambda p: last(p, rtol=1e-6, atol=1e-8, max_steps=400)[0]  # noqa: E731
    assert np.allclose(jit(jacrev(jacfwd(f)))(P), hessian(f)(P), rtol=1e-9)


def test_hessian_over_requested_times_in_a_program():
    times = np.array([0.3, 1.0])
    f = lambda p: np.sum(solve_ivp(species, (0, 1), START, args=(p,), t_eval=times, rtol=1e-6, atol=1e-8, max_steps=400).y ** 2)  # noqa: E731  # fmt: skip
    assert np.allclose(jit(hessian(f))(P), hessian(f)(P), rtol=1e-9)

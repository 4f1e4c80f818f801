"""Differential equations by their own power series."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import litad
from litad import derivative, grad, jacfwd, jacrev, jit
from litad.core import LitadError
from litad.flow import flow, order_for
from litad.march import in_parts, marching, spelled
from litad.ode import solve_ivp
from litad.rules import operate
from litad.steps import Control
from litad.taylor import jet

START = np.array([1.0, 0.0, 0.0])
AT_FIVE = np.array(
    [-6.9745704726848183, -7.0210608908225293, 25.1196164921275967]
)  # 45 digits used
P = np.array([1.2, 0.8, 2.5, 0.8])


def lorenz(t, u):
    return np.stack([10.0 * (u[1] - u[0]), u[0] * (28.0 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]])


def lotka_volterra(t, u, p):
    xy = u[0] * u[1]
    return np.stack([p[0] * u[0] - p[1] * xy, p[2] * xy - p[3] * u[1]])


def taylor(fun, span, y0, e, **options):
    return solve_ivp(fun, span, y0, "taylor", rtol=e, atol=e, **options)


RATES = {
    "product": lambda t, y: y * y * 0.3,
    "quotient": lambda t, y: y / (1.0 + y * y),
    "exp": lambda t, y: np.exp(-y),
    "log": lambda t, y: np.log(2.0 + y),
    "sin and cos": lambda t, y: np.sin(y) * np.cos(2 * y),
    "tan": lambda t, y: np.tan(0.3 * y),
    "tanh": lambda t, y: np.tanh(y) + 0.1,
    "sqrt": lambda t, y: np.sqrt(1.0 + y * y),
    "power": lambda t, y: (1.0 + y * y) ** -1.5,
    "cube": lambda t, y: 0.1 * y**3,
    "arctan": lambda t, y: np.arctan(y),
    "hypot": lambda t, y: np.hypot(y, 1.0),
    "time": lambda t, y: np.cos(t) * y + t * t,
    "power of time": lambda t, y: (1 + t) ** (0.3 * y) - y,
    "constant": lambda t, y: y * 0.0 + 2.0,
}


@pytest.mark.parametrize("name", RATES)
def test_recurrences(name):
    "the coefficients are those of jet along the solution, for numbers and for arrays"
    f = RATES[name]
    t, y = 0.3, np.array([0.4, 0.7])
    rows = [c for (c,) in flow(lambda s, u: [f(s, u[0])], t, [y], 8)]
    curve = ([1.0, *[0.0] * 6], rows[1:8])
    value, rest = jet(lambda s, u: f(s, u) + 0.0 * s, (t, y), curve, normalised=True)
    for j, c in enumerate([value, *rest][:7]):
        assert np.allclose(rows[j + 1] * (j + 1), c, rtol=1e-12, atol=1e-14)
    run = in_parts(spelled(f, y, 8), [])
    numbers = flow(run, t, list(y), 8)
    assert np.allclose(numbers, rows, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("e", [1e-5, 1e-8, 1e-10, 1e-13, 2.3e-16])
def test_lorenz(e):
    "errors follow the tolerance down to rounding; eager and compiled agree"
    found = taylor(lorenz, (0, 5), START, e)
    compiled = jit(lambda u: taylor(lorenz, (0, 5), u, e, t_eval=[5.0]).last)(START)
    allowed = 30 * e + 5e-12
    assert np.abs(found.last - AT_FIVE).max() < allowed
    assert np.abs(compiled - AT_FIVE).max() < allowed
    assert found.status == 0 and found.rejected == 0 and found.t[-1] == 5.0


def test_reference():
    "every recurrence against another method"
    for f in RATES.values():
        ours = taylor(f, (0, 2), np.array([0.4, 0.7]), 1e-12).last
        other = solve_ivp(f, (0, 2), np.array([0.4, 0.7]), "verner7", rtol=1e-12, atol=1e-12).last
        assert np.allclose(ours, other, rtol=1e-9)


def test_requested_times():
    "requested times, dense output and backward solutions"
    times = np.linspace(0, 10, 33)
    run = lambda p: taylor(lotka_volterra, (0, 10), np.ones(2), 1e-11, args=(p,), t_eval=times).y  # noqa: E731
    eager, compiled = run(P), jit(run)(P)
    dense = taylor(lotka_volterra, (0, 10), np.ones(2), 1e-11, args=(P,), dense_output=True)
    assert np.allclose(eager, compiled, rtol=1e-10) and np.allclose(
        dense.sol(times), eager, rtol=1e-9
    )
    back = taylor(lotka_volterra, (10, 0), eager[:, -1], 1e-11, args=(P,))
    assert np.allclose(back.last, 1.0, atol=1e-8) and back.t[-1] == 0.0
    there = jit(
        lambda y: taylor(lotka_volterra, (10.0, 0.0), y, 1e-11, args=(P,), t_eval=times[::-1]).y
    )
    assert np.allclose(there(eager[:, -1])[:, ::-1], eager, atol=1e-7)


def at_ten(p):
    return taylor(lotka_volterra, (0, 10), np.ones(2), 1e-11, args=(p,), t_eval=[10.0]).last


def test_sensitivities():
    "forward, reverse, compiled and by differences"
    exact = jacfwd(at_ten)(P)
    assert np.allclose(jacrev(at_ten)(P), exact, rtol=1e-9)
    assert np.allclose(jit(jacfwd(at_ten))(P), exact, rtol=1e-9)
    e = 1e-4
    steps = [(at_ten(P + e * d) - at_ten(P - e * d)) / (2 * e) for d in np.eye(4)]
    assert np.allclose(np.stack(steps, 1), exact, rtol=1e-4)
    value, tangent = jit(lambda p: litad.jvp(at_ten, (p,), (np.ones(4),)))(P)
    assert np.allclose(tangent, exact.sum(1), rtol=1e-9) and np.allclose(value, at_ten(P))


def test_value_is_the_same_beside_a_derivative():
    "tangents do not change the length of the steps"
    value, _ = jit(lambda p: litad.jvp(at_ten, (p,), (1e6 * np.ones(4),)))(P)
    assert np.allclose(value, jit(at_ten)(P), rtol=1e-13)


def test_initial_states():
    "with respect to where it starts"
    end = lambda u: taylor(lorenz, (0, 1), u, 1e-10, t_eval=[1.0]).last  # noqa: E731
    assert np.allclose(jit(jacfwd(end))(START), jacfwd(end)(START), rtol=1e-10)
    assert np.allclose(jacrev(end)(START), jacfwd(end)(START), rtol=1e-10)


def test_decay():
    "du/dp = -1/e, and the second derivative, in every nesting"

    def u(p):
        return taylor(lambda t, u, p: -p * u, (0, 1), 1.0, 1e-13, args=(p,), t_eval=[1.0]).last

    for d in (derivative, grad, lambda f: jit(derivative(f)), lambda f: jit(grad(f))):
        assert abs(d(u)(1.0) + math.exp(-1)) < 1e-12
    for d in (derivative(derivative(u)), derivative(grad(u)), jit(derivative(derivative(u)))):
        assert abs(d(1.0) - math.exp(-1)) < 1e-11


def test_kepler():
    "the energy is kept to the last digits"

    def rate(t, u):
        r = (u[0] ** 2 + u[1] ** 2) ** -1.5
        return np.stack([u[2], u[3], -r * u[0], -r * u[1]])

    u0 = np.array([0.5, 0.0, 0.0, math.sqrt(3.0)])
    u = jit(lambda u: taylor(rate, (0, 100 * np.pi), u, 2.3e-16, t_eval=[100 * np.pi]).last)(u0)
    energy = (u[2] ** 2 + u[3] ** 2) / 2 - 1 / np.hypot(u[0], u[1])
    assert abs(energy + 0.5) < 1e-14 and np.abs(u - u0).max() < 1e-10


def test_time_is_not_lost():
    "a million short steps end where they should"
    run = jit(
        lambda y: taylor(lambda t, y: np.cos(t), (0, 100), y, 1e-13, step=1e-3, t_eval=[100.0]).last
    )
    assert abs(run(0.0) - math.sin(100.0)) < 1e-13


def test_containers():
    rate = lambda t, y: {"a": np.cos(t), "b": (-y["b"][0],)}  # noqa: E731
    found = taylor(rate, (0, 2), {"a": 0.0, "b": (np.ones((2, 2)),)}, 1e-13)
    assert abs(found.last["a"] - math.sin(2)) < 1e-12
    assert np.allclose(found.last["b"][0], math.exp(-2), rtol=1e-12)
    compiled = jit(lambda y: taylor(rate, (0, 2), y, 1e-13, t_eval=[2.0]).last)
    assert np.allclose(compiled({"a": 0.0, "b": (np.ones((2, 2)),)})["b"][0], math.exp(-2))


def test_large_and_unspellable():
    "states of many numbers, and right-hand sides with a factorisation, keep their arrays"
    a = np.diag(np.linspace(0.1, 1, 100))
    run = lambda y: taylor(lambda t, y: -a @ y, (0, 1), y, 1e-10, t_eval=[1.0]).last  # noqa: E731
    for f in (run, jit(run)):
        assert np.allclose(f(np.ones(100)), np.exp(-np.linspace(0.1, 1, 100)), rtol=1e-9)
    m = np.array([[2.0, 1.0], [0.0, 1.0]])
    run = lambda y: taylor(lambda t, y: -np.linalg.solve(m, y), (0, 1), y, 1e-10, t_eval=[1.0]).last  # noqa: E731
    assert np.allclose(jit(run)(np.ones(2)), run(np.ones(2)), rtol=1e-12)


def test_complex_state():
    found = taylor(lambda t, z: 1j * z, (0, np.pi), np.array([1.0 + 0j]), 1e-13)
    assert abs(found.last[0] + 1) < 1e-12


def test_events():
    "all crossings of a step, directions, and a terminal one"

    def height(t, y):
        return y[0] - 1.0

    def up(t, y):
        return y[0] - 1.0

    def ground(t, y):
        return y[0]

    up.direction, ground.terminal, ground.direction = 1, True, -1
    fall = lambda t, y: np.stack([y[1], -9.81])  # noqa: E731
    found = taylor(fall, (0, 10), [0.0, 5.0], 1e-6, events=(height, up, ground))
    root = math.sqrt(25 - 2 * 9.81)
    assert np.allclose(found.t_events[0], [(5 - root) / 9.81, (5 + root) / 9.81], rtol=1e-14)
    assert len(found.t_events[1]) == 1 and found.status == 1
    assert abs(found.t[-1] - 10 / 9.81) < 1e-14
    landing = lambda v: taylor(fall, (0, 10), np.stack([0.0, v]), 1e-8, events=ground).t[-1]  # noqa: E731
    assert abs(derivative(landing)(5.0) - 2 / 9.81) < 1e-12


def test_circle_events():
    "every zero of the sine, none twice"
    found = taylor(
        lambda t, u: np.stack([u[1], -u[0]]), (0, 20), [0.0, 1.0], 1e-12, events=lambda t, u: u[0]
    )
    assert np.allclose(found.t_events[0], np.pi * np.arange(1, 7), rtol=1e-12)
    never = taylor(
        lambda t, u: np.stack([u[1], -u[0]]),
        (0, 20),
        [0.0, 1.0],
        1e-9,
        events=lambda t, u: u[0] - 2,
    )
    assert never.status == 0 and len(never.t_events[0]) == 0


KINKS = {
    "abs": lambda t, y: -np.abs(y),
    "maximum": lambda t, y: np.maximum(y, 0.5),
    "where": lambda t, y: np.where(y > 0.5, -y, y),
    "branch": lambda t, y: -y if t > 0.5 else y,
    "floor": lambda t, y: y - np.floor(t),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks(name):
    with pytest.raises(LitadError, match="kink|jump"):
        taylor(KINKS[name], (0, 1), 1.0, 1e-8)
    with pytest.raises(LitadError, match="kink|jump|truth"):
        jit(lambda y: taylor(KINKS[name], (0, 1), y, 1e-8, t_eval=[1.0]).last)(1.0)


def test_number_refused():
    with pytest.raises(LitadError, match="float"):
        taylor(lambda t, y: math.sin(y), (0, 1), 1.0, 1e-8)


def test_breakdown():
    "singularities, NaN, too few steps: what was solved is returned"
    found = taylor(lambda t, y: y * y, (0, 2), 1.0, 1e-10)
    assert found.status < 0 and abs(found.t[-1] - 1) < 1e-3 and np.isfinite(found.y).all()
    found = taylor(lambda t, y: np.sqrt(y), (0, 1), 0.0, 1e-8)
    assert found.status == -4 and "NaN or infinity" in found.message
    found = taylor(lorenz, (0, 100), START, 1e-8, max_steps=10)
    assert found.status == -2 and found.accepted == 10
    status = jit(lambda y: taylor(lambda t, y: y * y, (0, 2), y, 1e-10, t_eval=[2.0]).status)(1.0)
    assert status < 0


def test_tolerances():
    assert [order_for(Control(e, e)) for e in (1e-5, 1e-10, 2.3e-16)] == [9, 15, 21]
    with pytest.warns(RuntimeWarning, match="below what floating-point"):
        found = taylor(lambda t, y: -y, (0, 1), 1.0, 0.0)
    assert abs(found.last - math.exp(-1)) < 1e-15
    mixed = solve_ivp(lambda t, y: -y, (0, 1), np.ones(2), "taylor", rtol=1e-6, atol=[1e-6, 1e-12])
    assert np.allclose(mixed.last, math.exp(-1), rtol=1e-5)


def test_order():
    "the error falls by 2 to the order when the step is halved"
    swing = lambda t, u: np.stack([u[1], -np.sin(u[0])])  # noqa: E731
    exact = taylor(swing, (0, 3), [1.0, 0.0], 3e-16).last
    errors = [
        np.abs(taylor(swing, (0, 3), [1.0, 0.0], 1e-3, step=h).last - exact).max()
        for h in (0.2, 0.1, 0.05)
    ]
    order = order_for(Control(1e-3, 1e-3))
    assert all(abs(math.log2(a / b) - order) < 0.6 for a, b in zip(errors, errors[1:]))


@pytest.mark.parametrize("name", RATES)
def test_one_line_steps(name):
    "a step in machine code, a traced one and one of plain numbers agree"
    y0 = np.array([0.4, 0.7])
    run = lambda y: taylor(RATES[name], (0.0, 2.0), y, 1e-12, t_eval=np.array([1.0, 2.0])).y  # noqa: E731
    eager, compiled = run(y0), jit(run)(y0)
    assert np.allclose(compiled, eager, rtol=1e-11)
    step, _ = marching(RATES[name], y0, 8, Control(1e-6, 1e-6), 2, False, True)
    given = [0.3, 0.0, y0, 0, 2.0, 1.0]
    for a, b in zip(operate(step, given), jit(lambda *xs: operate(step, xs))(*given)):
        assert np.allclose(a, b, rtol=1e-11, atol=1e-13)


def test_what_a_rate_closes_over():
    "numbers, arrays and tangents from outside reach a step"
    a, shift = np.array([[0.0, 1.0], [-1.0, -0.2]]), np.array([0.3, -0.4])

    def end(p, m):
        rate = lambda t, u: m @ u * p + shift  # noqa: E731
        return taylor(rate, (0.0, 3.0), np.ones(2), 1e-10, t_eval=[3.0]).last

    assert np.allclose(jit(end)(1.5, a), end(1.5, a), rtol=1e-12)
    assert np.allclose(jit(jacfwd(end, (0, 1)))(1.5, a)[1], jacfwd(end, 1)(1.5, a), rtol=1e-9)
    twice = jacfwd(jacfwd(end))
    assert np.allclose(jit(twice)(1.5, a), twice(1.5, a), rtol=1e-9)


def lotka(p, end=3.0, **options):
    return taylor(lotka_volterra, (0.0, end), np.ones(2), 1e-9, args=(p,), **options)


def at_times(p):
    return lotka(p, t_eval=np.linspace(0, 3, 4)).y


def until(p):
    return lotka(p, 2 * p[0], t_eval=np.array([0.5, 1.0])).y


def in_between(p):
    return lotka(p, dense_output=True).sol(1.3)


def met(t, u, p):
    return u[0] - 0.7 * p[1]


def at_events(p):
    found = lotka(p, events=met)
    return np.concatenate([found.t_events[0][:1], np.reshape(found.y_events[0][:1], (-1,))])


@pytest.mark.parametrize("f", [at_times, until, in_between, at_events])
def test_modes(f):
    "plain requested times, a traced end, values in between and events, under every mode"
    e, v = 1e-4, np.array([0.3, -0.2, 0.5, 0.1])
    steps = [(f(P + e * d) - f(P - e * d)) / (2 * e) for d in np.eye(4)]
    exact = jacfwd(f)(P)
    assert np.allclose(exact, np.stack(steps, -1), rtol=1e-4, atol=1e-4)
    assert np.allclose(jit(f)(P), f(P), rtol=1e-8)
    for g in (jit(jacfwd(f)), jacrev(f)):
        assert np.allclose(g(P), exact, rtol=1e-6, atol=1e-8)
    assert np.allclose(litad.jvp(f, (P,), (v,))[1], exact @ v, rtol=1e-6, atol=1e-8)
    total = lambda p: np.sum(f(p) ** 2)  # noqa: E731
    assert np.allclose(grad(total)(P), 2 * np.tensordot(f(P), exact, f(P).ndim), rtol=1e-6)


def test_plain_times_in_a_reverse_program():
    "requested times that are no tracers, where only the parameters are"

    def run(p):
        times = np.array([0.5, 1.0])
        return np.sum(taylor(lambda t, u: -p * u, (0.0, 1.0), np.ones(1), 1e-6, t_eval=times).y)

    exact = -0.5 * math.exp(-0.5) - math.exp(-1)
    assert abs(jit(grad(run))(1.0) - exact) < 1e-5


def test_traced_end():
    run = jit(
        lambda u, end: taylor(lambda t, u: u * u, (0.0, end), u, 1e-10, t_eval=np.array([0.0])).y
    )
    assert run(np.ones(1), 0.5) == 1.0


def test_stiff_warning():
    "a stiff problem is told from one with singularities nearby"
    with pytest.warns(RuntimeWarning, match="looks stiff.*'taylor'"):
        found = taylor(lambda t, y: -1000 * (y - np.cos(t)), (0, 1), 0.0, 1e-6)
    assert found.status == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taylor(lorenz, (0, 20), START, 1e-6)
        taylor(lambda t, y: -y, (0, 10), 1.0, 1e-6)


def test_single_precision():
    "a state of single precision stays one, and its tolerance is one that it can meet"
    swing = lambda t, u: np.stack([u[1], -u[0]])  # noqa: E731
    run = lambda u: taylor(swing, (0.0, 3.0), u, 1e-5, t_eval=np.array([1.0, 3.0])).y  # noqa: E731
    for y in (run(np.array([1, 0], "f4")), jit(run)(np.array([1, 0], "f4"))):
        assert y.dtype == np.float32 and np.allclose(y[0], np.cos([1, 3]), atol=1e-5)
    with pytest.warns(RuntimeWarning, match="below what floating-point numbers"):
        found = taylor(swing, (0.0, 3.0), np.array([1, 0], "f4"), 1e-12)
    assert found.status == 0 and np.allclose(found.last, [np.cos(3), -np.sin(3)], atol=1e-5)


def test_nan_in_a_program():
    "the part that was solved is returned, with a status that says why it ends"

    def run(u):
        rate = lambda t, y: np.log(0.5 - t) * y  # noqa: E731
        return taylor(rate, (0.0, 1.0), u, 1e-8, t_eval=np.array([0.2, 0.9]))

    status, y = jit(lambda u: (lambda s: (s.status, s.y))(run(u)))(np.ones(2))
    with np.errstate(invalid="ignore"):
        assert status == run(np.ones(2)).status == -4
    assert np.isfinite(y[:, 0]).all() and np.isnan(y[:, 1]).all()


def test_spans_and_shapes():
    swing = lambda t, u: np.stack([u[1], -u[0]])  # noqa: E731
    back = jit(lambda u: taylor(swing, (3.0, 0.0), u, 1e-12, t_eval=np.array([3.0, 0.0])).y)
    assert np.allclose(back(np.array([np.cos(3), -np.sin(3)]))[:, 1], [1, 0], atol=1e-12)
    still = lambda u: taylor(swing, (1.0, 1.0), u, 1e-6).last  # noqa: E731
    assert np.all(still(np.ones(2)) == 1) and np.all(jit(still)(np.ones(2)) == 1)
    for run in (lambda f: f, jit):
        with pytest.raises(LitadError, match="another shape"):
            run(lambda u: taylor(lambda t, u: u[:1], (0.0, 1.0), u, 1e-6).last)(np.ones(2))

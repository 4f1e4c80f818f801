"""Events of the method of Taylor series in a program, and the zeros of polynomials they are."""

from __future__ import annotations

import numpy as np
import pytest

from litad import derivative, grad, jit
from litad.ode import solve_ivp
from litad.program import trace
from litad.roots import crossings

crossed = jit(crossings)


@pytest.mark.parametrize("seed", range(6))
def test_zeros_of_random_polynomials(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        roots = rng.uniform(-1, 2, rng.integers(1, 7))
        c = rng.choice([-1.0, 1.0]) * np.polynomial.polynomial.polyfromroots(roots)
        c = np.concatenate([c, np.zeros(7 - len(c))])
        known = np.sort(roots[(roots > 0) & (roots <= 1)])
        if len(known) > 1 and np.diff(known).min() < 1e-3:
            continue
        ends = c[0], c.sum()
        for f in (crossings, crossed):
            found = f(c, *ends)
            assert np.allclose(found[found <= 1], known, atol=1e-9)
        rising = [r for r in known if np.polynomial.polynomial.polyval(r + 1e-4, c) > 0]
        up = crossings(c, *ends, 1)
        assert np.allclose(up[up <= 1], rising, atol=1e-9)


def test_zeros_at_the_ends():
    line = np.array([0.0, 1.0, 0.0])
    assert (crossings(line, 0.0, 1.0) > 1).all() and (crossed(line, 0.0, 1.0) > 1).all()
    for f in (crossings, crossed):
        found = f(np.array([-1.0, 1.0, 0.0]), -1.0, 0.0)
        assert found[0] == 1 and (found[1:] > 1).all()
    assert (crossings(np.zeros(4), 0.0, 0.0) > 1).all()
    middle = crossings(np.array([-0.5, 1.0, 0.0]), -0.5, 0.5)
    assert middle[0] == 0.5 and (middle[1:] > 1).all()
    halves = crossings(np.array([0.125, -0.75, 1.0]), 0.125, 0.375)  # zeros at 1/4 and 1/2
    assert np.array_equal(halves[halves <= 1], [0.25, 0.5])


def pendulum(t, u, p):
    return np.stack([u[1], -p * np.sin(u[0])])


def up(t, u, p):
    return u[0] - 0.3


def down(t, u, p):
    return u[1] + 0.1 * t


def both(t, u, p):
    return u[0] * u[0] - 0.5


up.direction, down.direction = 1, -1


def mixed(terminal):
    def event(t, u, p):
        return np.cos(3 * t) * u[0] - 0.2

    event.terminal = terminal
    return event


@pytest.mark.parametrize("tolerance", [1e-4, 1e-9, 2.3e-16])
@pytest.mark.parametrize("events", [(up, down, both), (up, mixed(True)), (mixed(4), both)])
def test_events_in_a_program(tolerance, events):
    def solve(p):
        return solve_ivp(
            pendulum,
            (0, 12),
            [1.0, 0.5],
            "taylor",
            events=events,
            args=(p,),
            rtol=tolerance,
            atol=tolerance,
        )

    plain = solve(2.0)

    def part(s):
        return (s.t_events, s.y_events, s.status, s.last, s.accepted)

    t_events, y_events, status, last, accepted = jit(lambda p: part(solve(p)))(2.0)
    assert status == plain.status and accepted == plain.accepted
    assert np.allclose(last, plain.last, rtol=1e-9)
    for t, y, known, states in zip(t_events, y_events, plain.t_events, plain.y_events):
        n = len(known)
        assert np.allclose(t[:n], known, rtol=1e-11) and np.isnan(t[n:]).all()
        assert n == 0 or np.allclose(y[:n], states, atol=1e-9)


def third(p):
    found = solve_ivp(
        pendulum, (0, 12), [1.0, 0.5], "taylor", events=mixed(3), args=(p,), rtol=1e-12, atol=1e-12
    )
    return found.t_events[0][2]


def test_times_of_events_differentiate():
    quotient = (third(2 + 1e-5) - third(2 - 1e-5)) / 2e-5
    firsts = [
        f(2.0) for f in (derivative(third), grad(third), jit(derivative(third)), jit(grad(third)))
    ]
    assert np.allclose(firsts, quotient, rtol=1e-8) and np.ptp(firsts) < 1e-12
    twice = derivative(derivative(third))
    assert abs(jit(twice)(2.0) - twice(2.0)) < 1e-10


def test_nothing_comes_after_a_terminal_event():
    times = np.linspace(0, 12, 13)

    def f(p, t):
        return solve_ivp(
            pendulum,
            (0, 12),
            [1.0, 0.5],
            "taylor",
            t,
            events=mixed(2),
            args=(p,),
            rtol=1e-9,
            atol=1e-9,
        )

    plain, y = f(2.0, times).y, jit(lambda p: f(p, times).y)(2.0)
    n = plain.shape[1]
    assert np.allclose(y[:, :n], plain, rtol=1e-9) and np.isnan(y[:, n:]).all()
    assert np.isnan(jit(lambda p: f(p, [12.0]).y)(2.0)).all()


def test_events_of_a_large_state_in_containers():
    def ring(t, s, p):
        return {"x": s["v"], "v": -p * s["x"]}

    def passes(t, s, p):
        return s["x"][3]

    start = {"x": np.linspace(-1, 1, 50), "v": np.ones(50)}

    def f(p):
        return solve_ivp(ring, (0, 3), start, "taylor", events=passes, args=(p,)).t_events[0]

    plain, times = f(2.0), jit(f)(2.0)
    assert (
        np.allclose(times[: len(plain)], plain, rtol=1e-12) and np.isnan(times[len(plain) :]).all()
    )


def test_more_events_than_room():
    def f(p):
        return solve_ivp(
            pendulum, (0, 12), [1.0, 0.5], "taylor", events=both, args=(p,), max_events=3
        )

    status, times = jit(lambda p: (lambda s: (s.status, s.t_events[0]))(f(p)))(2.0)
    assert status == -5 and times.shape == (3,)
    assert np.allclose(times, f(2.0).t_events[0][:3], rtol=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("end", [9.0, -9.0, np.inf])
def test_precision_and_direction_of_time(dtype, end):
    def swing(t, u):
        return np.stack([u[1], -u[0]])

    def reached(t, u):
        return u[0] - 0.2

    reached.terminal = 2

    def f(u):
        return solve_ivp(
            swing, (0.0, end), u, "taylor", events=reached, rtol=2e-5, atol=1e-5
        ).t_events[0]

    first = np.arcsin(0.2)
    known = [first, np.pi - first] if end > 0 else [-np.pi - first, -2 * np.pi + first]
    start = np.array([0.0, 1.0], dtype)
    trace(f, start)  # it is a program, and not left to Python
    for times in (f(start), jit(f)(start)):
        assert np.allclose(times, known, atol=1e-4)

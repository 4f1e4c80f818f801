"""Random right-hand sides: forward, reverse, difference quotients and compiled code agree."""

from __future__ import annotations

import numpy as np
import pytest

from litad import derivative, grad, hvp, jacfwd, jacrev, jit, jvp
from litad.ode import METHODS, solve_ivp

SMOOTH = [np.tanh, np.sin, lambda x: x / (1 + x * x), lambda x: np.exp(-x * x), np.cos]
EXACT = [m for m in METHODS if m not in ("implicit_euler", "sdirk4", "kvaerno5")]


def random_rate(seed):
    "A smooth right-hand side of three numbers and four parameters, and both of them."
    rng = np.random.default_rng(seed)
    a, b, c = (rng.normal(size=s) * 0.6 for s in ((3, 3), (3, 4), 3))
    outer, inner = (SMOOTH[k] for k in rng.integers(len(SMOOTH), size=2))
    scale = rng.uniform(0.5, 2.0, size=3)

    def rate(t, u, p):
        mixed = a @ u + inner(b @ p) + c * np.cos(t)
        return scale * outer(mixed) - 0.5 * u + u[0] * p[1] * 0.1

    return rate, rng.normal(size=3), rng.normal(size=4)


def last_of(seed, method):
    "The last state as a function of the parameters: at fixed steps, so that it is smooth."
    rate, first, p = random_rate(seed)

    def last(p):
        start = first + 0.1 * p[:3]
        return solve_ivp(rate, (0.2, 1.2), start, method, args=(p,), step=0.125).last

    return last, p


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_forward_is_reverse_is_a_quotient(method, seed):
    last, p = last_of(seed, method)
    forward, h = jacfwd(last)(p), 1e-5
    slack = 1e-10 if method in EXACT else 1e-6
    assert np.allclose(jacrev(last)(p), forward, rtol=1e-9, atol=slack)
    quotient = np.stack([(last(p + h * e) - last(p - h * e)) / (2 * h) for e in np.eye(4)], -1)
    assert np.allclose(quotient, forward, rtol=1e-6, atol=1e-7 if method in EXACT else 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_compiled_is_eager(method):
    seed = 10 + list(METHODS).index(method)
    last, p = last_of(seed, method)
    weight = np.array([1.0, -2.0, 0.5])
    loss = lambda p: np.dot(weight, last(p) ** 2)  # noqa: E731
    slack = 1e-9 if method in EXACT else 1e-5
    assert np.allclose(jit(last)(p), last(p), rtol=1e-9, atol=slack)
    assert np.allclose(jit(jacfwd(last))(p), jacfwd(last)(p), rtol=1e-8, atol=slack)
    assert np.allclose(jit(grad(loss))(p), grad(loss)(p), rtol=1e-8, atol=slack)


@pytest.mark.parametrize("method", ["rk4", "tsit5", "kvaerno5", "rodas5p", "auto"])
def test_second_order(method):
    last, p = last_of(40, method)
    loss, v = lambda p: np.sum(last(p) ** 2), np.array([1.0, -1.0, 0.5, 2.0])  # noqa: E731
    want = jvp(grad(loss), (p,), (v,))[1]
    h = 1e-5
    quotient = (grad(loss)(p + h * v) - grad(loss)(p - h * v)) / (2 * h)
    assert np.allclose(quotient, want, rtol=1e-4, atol=1e-6)
    assert np.allclose(hvp(loss, p, v), want, rtol=1e-9)
    if method != "auto":
        assert np.allclose(jit(lambda p: hvp(loss, p, v))(p), want, rtol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_adaptive_steps_are_those_of_a_program(seed):
    rate, first, p = random_rate(100 + seed)
    method = ["dopri5", "tsit5", "verner7", "rodas5p"][seed]
    times = np.sort(np.random.default_rng(seed).uniform(0, 3, 5))

    def solution(p):
        return solve_ivp(rate, (0.0, 3.0), first, method, times, args=(p,), rtol=1e-7, atol=1e-9)

    ours, eager = jit(solution)(p), solution(p)
    assert (ours.accepted, ours.rejected, ours.nfev) == (eager.accepted, eager.rejected, eager.nfev)
    assert np.allclose(ours.y, eager.y, rtol=1e-9) and np.allclose(ours.last, eager.last, rtol=1e-9)
    total = lambda p: np.sum(solution(p).y ** 2)  # noqa: E731
    assert np.allclose(jit(grad(total))(p), grad(total)(p), rtol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_random_events(seed):
    rate, first, p = random_rate(200 + seed)
    start = rate(0.0, first, p)
    level = first[0] + 0.3 * np.sign(start[0])

    def passes(t, u, p):
        return u[0] - level

    passes.terminal = True

    def ending(p):
        options = {"events": passes, "args": (p,), "rtol": 1e-9, "atol": 1e-11}
        s = solve_ivp(rate, (0.0, 6.0), first, "dopri5", **options)
        return np.concatenate([s.t[-1:], s.last])

    forward, h = jacfwd(ending)(p), 1e-5
    assert np.allclose(jacrev(ending)(p), forward, rtol=1e-8, atol=1e-10)
    quotient = np.stack([(ending(p + h * e) - ending(p - h * e)) / (2 * h) for e in np.eye(4)], -1)
    assert np.allclose(quotient, forward, rtol=1e-3, atol=1e-4)
    assert np.allclose(jit(ending)(p), ending(p), rtol=1e-9)
    one = lambda q: ending(p + q * np.ones(4))[0]  # noqa: E731
    assert np.isclose(jit(derivative(one))(0.0), derivative(one)(0.0), rtol=1e-7, atol=1e-9)
    assert np.isclose(jit(grad(one))(0.0), grad(one)(0.0), rtol=1e-7, atol=1e-9)

"""Long chains, wide fan-outs and many repetitions: time and memory grow as promised.

Nothing here looks at a clock. Work is counted, or measured by the memory that Python reports.
"""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from litad import (
    LitadError,
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


def chain(x, n):
    for _ in range(n):
        x = x * 1.0000001
    return x


def test_a_chain_of_a_million_operations():
    "no recursion: a million operations deep, in reverse and on a tape"
    n = 1_000_000
    value, slope = value_and_grad(chain)(1.0, n)
    assert slope == pytest.approx(np.exp(0.1)) and value == pytest.approx(slope)


def test_a_long_tape_made_by_hand():
    tape = Tape()
    x = tape.input(1.0)
    with tape:
        y = chain(x, 100_000)
    assert tape.num_ops() == 100_000
    tape.backward(y)
    assert tape.grad_of(x) == pytest.approx(np.exp(0.01))


@pytest.mark.parametrize("d", [derivative, grad, gradient])
def test_fan_out(d):
    "x + x twenty-four times over: 2^24 paths, twenty-four operations"
    calls = []

    def f(x):
        for _ in range(24):
            calls.append(1)
            x = x + x
        return x

    assert d(f)(1.0) == 2.0**24
    assert len(calls) == 24
    assert d(lambda x: fan(x, 24))(1.0) == 2.0**24


def fan(x, depth):
    for _ in range(depth):
        y = x * 1.0
        x = y + y
    return x


def test_fan_out_is_swept_once_per_operation():
    tape = Tape()
    x = tape.input(1.0)
    with tape:
        y = fan(x, 24)
    assert tape.num_ops() == 48
    tape.backward(y)
    assert tape.grad_of(x) == 2.0**24


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def growth(work, times=30):
    "The memory, in bytes, that repetitions leave behind after the first three."
    for _ in range(3):
        work()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(times):
        work()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


X = np.linspace(0.1, 1.0, 20_000)


def many_operations(x):
    y = x
    for _ in range(5):
        y = np.sin(y) * x + np.max(y) + y[::-1]
    return np.sum(y) + np.sum(np.stack([x, y])[0, [0, 0]])


def refused():
    try:
        grad(lambda x: np.sum(np.sort(np.sin(x))))(X)
    except LitadError:
        pass


def raised():
    def f(x):
        np.sin(x)
        raise RuntimeError

    try:
        grad(f)(X)
    except RuntimeError:
        pass


def with_a_tape():
    tape = Tape()
    x = tape.input(X)
    with tape:
        y = many_operations(x)
    tape.backward(y)
    return tape.grad_of(x)


@pytest.mark.parametrize(
    "work",
    [
        lambda: grad(many_operations)(X),
        lambda: value_and_grad(lambda x: (np.sum(x), np.sin(x)), has_aux=True)(X),
        lambda: jvp(many_operations, (X,), (X,)),
        lambda: vjp(np.sin, X)[1](X),
        lambda: vjp(np.sin, X),
        lambda: grad(lambda t: np.sum(grad(lambda x: np.sum((x * t) ** 2))(X)))(2.0),
        lambda: jacfwd(lambda x: np.sum(x[:20] * X[:20]))(X[:20]),
        lambda: hessian(lambda x: np.sum(x**3))(X[:20]),
        lambda: jacrev(lambda x: x[:2] * 2)(X[:200]),
        with_a_tape,
        refused,
        raised,
    ],
)
def test_nothing_is_left_behind(no_collector, work):
    "with the collector off, thirty gradients leave no array behind: no reference cycles"
    assert growth(work) < X.nbytes // 2


def peak(work):
    gc.collect()
    tracemalloc.start()
    work()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top


def test_tape_memory_is_linear():
    "the arrays kept are those that the rules need: one per sine, none per sum"
    x = np.linspace(0.1, 1.0, 50_000)

    def sines(u, n):
        for _ in range(n):
            u = np.sin(u)
        return np.sum(u)

    def sums(u, n):
        y = u
        for _ in range(n):
            y = y + 1.0
        return np.sum(y)

    few, many = peak(lambda: grad(sines)(x, 10)), peak(lambda: grad(sines)(x, 40))
    assert (many - few) / x.nbytes == pytest.approx(30, abs=4)
    few, many = peak(lambda: grad(sums)(x, 10)), peak(lambda: grad(sums)(x, 40))
    assert (many - few) / x.nbytes < 2


def test_forward_memory_does_not_grow():
    "forward mode keeps no tape"
    x = np.linspace(0.1, 1.0, 50_000)

    def f(u, n):
        for _ in range(n):
            u = np.sin(u)
        return u

    few = peak(lambda: jvp(lambda u: f(u, 5), (x,), (x,)))
    many = peak(lambda: jvp(lambda u: f(u, 50), (x,), (x,)))
    assert many < few * 1.2


def test_a_gradient_by_chunks_never_makes_the_whole_identity():
    x = np.ones(2000)
    assert peak(lambda: gradient(lambda u: np.sum(u * u), chunk=4)(x)) < 1.2 * 8 * 2000 * 2000 / 4


def test_element_reads_in_a_loop():
    "a thousand reads of a large array do not make a thousand arrays of its size"
    x = np.ones((500, 500))

    def f(a):
        total = 0.0
        for k in range(500):
            total = total + a[k, k] * a[k, 0]
        return total

    found = grad(f)(x)
    assert found.sum() == 1000.0 and found[0, 0] == 2.0
    assert peak(lambda: grad(f)(x)) < 6 * x.nbytes


def test_a_wide_sum():
    "one variable in many terms, and many variables in one"
    terms = 20_000
    assert grad(lambda x: sum(x for _ in range(terms)))(1.0) == terms
    found = grad(lambda p: sum(p))([1.0] * terms)
    assert found == [1.0] * terms

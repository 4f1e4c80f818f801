"""Derivatives inside derivatives, in any order, across threads, generators and exceptions."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest

from litad import (
    Dual,
    LitadError,
    Tape,
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


def by_dual(f):
    "By a dual number made by hand."
    return lambda x: f(Dual.variable(x)).deriv


def by_tape(f):
    "By a tape made by hand."

    def d(x):
        tape = Tape()
        u = tape.input(x)
        with tape:
            y = f(u)
        tape.backward(y)
        return tape.grad_of(u)

    return d


def by_jvp(f):
    return lambda x: jvp(f, (x,), (1.0,))[1]


def by_vjp(f):
    return lambda x: vjp(f, x)[1](1.0)[0]


def by_value_and_grad(f):
    return lambda x: value_and_grad(f)(x)[1]


TRANSFORMS = [derivative, grad, gradient, jacfwd, jacrev, by_jvp, by_vjp, by_value_and_grad]
ALL = [*TRANSFORMS, by_tape]
names = lambda f: f.__name__  # noqa: E731


@pytest.mark.parametrize("outer, inner", list(itertools.product(ALL, ALL)), ids=names)
def test_perturbations_are_not_confused(outer, inner):
    "d/dx [x d/dy (x + y)] = 1, and mixed partial derivatives, for every pair of ways"
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0
    assert outer(inner(np.sin))(0.5) == pytest.approx(-math.sin(0.5))


@pytest.mark.parametrize(
    "three", list(itertools.product([derivative, grad, jacfwd, by_tape], repeat=3))
)
def test_three_deep(three):
    a, b, c = three
    assert a(b(c(np.sin)))(0.5) == pytest.approx(-math.cos(0.5))
    f = lambda x: x * b(lambda y: y * y * c(lambda z: x * y * z * z)(x))(x)  # noqa: E731
    # c: 2 x y x, so b: d/dy 2 x^2 y^3 = 6 x^4, times x: d/dx 6 x^5
    assert a(f)(1.5) == pytest.approx(30 * 1.5**4)


@pytest.mark.parametrize("d", TRANSFORMS, ids=names)
def test_with_dual_numbers_made_by_hand(d):
    "a hand-made dual inside a transformation, and a transformation inside a hand-made dual"
    assert d(by_dual(lambda x: x**3))(2.0) == pytest.approx(12.0)
    assert by_dual(d(lambda x: x**3))(2.0) == pytest.approx(12.0)
    assert d(lambda x: x * by_dual(lambda y: x * y)(2.0))(3.0) == 6.0
    assert by_dual(lambda x: x * d(lambda y: y * y)(x))(3.0) == 12.0


def test_tape_and_dual_made_by_hand():
    assert by_tape(by_dual(lambda x: x**3))(2.0) == pytest.approx(12.0)
    assert by_dual(by_tape(lambda x: x**3))(2.0) == pytest.approx(12.0)
    assert by_tape(by_tape(lambda x: x**3))(2.0) == pytest.approx(12.0)


def test_higher_orders():
    f, g = np.sin, np.sin
    for order in range(1, 6):
        f, g = derivative(f), grad(g)
        expected = math.sin(0.3 + order * math.pi / 2)
        assert f(0.3) == pytest.approx(expected) and g(0.3) == pytest.approx(expected)
    assert grad(grad(grad(grad(lambda x: x**3))))(2.0) == 0.0
    assert grad(grad(lambda x: 3 * x))(2.0) == 0.0
    assert derivative(derivative(lambda x: 3 * x))(2.0) == 0.0


def test_vector_nestings():
    "the Hessian by every pair of modes"
    x = np.array([0.3, -0.7, 1.1])
    f = lambda u: np.sin(u[0] * u[1]) * np.exp(u[2]) + np.sum(u**3) * u[1]  # noqa: E731
    reference = hessian(f)(x)
    assert reference == pytest.approx(reference.T)
    for outer in (jacfwd, jacrev):
        for inner in (grad, gradient, jacfwd):
            for chunk in (1, 2, 8):
                assert outer(inner(f), chunk=chunk)(x) == pytest.approx(reference, rel=1e-12)
    v = np.array([1.0, 2.0, -1.0])
    assert hvp(f, x, v) == pytest.approx(reference @ v)
    assert vjp(grad(f), x)[1](v)[0] == pytest.approx(reference @ v)


def test_third_derivatives():
    "the tensor of third derivatives: symmetric, and a difference of Hessians"
    x = np.array([0.3, -0.7, 1.1])
    f = lambda u: np.sin(u[0] * u[1]) * np.exp(u[2]) + np.sum(u**3) * u[1]  # noqa: E731
    third = jacfwd(hessian(f))(x)
    assert third.shape == (3, 3, 3)
    assert third == pytest.approx(np.transpose(third, (2, 0, 1)))
    h = 1e-5 * np.eye(3)
    numeric = np.stack([(hessian(f)(x + e) - hessian(f)(x - e)) / 2e-5 for e in h], axis=-1)
    assert third == pytest.approx(numeric, abs=1e-7)


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
def test_jacobian_of_a_reverse_jacobian(outer):
    x = np.array([0.3, -0.7, 1.1])
    f = lambda u: np.sin(u[0] * u[1]) * np.exp(u[2]) + np.sum(u**3) * u[1]  # noqa: E731
    for chunk in (1, 2, 8):
        assert outer(jacrev(f), chunk=chunk)(x) == pytest.approx(hessian(f)(x), rel=1e-12)


@pytest.mark.parametrize("d", [grad, derivative, gradient])
def test_closures_over_outer_boxes(d):
    "an inner function that closes over an outer variable differentiates in both"

    def outer(a):
        def inner(u):
            return np.sum(u * a) * a

        return np.sum(grad(inner)(np.ones(3))) + np.sum(gradient(inner)(np.ones(3)))

    assert d(outer)(2.0) == pytest.approx(24.0)  # 2 * 3 a^2


@pytest.mark.parametrize("d", [grad, derivative])
def test_aux_keeps_outer_boxes(d):
    "what rides along in an inner transformation still belongs to the outer one"

    def through_vag(x):
        ((value, aux), slope) = value_and_grad(lambda y: (y * x, {"a": x * x}), has_aux=True)(2.0)
        return value + aux["a"] + slope

    def through_jvp(x):
        value, slope, aux = jvp(lambda y: (y * x, [x * x, y]), (2.0,), (1.0,), has_aux=True)
        return value + aux[0] + slope

    def through_vjp(x):
        value, pullback, aux = vjp(lambda y: (y * x, (x * x,)), 2.0, has_aux=True)
        return value + aux[0] + pullback(1.0)[0]

    for f in (through_vag, through_jvp, through_vjp):
        assert d(f)(3.0) == 2.0 + 6.0 + 1.0


def test_inner_arguments_may_be_outer_boxes():
    "tangents, cotangents and points that are boxes"
    x = np.array([1.0, 2.0])
    f = lambda t: np.sum(jvp(lambda u: u**3, (x,), (t * x,))[1])  # noqa: E731
    assert grad(f)(2.0) == derivative(f)(2.0) == 27.0  # 3 x^2 x summed
    g = lambda t: np.sum(vjp(lambda u: u**3, x)[1](t * x)[0])  # noqa: E731
    assert grad(g)(2.0) == derivative(g)(2.0) == 27.0


def test_pullbacks_may_be_used_later_and_often():
    "a pullback outlives its function; each call is a fresh, unaliased result"
    x = np.array([1.0, 2.0, 3.0])
    for f in (lambda u: u * u, lambda u: u, grad(lambda u: np.sum(3 * u)), lambda u: u[::-1]):
        _, pullback = vjp(f, x)
        first = pullback(np.ones(3))[0]
        kept = first.copy()
        first += 7
        assert pullback(np.ones(3))[0].tolist() == kept.tolist()


def test_generators():
    "a generator may be suspended in one transformation and resumed in another"

    def steps(x):
        y = x
        while True:
            y = y * x
            yield y

    stream = steps(2.0)
    inside = grad(lambda x: next(stream) * x)(3.0)
    assert inside == 4.0
    assert grad(lambda x: next(stream) * x)(5.0) == 8.0

    def f(x):
        mine = steps(x)
        next(mine)
        assert derivative(lambda y: y * y)(1.0) == 2.0
        return next(mine)

    assert grad(f)(2.0) == 12.0
    assert sum(grad(lambda x: sum(itertools.islice(steps(x), 3)))(1.0) for _ in range(2)) == 18.0


def test_exceptions_leave_nothing_behind():
    "an exception at any operation of an inner or outer function leaves a clean state"
    for stop in range(12):
        count = itertools.count()

        def check(y, count=count, stop=stop):
            if next(count) == stop:
                raise RuntimeError("stop")
            return y

        def f(x, check=check):
            y = check(np.sin(x))
            y = check(y * check(grad(lambda z: check(check(z * y) * x))(x)))
            y = check(y + check(derivative(lambda z: check(z * z * y))(x)))
            return check(y)

        try:
            grad(f)(2.0)
        except RuntimeError:
            pass
        assert grad(grad(np.sin))(0.5) == -math.sin(0.5)
        assert derivative(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0


def test_a_var_that_leaked_is_refused():
    leaked = []
    grad(lambda x: leaked.append(x * 2) or x * x)(3.0)
    (y,) = leaked
    for attempt in (
        lambda: y + 1,
        lambda: np.sin(y),
        lambda: y > 0,
        lambda: grad(lambda x: x * y)(1.0),
        lambda: derivative(lambda x: x * y)(1.0),
    ):
        with pytest.raises(LitadError, match="ended"):
            attempt()


def test_eight_threads():
    "threads at once give what they give one after the other, nested derivatives included"
    x = np.linspace(0.1, 1.0, 20)

    def work(k):
        f = lambda u: np.sum(np.sin(u * k) ** 2) * np.mean(u)  # noqa: E731
        nested = derivative(lambda t: t * grad(lambda s: t * s**2 + k * s * t)(1.5))(1.5)
        return grad(f)(x), gradient(f)(x), hvp(f, x, x), nested

    expected = [work(k) for k in range(8)]
    results, barrier = [[] for _ in range(8)], threading.Barrier(8)

    def run(k):
        barrier.wait()
        for _ in range(20):
            results[k].append(work(k))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(8):
        assert len(results[k]) == 20
        for found in results[k]:
            assert all(np.array_equal(a, b) for a, b in zip(found, expected[k]))


def test_one_thread_may_use_the_boxes_of_another():
    "a function that hands its boxes to a thread and waits for it"

    def f(x):
        out = []
        thread = threading.Thread(target=lambda: out.append(grad(lambda y: x * y * y)(x) * x))
        thread.start()
        thread.join()
        return out[0]

    assert grad(f)(1.5) == pytest.approx(6 * 1.5**2)  # d/dx 2 x^3
    assert derivative(f)(1.5) == pytest.approx(13.5)


def test_recursion_in_the_users_function():
    def tree(x, depth):
        return x if depth == 0 else np.sin(tree(x, depth - 1)) + x * grad(tree)(x, depth - 1)

    h = 1e-5
    for depth in (1, 2, 3):
        numeric = (tree(0.4 + h, depth) - tree(0.4 - h, depth)) / (2 * h)
        assert grad(tree)(0.4, depth) == pytest.approx(numeric, rel=1e-6)

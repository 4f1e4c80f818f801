"""Rules of one's own: custom derivatives, checkpoints, and implicit functions."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from litad import Dual, LitadError, Tape, derivative, grad, hessian, hvp, jacfwd, jacrev, jvp, vjp
from litad.implicit import fixed_point, minimize, root
from litad.lanes import Lanes
from litad.linear import linearize
from litad.rules import (
    checkpoint,
    checkpoint_chain,
    custom_jvp,
    custom_vjp,
    primitive,
    stop_gradient,
    straight_through,
)

SHAPES = [(), (1,), (3,), (2, 3), (0,), (2, 0)]


def tangents_of(f, dfdx, dfdy):
    "f(x, y) with its rule given by tangents."
    new = custom_jvp(f)

    @new.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return new(x, y), dfdx(x, y) * dx + dfdy(x, y) * dy

    return new


def shares_of(f, dfdx, dfdy):
    "f(x, y) with its rule given variable by variable."
    new = custom_jvp(f)
    new.defjvps(lambda t, v, x, y: dfdx(x, y) * t, lambda t, v, x, y: dfdy(x, y) * t)
    return new


def cotangents_of(f, dfdx, dfdy):
    "f(x, y) with its rule given by cotangents."
    new = custom_vjp(f)

    def forward(x, y):
        return new(x, y), {"at": (x, y)}

    def backward(kept, t):
        x, y = kept["at"]
        return dfdx(x, y) * t, dfdy(x, y) * t

    new.defvjp(forward, backward)
    return new


def elementwise_of(f, dfdx, dfdy):
    return primitive(f, jvp=(lambda t, x, y: dfdx(x, y) * t, lambda t, x, y: dfdy(x, y) * t),
                     elementwise=True)  # fmt: skip


def pushed_of(f, dfdx, dfdy):
    return primitive(f, jvp=(lambda t, x, y: dfdx(x, y) * t, lambda t, x, y: dfdy(x, y) * t))


def pulled_of(f, dfdx, dfdy):
    return primitive(f, vjp=(lambda t, x, y: dfdx(x, y) * t, lambda t, x, y: dfdy(x, y) * t))


def checkpoint_of(f, dfdx, dfdy):
    return checkpoint(f)


def root_of(f, dfdx, dfdy):
    "f as the root of z - f(x, y)."
    return lambda x, y: root(lambda z, x, y: z - f(x, y), stop_gradient(x) * 0, x, y)


def f(x, y):
    return np.sin(x) * y + np.exp(0.3 * x * y)


def dfdx(x, y):
    return np.cos(x) * y + 0.3 * y * np.exp(0.3 * x * y)


def dfdy(x, y):
    return np.sin(x) + 0.3 * x * np.exp(0.3 * x * y)


MAKERS = [tangents_of, shares_of, cotangents_of, elementwise_of, pushed_of, pulled_of,
          checkpoint_of]  # fmt: skip
makers = pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)


def close(a, b, rtol=1e-12):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape, a.dtype, b.dtype)
    assert np.allclose(a, b, rtol=rtol, atol=rtol), np.max(np.abs(a - b))


@makers
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_rule_agrees_with_the_function_without_one(make, shape, dtype):
    rng = np.random.default_rng(0)
    x, y, dx, dy, t = [np.asarray(rng.uniform(0.2, 1, shape)).astype(dtype) for _ in range(5)]
    g, rtol = make(f, dfdx, dfdy), 1e-12 if dtype is np.float64 else 1e-5
    close(g(x, y), f(x, y))
    for a, b in zip(jvp(g, (x, y), (dx, dy)), jvp(f, (x, y), (dx, dy))):
        close(a, b, rtol)
    (v, pull), (w, pull_f) = vjp(g, x, y), vjp(f, x, y)
    close(v, w)
    for a, b in zip(pull(t), pull_f(t)):
        close(a, b, rtol)
    total, total_f = [lambda x, y, h=h: np.sum(h(x, y) ** 2) for h in (g, f)]
    close(hvp(lambda x: total(x, y), x, dx), hvp(lambda x: total_f(x, y), x, dx), rtol)
    for a, b in zip(grad(total, (0, 1))(x, y), grad(total_f, (0, 1))(x, y)):
        close(a, b, rtol)
    for d in (jacfwd, jacrev):
        close(d(g, 1)(x, y), d(f, 1)(x, y), rtol)


@makers
def test_every_nesting_of_modes(make):
    g = make(f, dfdx, dfdy)
    x = np.array([0.4, 0.9])
    total, total_f = [lambda x, h=h: np.sum(h(x, x[::-1]) * x) for h in (g, f)]
    for second in (
        hessian,
        lambda h: jacrev(jacfwd(h)),
        lambda h: jacrev(grad(h)),
        lambda h: jacfwd(jacfwd(h)),
    ):
        close(second(total)(x), second(total_f)(x), 1e-11)
        close(jacfwd(second(total))(x), jacfwd(second(total_f))(x), 1e-10)
    close(jacrev(hessian(total))(x), jacrev(hessian(total_f))(x), 1e-10)
    close(hessian(total, chunk=1)(x), hessian(total_f)(x), 1e-11)
    once, once_f = lambda x: g(x, x), lambda x: f(x, x)
    close(grad(derivative(grad(once)))(0.7), grad(derivative(grad(once_f)))(0.7), 1e-10)
    close(derivative(grad(grad(once)))(0.7), derivative(grad(grad(once_f)))(0.7), 1e-10)


@makers
def test_on_boxes_made_by_hand(make):
    g = make(f, dfdx, dfdy)
    d, e = g(Dual(0.5, 1.0), 2.0), f(Dual(0.5, 1.0), 2.0)
    close(d.value, e.value)
    close(d.tangent, e.tangent)
    twice = g(Dual(Dual(0.5, 1.0), Dual(1.0, 0.0)), 2.0)
    close(twice.tangent.tangent, derivative(derivative(lambda x: f(x, 2.0)))(0.5), 1e-11)
    tape = Tape()
    x = tape.input(0.5, "x")
    with tape:
        y = g(x, 2.0) * 3
    close(tape.backward(y)[x], 3 * dfdx(0.5, 2.0))
    assert repr(tape) and len(list(tape)) >= 2
    with tape.no_grad():
        assert not hasattr(g(x, 2.0), "tape")
    stack = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    close(g(Lanes(stack), np.array([1.0, 2.0])).value, f(stack, np.array([1.0, 2.0])))


@makers
def test_inside_an_outer_derivative_that_does_not_move_it(make):
    g = make(f, dfdx, dfdy)
    assert derivative(lambda z: z * g(2.0, 3.0))(1.0) == f(2.0, 3.0)
    close(grad(lambda z: z * derivative(lambda x: g(x, z))(0.5))(0.3),
          grad(lambda z: z * derivative(lambda x: f(x, z))(0.5))(0.3))  # fmt: skip


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2), st.sampled_from(range(len(MAKERS))))
def test_duality(x, y, k):
    g = MAKERS[k](f, dfdx, dfdy)
    value, moved = jvp(g, (x, y), (0.3, -0.7))
    _, pull = vjp(g, x, y)
    cx, cy = pull(1.7)
    close(moved * 1.7, 0.3 * cx - 0.7 * cy)
    assert value == f(x, y)


def test_an_argument_that_a_checkpoint_ignores_is_refused():
    with pytest.raises(LitadError, match="no differentiable path"):
        grad(lambda x, y: checkpoint(lambda a, b: 2 * a)(x, y), (0, 1))(1.0, 2.0)


def test_stop_gradient():
    x = np.array([1.0, 2.0], np.float32)
    assert grad(lambda x: np.sum(stop_gradient({"a": [x]})["a"][0] * x))(x).tolist() == [1, 2]
    assert grad(lambda x: np.sum(stop_gradient(x)))(x).tolist() == [0, 0]
    assert jvp(stop_gradient, (x,), (x,))[1].tolist() == [0, 0]
    assert grad(grad(lambda x: stop_gradient(x) * x**2))(3.0) == 6.0
    assert derivative(lambda x: grad(lambda y: stop_gradient(x * y) * y)(2.0))(3.0) == 0.0
    assert stop_gradient(("text", None, 3)) == ("text", None, 3)
    close(hessian(lambda x: np.sum(stop_gradient(x) * x**2))(x), np.diag(2 * x))
    close(stop_gradient(Lanes(np.eye(2))).value, np.eye(2))


def test_straight_through():
    x = np.array([0.2, 1.7], np.float32)
    step = straight_through(lambda x: (x > 1).astype(x.dtype))
    assert step(x).tolist() == [0, 1]
    assert grad(lambda x: np.sum(step(x) * np.float32(3)))(x).tolist() == [3, 3]
    assert jvp(step, (x,), (2 * x,))[1].tolist() == (2 * x).tolist()
    assert jacfwd(step)(x).tolist() == jacrev(step)(x).tolist() == np.eye(2).tolist()
    assert hessian(lambda x: np.sum(step(x) ** 2))(x).tolist() == (2 * np.eye(2)).tolist()
    assert grad(lambda p: straight_through(lambda p: {"a": np.sign(p["a"])})(p)["a"])(
        {"a": -3.0}
    ) == {"a": 1.0}
    assert straight_through(np.clip)(5.0, 0.0, 1.0) == 1.0
    with pytest.raises(LitadError, match="first argument"):
        grad(lambda c: straight_through(np.maximum)(1.0, c))(2.0)
    with pytest.raises(LitadError, match="another shape"):
        grad(straight_through(np.sum))(x)


def test_constants_by_position_and_keyword():
    @custom_jvp(nondiff_argnums=(0, -1))
    def apply(f, x, n=2):
        return f(x) * n

    @apply.defjvp
    def rule(f, n, primals, tangents):
        (x,), (t,) = primals, tangents
        return apply(f, x, n), derivative(f)(x) * n * t

    assert grad(lambda x: apply(np.sin, x))(0.0) == 2.0
    assert grad(lambda x: apply(np.sin, n=5, x=x))(0.0) == 5.0
    with pytest.raises(LitadError, match="nondiff_argnums"):
        grad(lambda n: apply(np.sin, 1.0, n))(2.0)

    @partial(custom_vjp, nondiff_argnums=(1,))
    def scale(x, n):
        return x * n

    scale.defvjp(lambda x, n: (x * n, None), lambda n, kept, t: (t * n,))
    assert grad(scale)(1.0, 3) == derivative(scale)(1.0, 3) == 3.0
    with pytest.raises(LitadError, match="by position"):
        custom = custom_jvp(lambda x, *, n: x * n)
        custom.defjvps(lambda t, v, x: t)
        custom(1.0, n=2)


def test_containers_with_parts_that_are_no_floats():
    @custom_vjp
    def describe(p, tag):
        return {"sum": np.sum(p["w"]) * p["b"], "count": p["w"].size, "tag": tag}

    def backward(kept, t):
        assert t["count"] is None and t["tag"] is None
        w, b = kept
        return {"w": np.full(w.shape, 1.0) * b * t["sum"], "b": np.sum(w) * t["sum"]}, None

    describe.defvjp(lambda p, tag: (describe(p, tag), (p["w"], p["b"])), backward)
    p = {"w": np.arange(3.0), "b": 2.0}
    seen = []

    def loss(p):
        r = describe(p, "name")
        seen.append((r["count"], r["tag"]))
        return r["sum"] ** 2

    g = grad(loss)(p)
    assert g["w"].tolist() == [24, 24, 24] and g["b"] == 36 and seen == [(3, "name")]
    assert jvp(loss, (p,), ({"w": np.ones(3), "b": 0.0},)) == (36.0, 72.0)
    H = jacfwd(grad(loss))(p)
    assert np.allclose(H["b"]["w"], jacrev(grad(loss))(p)["b"]["w"])


def test_several_results_share_one_pullback():
    calls = []

    @custom_vjp
    def three(x):
        return x * 1, x * 2, x * 3

    def backward(kept, ts):
        calls.append(len(ts))
        return (ts[0] + 2 * ts[1] + 3 * ts[2],)

    three.defvjp(lambda x: (three(x), None), backward)

    def loss(x):
        a, b, c = three(x)
        return a * b + np.sin(b) + 0 * x

    close(grad(loss)(0.3), grad(lambda x: 2 * x * x + np.sin(2 * x))(0.3))
    assert calls == [3]
    x = np.array([0.3, 0.5])
    close(jacrev(lambda x: three(x)[2])(x), 3 * np.eye(2))


def test_a_cotangent_rule_that_is_not_linear_works_in_reverse_only():
    clip = custom_vjp(lambda x: x)
    clip.defvjp(lambda x: (x, None), lambda kept, t: (np.clip(t, -1, 1),))
    assert grad(lambda x: np.sum(clip(x) * 9))(np.ones(2)).tolist() == [1, 1]
    with pytest.raises(LitadError, match="not linear"):
        derivative(clip)(1.0)


@pytest.mark.parametrize(
    "rule",
    [
        lambda p, t: (p[0] ** 2, 2 * p[0]),
        lambda p, t: (p[0] ** 2, 2 * p[0] * t[0] + 1),
        lambda p, t: (p[0] ** 2, t[0] * t[0]),
        lambda p, t: (p[0] ** 2, np.abs(t[0])),
        lambda p, t: (p[0] ** 2, np.where(p[0] > 9, t[0], 1.0)),
        lambda p, t: (p[0] ** 2, np.stack([t[0], t[0]])),
        lambda p, t: (p[0] ** 2, (t[0],)),
        lambda p, t: p[0] ** 2,
        lambda p, t: (p[0] ** 2, "t"),
    ],
)
def test_a_wrong_rule_is_refused(rule):
    square = custom_jvp(lambda x: x**2)
    square.defjvp(rule)
    with pytest.raises(LitadError, match="rule of custom_jvp"):
        grad(square)(3.0)


def test_a_linear_rule_may_use_all_that_is_linear():
    mix = custom_jvp(lambda x: x)

    @mix.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        out = np.concatenate([t[:1] * x[1], t[1:] / x[0]])
        parts = np.stack([out, np.zeros(3)]) - t[None, :] + np.where(x > 0, t, 0.0)
        return mix(x), np.sum(parts, axis=0) + np.concatenate([t[1:], t[:1]]) @ np.ones((3, 3))

    x = np.array([1.0, -2.0, 3.0])
    close(jacrev(mix)(x), jacfwd(mix)(x))


def test_an_infinite_slope_is_not_hidden():
    sqrt = custom_jvp(lambda x: np.sqrt(x))
    sqrt.defjvp(lambda p, t: (np.sqrt(p[0]), t[0] / (2 * np.sqrt(p[0]))))
    with pytest.warns(RuntimeWarning):
        assert np.isinf(grad(sqrt)(0.0))


def test_a_box_behind_the_back_of_the_arguments_is_refused():
    for kind in (custom_jvp, custom_vjp):

        def outer(w, kind=kind):
            inner = kind(lambda x: x * w)
            if kind is custom_jvp:
                inner.defjvps(lambda t, v, x: t)
            else:
                inner.defvjp(lambda x: (x, None), lambda kept, t: (t,))
            return inner(2.0) + inner(w)

        for mode in (grad, derivative):
            with pytest.raises(LitadError, match="pass the value as an argument"):
                mode(outer)(3.0)

    class Model:
        pass

    def through_attribute(w):
        model = Model()
        model.w = w
        return checkpoint(lambda x: x * model.w)(w)

    with pytest.raises(LitadError, match="not among its arguments"):
        grad(through_attribute)(2.0)


def test_primitives():
    omega = primitive(special.wrightomega, jvp=lambda t, y: t * y / (1 + y), elementwise=True)
    x = np.array([[0.5, 1.0], [2.0, 3.0]])
    h = 1e-6
    close(grad(lambda x: np.sum(omega(x)))(x), (omega(x + h) - omega(x - h)) / (2 * h), 1e-8)
    close(jacfwd(jacfwd(jacfwd(omega)))(0.5), jacrev(jacfwd(jacrev(omega)))(0.5))

    @primitive(vjp=(lambda t, a, own_shape, *, axis: np.expand_dims(t, axis) * np.ones(own_shape),))
    def total(a, *, axis):
        return a.sum(axis=axis)

    close(jacfwd(partial(total, axis=1))(x), jacfwd(partial(np.sum, axis=1))(x))
    close(jacrev(partial(total, axis=0))(x), jacfwd(partial(np.sum, axis=0))(x))
    import math

    lone = primitive(math.erf, jvp=lambda t, x: t * 2 / np.sqrt(np.pi) * np.exp(-(x**2)))
    close(grad(lone)(0.3), derivative(lone)(0.3))
    constant_in_second = primitive(lambda a, n: a * int(n), jvp=(lambda t, n: t * n, None))
    assert grad(constant_in_second)(2.0, 3) == 3.0
    for bad in (lambda: primitive(np.sin, jvp=lambda t, z: t), lambda: primitive(np.sin),
                lambda: primitive(lambda x: [x, x], jvp=lambda t: t)(1.0)):  # fmt: skip
        with pytest.raises(LitadError):
            bad()


def layers_of(depth):
    return [partial(lambda shift, x: np.sin(x) * 1.01 + shift, 0.001 * k) for k in range(depth)]


def run_all(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def test_memory_of_a_chain_falls_to_its_square_root():
    x, layers = np.linspace(0, 1, 50_000), layers_of(1000)

    def peak(f):
        tracemalloc.start()
        try:
            g = grad(lambda x: np.sum(f(x)))(x)
            return tracemalloc.get_traced_memory()[1] / x.nbytes, g
        finally:
            tracemalloc.stop()

    (whole, g), (blocks, h) = peak(partial(run_all, layers)), peak(checkpoint_chain(layers))
    assert np.array_equal(g, h)
    assert whole > 990 and blocks < 3 * 1000**0.5


def test_checkpoints_inside_checkpoints_and_outer_derivatives():
    x, layers = np.linspace(0, 1, 4), layers_of(8)
    halves = [checkpoint_chain(layers[:4], every=2), checkpoint_chain(layers[4:])]
    nested = checkpoint_chain([checkpoint(h) for h in halves], every=1)
    f, g = lambda x: np.sum(nested(x)), lambda x: np.sum(run_all(layers, x))
    close(grad(f)(x), grad(g)(x))
    close(hessian(f)(x), hessian(g)(x))
    close(jacrev(grad(f))(x), hessian(g)(x))
    assert checkpoint_chain([])(x) is x


def test_memory_is_saved_in_reverse_over_forward_too():
    x, layers = np.linspace(0, 1, 20_000), layers_of(100)

    def peak(f):
        tracemalloc.start()
        try:
            grad(lambda x: np.sum(jvp(f, (x,), (np.ones(x.shape),))[1]))(x)
            return tracemalloc.get_traced_memory()[1] / x.nbytes
        finally:
            tracemalloc.stop()

    assert peak(checkpoint_chain(layers)) < peak(partial(run_all, layers)) / 3


def test_a_checkpoint_sees_what_its_function_closes_over():
    weights, x = [np.full(3, 0.5 + k) for k in range(3)], np.linspace(0.1, 1, 3)

    def late(weights, x, wrap):
        for w in weights:  # every lambda closes over the same w
            x = wrap(lambda x: np.sin(x * w))(x)  # noqa: B023
        return np.sum(x)

    def default(weights, x, wrap):
        for w in weights:
            x = wrap(lambda x, w=w, *, s=np.sum(w): np.sin(x * w) + s)(x)  # noqa: B008
        return np.sum(x)

    def deep(weights, x, wrap):
        scale = {"all": weights}

        def inner(x, k):
            return np.sin(x * scale["all"][k])

        return np.sum(wrap(lambda x: inner(inner(x, 0), 2))(x))

    def applied(weights, x, wrap):
        return np.sum(
            wrap(partial(lambda w, x, k=1.0: np.sin(w * x * k), weights[0], k=weights[1]))(x)
        )

    for f in (late, default, deep, applied):

        def plain(weights, x, f=f):
            return f(weights, x, lambda g: g)  # noqa: B023

        def kept(weights, x, f=f):
            return f(weights, x, checkpoint)

        for k in (0, 1):
            allow = {"allow_unused": True} if k == 0 else {}
            for a, b in zip(*[grad(g, k, **allow)(weights, x) for g in (plain, kept)]):
                close(a, b)
        close(jacfwd(kept, 1)(weights, x), jacfwd(plain, 1)(weights, x))
    close(
        grad(lambda x: late(weights, x, checkpoint))(x),
        grad(lambda x: late(weights, x, lambda g: g))(x),
    )


def test_a_second_run_that_differs_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(LitadError, match="ran again"):
        grad(checkpoint(lambda x: x * rng.random()))(1.0)
    runs = []
    kept = checkpoint(lambda x: runs.append(1) or x * 2)
    assert grad(kept)(1.0) == 2.0 and len(runs) == 2
    assert derivative(kept)(1.0) == 2.0 and len(runs) == 3


def test_no_reference_cycles():
    makers = [make(f, dfdx, dfdy) for make in MAKERS]

    def implicit(x, y):
        return fixed_point(lambda z, x: 0.3 * np.cos(z * y + x), 1.0, x)

    gc.collect()
    gc.disable()
    try:
        for g in (*makers, implicit):
            grad(g)(0.5, 2.0)
        assert gc.collect() == 0
        for solve in (root, minimize):
            data = np.ones(3)
            kept = weakref.ref(data)

            def condition(x, a, data=data):
                return np.sum((x - a * np.sum(data)) ** 2)

            grad(lambda a, f=condition: solve(f if solve is minimize else grad(f), 1.0, a))(2.0)  # noqa: B023
            del data, condition
            assert kept() is None
    finally:
        gc.enable()


def test_eight_threads():
    g = [make(f, dfdx, dfdy) for make in MAKERS]
    results = {}

    def work(k):
        results[k] = [grad(grad(h))(0.1 * k + 0.3, 0.7) for h in g]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    for k in range(8):
        close(results[k], [grad(grad(f))(0.1 * k + 0.3, 0.7)] * len(g), 1e-11)


def test_fan_out_is_linear_in_time():
    double = custom_jvp(lambda x: x + x)
    double.defjvp(lambda p, t: (p[0] + p[0], t[0] + t[0]))

    def tower(x):
        for _ in range(24):
            x = double(x)
        return x

    assert grad(tower)(1.0) == derivative(tower)(1.0) == 2.0**24


def test_complex_intermediates():
    square = custom_jvp(lambda z: z * z)
    square.defjvp(lambda p, t: (square(p[0]), 2 * p[0] * t[0]))
    i = np.complex128(1j)

    def g(x, square=square):
        return np.real(square(x + i * x**2)) * 2 + np.imag(square(i * x + 1))

    def plain(x):
        return g(x, lambda z: z * z)

    x = np.array([0.7, -0.4])
    for d in (jacfwd, jacrev):
        for h in (g, checkpoint(plain)):
            close(d(h)(x), d(plain)(x))


# Implicit functions


def kepler(e, M):
    return root(lambda E, e, M: E - e * np.sin(E) - M, np.zeros_like(stop_gradient(M)) + 1.0, e, M)


def unrolled_kepler(e, M, steps=100):
    E = M
    for _ in range(steps):
        E = M + e * np.sin(E)
    return E


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)], ids=str)
def test_kepler_agrees_with_its_unrolled_iteration_to_third_order(shape):
    M = np.asarray(np.random.default_rng(0).uniform(0.5, 3, shape))[()]
    total, unrolled = [lambda e, f=f: np.sum(np.sin(f(e, M))) for f in (kepler, unrolled_kepler)]
    for d in (
        lambda f: f,
        grad,
        derivative,
        lambda f: grad(grad(f)),
        lambda f: derivative(grad(derivative(f))),
    ):
        close(d(total)(0.4), d(unrolled)(0.4), 1e-9)

    def over_M(f):
        return lambda M: np.sum(f(0.4, M) ** 2)

    close(grad(over_M(kepler))(M), grad(over_M(unrolled_kepler))(M), 1e-10)
    close(hessian(over_M(kepler))(M), hessian(over_M(unrolled_kepler))(M), 1e-9)


def test_roots_in_closed_form():
    def square_root(a):
        return root(lambda x: x * x - a, np.ones(3), solver=None)

    a = np.array([0.5, 2.0, 3.0])
    close(square_root(a), np.sqrt(a))
    close(jacfwd(square_root)(a), np.diag(0.5 / np.sqrt(a)))
    close(hessian(lambda a: np.sum(square_root(a)))(a), np.diag(-0.25 * a**-1.5))
    close(
        jacrev(hessian(lambda a: np.sum(square_root(a))))(a),
        jacfwd(hessian(lambda a: np.sum(np.sqrt(a))))(a),
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_implicit_functions_keep_dtypes_and_containers(dtype):
    a = {"k": dtype(2.0), "v": np.arange(1, 4).astype(dtype)}
    start = {"x": np.ones(3, dtype), "y": dtype(1.0)}

    def system(x, a):
        return {"x": x["x"] ** 2 - a["v"] * a["k"], "y": x["y"] * np.sum(x["x"]) - a["k"]}

    solution = root(system, start, a)
    rtol = 1e-12 if dtype is np.float64 else 1e-5
    close(solution["x"], np.sqrt(2 * a["v"]), rtol)

    def loss(a):
        return root(system, start, a)["y"] * dtype(1)

    def closed(a):
        return a["k"] / np.sum(np.sqrt(a["v"] * a["k"]))

    g, h = grad(loss)(a), grad(closed)(a)
    close(g["v"], h["v"], rtol)
    close(g["k"], h["k"], rtol)

    def fixed(k):
        return fixed_point(lambda x, k: (x + k / x) / dtype(2), dtype(1), k)

    close(derivative(fixed)(dtype(2)), dtype(0.5 / np.sqrt(2)), rtol)
    assert type(root(lambda x: x - 2.0, 1.0)) is float

    def second_of_minimum(c):
        bowl = lambda x, c: np.sum((x - c) ** 4 + (x - c) ** 2)  # noqa: E731
        return minimize(bowl, np.zeros(2, dtype), c)[1]

    close(grad(second_of_minimum)(a["v"][:2]), np.array([0, 1], dtype), rtol)


def test_ridge_regression():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 3)), rng.standard_normal(8)

    def ridge(s, X):
        return minimize(lambda w, s: np.sum((X @ w - y) ** 2) + s * w @ w, np.zeros(3), s)

    def closed(s):
        return np.linalg.solve(X.T @ X + s * np.eye(3), X.T @ y)

    h = 1e-4
    close(ridge(0.5, X), closed(0.5), 1e-10)
    close(jacfwd(ridge)(0.5, X), (closed(0.5 + h) - closed(0.5 - h)) / (2 * h), 1e-7)
    second = (closed(0.5 + h) - 2 * closed(0.5) + closed(0.5 - h)) / h**2
    close(jacfwd(jacrev(ridge))(0.5, X), second, 1e-5)
    close(jacrev(jacfwd(ridge))(0.5, X), second, 1e-5)
    J = jacrev(ridge, 1)(0.5, X)  # through the closure
    close(J, jacfwd(ridge, 1)(0.5, X), 1e-11)


def test_a_minimum_inside_a_minimum():
    def inner(y, a):
        return minimize(lambda x, y, a: (x - y * a) ** 2 + x**4, 0.0, y, a)

    def outer(a):
        return minimize(lambda y, a: (inner(y, a) - 0.3) ** 2 + 0.1 * y**2, 0.5, a)

    h = 1e-4
    close(derivative(outer)(1.1), (outer(1.1 + h) - outer(1.1 - h)) / (2 * h), 1e-6)
    close(grad(outer)(1.1), derivative(outer)(1.1), 1e-10)


def test_own_solver_and_what_it_sees():
    seen = []

    def bisect(f, x, a):
        seen.append(type(a))
        low, high = 0.0, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if f(middle, a) < 0 else (low, middle)
        return low

    def f(a):
        return root(lambda x, a: x**3 - a, 1.0, a, solver=bisect)

    close(grad(grad(f))(8.0), -2 / 9 * 8.0 ** (-5 / 3), 1e-11)
    assert set(seen) <= {float, np.float64}


def test_zero_unknowns_and_lanes():
    assert root(lambda x: x, np.zeros(0)).shape == (0,)

    def f(a):
        return np.sum(root(lambda x, a: x * a, np.zeros((2, 0)), a)) + a

    assert grad(f)(2.0) == derivative(f)(2.0) == 1.0
    lanes = fixed_point(lambda x, a: np.cos(a * x), np.float64(0.5), Lanes(np.array([0.5, 1.0])))
    close(lanes.value, np.array([fixed_point(lambda x: np.cos(a * x), 0.5) for a in (0.5, 1.0)]))  # noqa: B023


def test_what_implicit_functions_refuse():
    for bad, words in (
        (lambda: grad(lambda a: root(lambda x: x**2 - a, 1.0))(0.0), "singular"),
        (
            lambda: grad(lambda a: root(lambda x: a * np.stack([x[0] + x[1]] * 2), np.ones(2))[0])(
                1.0
            ),
            "singular",
        ),
        (lambda: root(lambda x: x**2 + 1, 1.0), "no solution"),
        (lambda: minimize(lambda x: x**3, -1.0), "found no"),
        (lambda: minimize(lambda x: x**4 - x**2, 0.0), "no minimum"),
        (lambda: fixed_point(lambda x: 2 * x + 1, 1.0, max_steps=50), "no solution"),
        (lambda: root(lambda x: x[:1], np.ones(2)), "as many equations"),
        (lambda: root(lambda x: x, 1), "floats"),
        (lambda: root(3.0, 1.0), "takes a function"),
    ):
        with pytest.raises(LitadError, match=words):
            bad()


def test_a_small_slope_is_not_taken_for_a_singular_one():
    def f(a):
        return root(lambda x: 1e-10 * (x - a**2), 1.0)

    close(grad(f)(3.0), 6.0)


def test_a_box_in_a_global_is_refused_by_an_implicit_function():
    class Model:
        pass

    def hidden(w):
        model = Model()
        model.w = w
        return root(lambda x: x - model.w, 1.0)

    for mode in (grad, derivative):
        with pytest.raises(LitadError, match="not among its arguments"):
            mode(hidden)(2.0)


def test_linearize_follows_rules():
    sine = custom_jvp(np.sin)
    sine.defjvps(lambda t, y, x: np.cos(x) * t)
    x, t = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    for f in (sine, checkpoint(np.sin), lambda x: root(lambda z: z - np.sin(x), np.ones(2))):
        close(linearize(f, x)[1](t), np.cos(x) * t)


def test_a_function_cannot_store_into_its_boxed_arguments_unseen():
    def store(x):
        x[0] = 2 * x[0]
        return x * x

    kept = custom_jvp(store)
    kept.defjvps(lambda t, y, x: 2 * x * t)
    for f in (kept, checkpoint(store)):
        for mode in (jacfwd, jacrev):
            with pytest.raises(ValueError, match="read-only|stored into its argument"):
                mode(lambda x, f=f: f(x * 1))(np.ones(2))


def test_assignment_after_a_rule_has_run():
    def after(rule, x):
        y = x * 1
        z = rule(y)
        y[0] = 7.0
        return np.sum(z) + np.sum(y)

    cube = custom_vjp(lambda y: y**3)
    cube.defvjp(lambda y: (y**3, y), lambda y, t: (3 * y * y * t,))
    x = np.array([1.0, 2.0])
    for rule in (cube, checkpoint(cube.f)):
        close(grad(lambda x, r=rule: after(r, x))(x), np.array([3.0, 13.0]))


def test_arrays_that_were_filled_element_by_element():
    def squares(x):
        out = np.zeros_like(x)
        for i in range(2):
            out[i] = x[i] ** 2
        return out

    x = np.array([1.0, 2.0])
    for wrapped in (checkpoint(squares), lambda x: checkpoint(np.square)(squares(np.sqrt(x)))):
        close(grad(lambda x, w=wrapped: np.sum(w(x) * x))(x), 3 * x**2)
        close(hessian(lambda x, w=wrapped: np.sum(w(x) * x))(x), np.diag(6 * x))
